"""The task-weighting method of a run, with all it needs to turn losses into gradients."""

import inspect
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from visual_taxonomy.config import ObjectiveConfig
from visual_taxonomy.task_weighting import (
    BackwardOptions,
    TaskWeighting,
    Update,
    build_task_weighting,
    find_task_weighting,
    multi_task_backward,
)
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.parallel import Parallel


class TaskUpdates:
    """From the losses of a step to `.grad`, by the method of the run.

    Args:
        method: On the device.
        options: What gradients are taken of, memory, scale.
        shared: Parameters that several tasks use.
        parallel: The processes.
        seed: Of methods that draw; alike on all processes.
    """

    def __init__(
        self,
        method: TaskWeighting,
        options: BackwardOptions,
        shared: Sequence[Tensor],
        parallel: Parallel,
        seed: int,
    ) -> None:
        self.method = method
        self.options = options
        self.shared = list(shared)
        self.generator = torch.Generator().manual_seed(seed)
        # Where DistributedDataParallel averages the gradients there is nothing left to sum.
        sums = parallel.world_size > 1 and not averages_gradients(method)
        self._reduce = parallel.sum if sums else None

    def __call__(
        self, losses: Mapping[str, Tensor], features: Tensor, counts: Mapping[str, int], watch: bool
    ) -> Update | None:
        """Add the gradients of a step; None if no loss could be used.

        Args:
            losses: Task name -> loss.
            features: That they depend on the backbone through.
            counts: Task name -> labels behind its loss.
            watch: Whether the update shall hold the Gramian.
        """
        return multi_task_backward(
            losses,
            self.method,
            self.shared,
            features,
            self.generator,
            num_labels=counts,
            options=self.options,
            reduce=self._reduce,
            watch=watch,
        )

    @property
    def num_skipped(self) -> dict[str, int]:
        """Task name -> steps so far that left it out, being not finite."""
        # A copy: the trainer compares the counts before an epoch with those after it.
        return dict(self.method.record.num_skipped)

    def warn_of_skipped(self, before: Mapping[str, int]) -> None:
        """Warn of tasks that were left out since `num_skipped` was what is given."""
        new = {name: count - before.get(name, 0) for name, count in self.num_skipped.items()}
        named = ", ".join(f"{name} in {count} steps" for name, count in new.items() if count)
        if named:
            text = f"losses or gradients that were not finite left out {named}"
            warnings.warn(text, stacklevel=1)

    def end_epoch(self) -> None:
        """Say that an epoch is over."""
        self.method.end_epoch()

    def state_dict(self) -> dict[str, Any]:
        """What the method remembers and learns, and the state of its generator."""
        return {"method": self.method.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.method.load_state_dict(state["method"])
        self.generator.set_state(state["generator"])


def averages_gradients(method: TaskWeighting) -> bool:
    """Whether one ordinary backward pass is made, as DistributedDataParallel expects it."""
    return method.kind == "losses"


def build_method(config: ObjectiveConfig, taxonomy: Taxonomy) -> TaskWeighting:
    """The method of the config, with what it asks to know about the tasks.

    Raises:
        InputError: The method, or a parameter of it, does not exist.
    """
    known = {
        # What guessing costs: known before the first step, unlike the loss of the first batch.
        # At least 2: a task of one class would give log 1 = 0, which GradNorm refuses.
        "initial_losses": {
            task.name: math.log(max(2, len(task.classes))) for task in taxonomy.tasks
        }
    }
    accepted = inspect.signature(find_task_weighting(config.method)).parameters
    parameters = {name: value for name, value in known.items() if name in accepted}
    return build_task_weighting(
        config.method, taxonomy.task_names, **parameters, **config.method_parameters
    )


def backward_options(config: ObjectiveConfig, screens: bool = True) -> BackwardOptions:
    """The flags of the gradients in the terms of `multi_task_backward`.

    Args:
        config: The flags.
        screens: Whether losses that are not finite are left out of a step.
    """
    return BackwardOptions(
        source=None if config.gradient_source == "auto" else config.gradient_source,
        update_weights_every=config.update_weights_every,
        head_scale=None if config.head_scale == "auto" else config.head_scale,
        normalize_direction=(
            None if config.normalize_direction == "none" else config.normalize_direction
        ),
        row_budget_bytes=None if config.row_budget_mb is None else config.row_budget_mb * 2**20,
        row_dtype=torch.bfloat16 if config.row_dtype == "bf16" else torch.float32,
        screen=screens,
    )
