"""Several processes as one: the trunk sees a share of the batch, the heads see all of it.

Each process encodes its share of a global batch. The features are then gathered, and every
process computes heads, losses and task weights of the whole batch alike. So statistics of
BatchNorm, label counts and task weights are those of one process; only the gradients of the
trunk have to be summed, which DistributedDataParallel does while it goes backward.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import Tensor, distributed, nn
from typing_extensions import override

from visual_taxonomy.config import RunConfig
from visual_taxonomy.device import pick_device
from visual_taxonomy.errors import InputError

R = TypeVar("R")


def launch(config: RunConfig, loggers: list[Any]) -> Fabric:
    """Start the processes of a run; under torchrun they are there already."""
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", config.devices))
    nodes = int(os.environ.get("GROUP_WORLD_SIZE", config.num_nodes))
    fabric = Fabric(
        accelerator=pick_device(config.accelerator).type,
        devices=devices,
        num_nodes=nodes,
        strategy=DDPStrategy() if devices * nodes > 1 else "auto",
        loggers=loggers,
    )
    fabric.launch()
    return fabric


def parallelize(fabric: Fabric, encoder: nn.Module, averages: bool) -> nn.Module:
    """The encoder on its device.

    Args:
        fabric: The launched processes.
        encoder: What each process runs on its share of the batch.
        averages: Whether DistributedDataParallel averages its gradients while it goes backward;
            methods that take the gradient of each task sum them themselves (`sum_over_processes`).
    """
    trains = any(parameter.requires_grad for parameter in encoder.parameters())
    if fabric.world_size > 1 and trains and averages:
        return fabric.setup_module(encoder)
    return encoder.to(fabric.device)


def on_first(fabric: Fabric, compute: Callable[[], R]) -> R:
    """What `compute` gives on the first process, on all of them; the others wait, however long.

    Raises:
        InputError: `compute` raised it; all processes end with it, so that none waits for ever.
    """
    outcome: R | InputError | None = None
    with fabric.rank_zero_first():
        if fabric.is_global_zero:
            try:
                outcome = compute()
            except InputError as error:
                outcome = error
    outcome = fabric.broadcast(outcome)
    if isinstance(outcome, InputError):
        raise outcome
    return cast(R, outcome)


def gather_objects(fabric: Fabric, value: R) -> list[R]:
    """The plain values of all processes, on each of them."""
    if fabric.world_size == 1:
        return [value]
    gathered: list[R | None] = [None] * fabric.world_size
    distributed.all_gather_object(gathered, value)
    return cast(list[R], gathered)


def sum_over_processes(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all processes, on each of them."""
    distributed.all_reduce(tensor)
    return tensor


def gather_rows(fabric: Fabric, share: Tensor, gradient_scale: float = 1.0) -> Tensor:
    """Join the shares [n, ...] of all processes to the global batch [n x world, ...], in order.

    Row i of process r is row i x world + r of the batch: shares are interleaved. The gradient of
    a process's own rows comes back to it, times `gradient_scale`.
    """
    if fabric.world_size == 1:
        return share
    joined: Tensor = _GatherRows.apply(share, fabric, gradient_scale)
    return joined


class _GatherRows(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, share: Tensor, fabric: Fabric, gradient_scale: float) -> Tensor:
        ctx.rank, ctx.world_size = fabric.global_rank, fabric.world_size
        ctx.gradient_scale = gradient_scale
        gathered = share.new_empty((ctx.world_size * len(share), *share.shape[1:]))
        distributed.all_gather_into_tensor(gathered, share.contiguous())
        return gathered.unflatten(0, (ctx.world_size, -1)).transpose(0, 1).flatten(0, 1)

    @staticmethod
    @override
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        own = gradients[0][ctx.rank :: ctx.world_size]
        return own * ctx.gradient_scale, None, None
