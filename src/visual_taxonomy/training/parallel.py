"""Several processes as one: the backbone sees a share of the batch, the heads see all of it.

Each process encodes its share of a global batch. The features are then gathered, and every
process computes heads, losses and task weights of the whole batch alike. So statistics of
BatchNorm, label counts and task weights are those of one process; only the gradients of the
backbone have to be summed, which DistributedDataParallel does while it goes backward.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar, cast

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import Tensor, distributed, nn
from typing_extensions import override

from visual_taxonomy.config import RunConfig
from visual_taxonomy.device import pick_device
from visual_taxonomy.errors import InputError

T = TypeVar("T")


def launch(config: RunConfig) -> "Parallel":
    """Start the processes of a run; under torchrun they are there already."""
    # torchrun has started the processes already and says how many; the flags would start them
    # again.
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", config.devices))
    nodes = int(os.environ.get("GROUP_WORLD_SIZE", config.num_nodes))
    fabric = Fabric(
        accelerator=pick_device(config.accelerator).type,
        devices=devices,
        num_nodes=nodes,
        strategy=DDPStrategy() if devices * nodes > 1 else "auto",
    )
    fabric.launch()
    return Parallel(fabric)


class Parallel:
    """The processes of a run: who this one is, and all that they tell each other.

    Args:
        fabric: The launched processes.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return self.fabric.device

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return self.fabric.global_rank

    @property
    def world_size(self) -> int:
        """How many processes there are."""
        return self.fabric.world_size

    @property
    def num_machines(self) -> int:
        """How many machines they run on."""
        # The strategy of a single device has no number of nodes.
        return int(getattr(self.fabric.strategy, "num_nodes", 1))

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and talks to the user."""
        return self.fabric.is_global_zero

    def first_goes_first(self) -> AbstractContextManager[None]:
        """A block that the first process runs before the others."""
        return self.fabric.rank_zero_first()

    def on_first(self, compute: Callable[[], T]) -> T:
        """What `compute` gives on the first process, on all; the others wait, however long.

        Raises:
            InputError: `compute` raised it; all processes end with it, so that none waits for ever.
        """
        outcome: T | InputError | None = None
        with self.first_goes_first():
            if self.is_first:
                try:
                    outcome = compute()
                except InputError as error:
                    # Broadcast, not raised here: the others would wait for an answer that never
                    # comes.
                    outcome = error
        outcome = self.broadcast(outcome)
        if isinstance(outcome, InputError):
            raise outcome
        return cast(T, outcome)

    def seed(self, seed: int) -> None:
        """Seed Python, NumPy and torch of this process."""
        # The same everywhere: every process computes the heads of the whole batch, and their
        # dropout must be one mask.
        self.fabric.seed_everything(seed, verbose=False)

    def wrap(self, encoder: nn.Module, averages: bool) -> nn.Module:
        """The encoder on its device.

        Args:
            encoder: What each process runs on its share of the batch.
            averages: Whether DistributedDataParallel averages its gradients while it goes
                backward; methods that take the gradient of each task sum them themselves (`sum`).
        """
        # DistributedDataParallel refuses a module of which nothing trains.
        trains = any(parameter.requires_grad for parameter in encoder.parameters())
        if self.world_size > 1 and trains and averages:
            return self.fabric.setup_module(encoder)
        return encoder.to(self.device)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over all processes, on each of them."""
        if self.world_size > 1:
            # In place: the tensor that was given holds the sum, too.
            distributed.all_reduce(tensor)
        return tensor

    def gather(self, share: Tensor, gradient_scale: float = 1.0) -> Tensor:
        """Join the shares [n, ...] of all processes to the global batch [n x world, ...], in order.

        Row i of process r is row i x world + r of the batch: shares are interleaved. The gradient
        of a process's own rows comes back to it, times `gradient_scale`.
        """
        if self.world_size == 1:
            return share
        joined: Tensor = _GatherRows.apply(share, self, gradient_scale)
        return joined

    def gather_objects(self, value: T) -> list[T]:
        """The plain values of all processes, on each of them."""
        if self.world_size == 1:
            return [value]
        gathered: list[T | None] = [None] * self.world_size
        distributed.all_gather_object(gathered, value)
        return cast(list[T], gathered)

    def any(self, claim: bool) -> bool:
        """Whether the claim holds for any process; all of them have to ask."""
        if self.world_size == 1:
            return claim
        # On the device, because NCCL reduces no tensors of the CPU.
        return bool(self.sum(torch.tensor(float(claim), device=self.device)) > 0)

    def broadcast(self, value: T) -> T:
        """The value that the first process has."""
        return self.fabric.broadcast(value)

    def state_dict(self) -> dict[str, Any]:
        """State of the random generators of this process and its device, as dropout uses them."""
        # Of this process only, yet last.pt serves all: they are seeded alike and draw alike.
        on_gpu = self.device.type == "cuda"
        return {
            "random": torch.get_rng_state(),
            "device_random": torch.cuda.get_rng_state(self.device) if on_gpu else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put the generators where `state_dict` found them."""
        torch.set_rng_state(state["random"])
        if state["device_random"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["device_random"], self.device)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, share: Tensor, processes: Parallel, gradient_scale: float) -> Tensor:
        ctx.rank, ctx.world_size = processes.rank, processes.world_size
        ctx.gradient_scale = gradient_scale
        # all_gather wants equal shapes; the sampler fills up shorter shares for that.
        gathered = share.new_empty((ctx.world_size * len(share), *share.shape[1:]))
        distributed.all_gather_into_tensor(gathered, share.contiguous())
        # Process r has rows r, r + W, ...: interleaved again, rows are in the order of one process,
        # and so is the rounding of their sums.
        return gathered.unflatten(0, (ctx.world_size, -1)).transpose(0, 1).flatten(0, 1)

    @staticmethod
    @override
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        # Every process has the gradient of all rows already, so nothing is summed here.
        own = gradients[0][ctx.rank :: ctx.world_size]
        return own * ctx.gradient_scale, None, None
