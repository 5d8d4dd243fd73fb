"""What a task-weighting method is: four kinds, all on tensors alone.

Shapes: T tasks of the run, A <= T active tasks of the step, P values of the shared parameters,
N images, D features. `tasks` is the list of the A indices of the active tasks among the T.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from visual_taxonomy.choice import unknown_name
from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.record import StepRecord

Source = Literal["parameters", "features", "last_layer"]
HeadScale = Literal["unit", "weights"]


class TaskWeighting(nn.Module):
    """How the losses of the active tasks of a step become one update.

    A method sees losses, Gramians or gradients, never a model, a device or autograd; only
    `backward.multi_task_backward` differentiates. Its state has one entry per task of the run and
    lives in `state_dict`; a task that is not active in a step keeps its state bit for bit.

    Args:
        task_names: [T] names "category/attribute" of all tasks of the run.

    Raises:
        InputError: There is no task, or a name is doubled.
    """

    kind: ClassVar[str]
    """What the method works on: losses, gramian, jacobian or features."""
    default_source: ClassVar[Source] = "parameters"
    """What the gradients are taken with respect to to find the weights."""
    default_head_scale: ClassVar[HeadScale] = "unit"
    """Factor on a head's own gradient: 1, or the task's weight."""
    is_linear: ClassVar[bool] = False
    """Whether losses times a factor give the update times that factor, as float16 needs it."""
    screens: ClassVar[bool] = True
    """Whether a run leaves out tasks that are not finite; otherwise it stops at the first."""
    max_norm: float = 0.0
    """Longest update of the shared parameters; 0 for no limit."""

    def __init__(self, task_names: Sequence[str]) -> None:
        super().__init__()
        self.task_names = tuple(task_names)
        if not self.task_names or len(set(self.task_names)) != len(self.task_names):
            raise InputError(f"task names must be given, each once: {list(self.task_names)}")
        self._index = {name: index for index, name in enumerate(self.task_names)}
        self.record = StepRecord()

    def indices(self, names: Sequence[str]) -> list[int]:
        """Indices of tasks by name.

        Raises:
            InputError: A name is no task of the run.
        """
        for name in names:
            if name not in self._index:
                raise InputError(f"task {unknown_name(name, self.task_names)}")
        return [self._index[name] for name in names]

    def transform(self, losses: Tensor, tasks: Sequence[int]) -> Tensor:
        """Losses [A] that are differentiated in place of `losses` [A], each from its own loss."""
        del tasks
        return losses

    def track(self, losses: Tensor, num_labels: Tensor, tasks: Sequence[int]) -> None:
        """Take note of a step's losses [A], means over `num_labels` [A] images each."""

    def end_epoch(self) -> None:
        """Say that an epoch is over; the training loop calls it once after each."""
        self.record.epoch += 1

    @override
    def get_extra_state(self) -> dict[str, Any]:
        return {"task_names": list(self.task_names), "record": self.record.to_dict()}

    @override
    def set_extra_state(self, state: dict[str, Any]) -> None:
        # State is kept by index: in another order each value would be another task's.
        if tuple(state["task_names"]) != self.task_names:
            raise InputError(
                f"the saved task weighting is for tasks {state['task_names']}, "
                f"this run has {list(self.task_names)}; resume with the same attributes"
            )
        self.record = StepRecord.from_dict(state["record"])


class LossWeighting(TaskWeighting):
    """An objective of the losses alone: one backward pass, as cheap as the plain sum."""

    kind = "losses"
    default_head_scale = "weights"

    @override
    def forward(
        self, losses: Tensor, tasks: Sequence[int], generator: torch.Generator | None = None
    ) -> Tensor:
        """The scalar that is minimised; its derivatives by the losses are the task weights.

        Args:
            losses: [A] losses of the active tasks.
            tasks: [A] their indices among the tasks of the run.
            generator: Source of random numbers, on the CPU; None for torch's own.
        """
        raise NotImplementedError


class GramianWeighting(TaskWeighting):
    """Weights from the inner products of the tasks' gradients, on the CPU in float64.

    The rows given are not zero (`backward` leaves such tasks out with weight 0). State other than
    learned parameters stays on the CPU in float64, where the small systems are solved.
    """

    kind = "gramian"

    @override
    def forward(
        self,
        gramian: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Weights [A]: the shared parameters move against the sum of weight x gradient.

        Args:
            gramian: [A, A] inner products of the gradients, float64, diagonal > 0.
            losses: [A] losses, float64.
            tasks: [A] indices of the active tasks among the tasks of the run.
            generator: Source of random numbers, on the CPU; None for torch's own.
        """
        raise NotImplementedError

    @override
    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # `.to(device)` moves parameters, not these: the small systems are solved in float64 on the
        # CPU, and MPS has no float64.
        buffers = dict(self._buffers)
        super()._apply(fn, recurse)
        self._buffers.update(buffers)
        return self


class Combination(NamedTuple):
    """The update of the shared parameters, and what each task has to do with it."""

    direction: Tensor
    """[P] what is added to the gradient of the shared parameters."""
    weights: Tensor
    """[A] weights of the tasks in it."""


class JacobianCombination(TaskWeighting):
    """A direction from the tasks' gradients themselves, for methods that track them over steps.

    The tracked rows are T x P numbers on the device of the gradients; P must be the same in every
    step, so the caller passes all shared parameters of the run, whichever are in use.
    """

    kind = "jacobian"
    tracked: Tensor

    def __init__(
        self, task_names: Sequence[str], tracked_dtype: Literal["float32", "bfloat16"]
    ) -> None:
        super().__init__(task_names)
        if tracked_dtype not in ("float32", "bfloat16"):
            raise InputError(f"tracked_dtype '{tracked_dtype}' is none of: float32, bfloat16")
        dtype = torch.float32 if tracked_dtype == "float32" else torch.bfloat16
        self.register_buffer("tracked", torch.zeros(len(self.task_names), 0, dtype=dtype))

    @override
    def forward(
        self,
        rows: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Combination:
        """Combine the gradients of the active tasks.

        Args:
            rows: [A, P] gradients, none of them zero.
            losses: [A] losses on the same device.
            tasks: [A] indices of the active tasks among the tasks of the run.
            generator: Source of random numbers, on the CPU; None for torch's own.

        Raises:
            InputError: P is not what it was.
        """
        raise NotImplementedError

    def allocate(self, rows: Tensor) -> None:
        """Make `tracked` [T, P] on first use.

        Raises:
            InputError: It has another P already.
        """
        if self.tracked.shape[1] == 0:
            self.tracked = self.tracked.new_zeros(
                len(self.task_names), rows.shape[1], device=rows.device
            )
        elif self.tracked.shape[1] != rows.shape[1]:
            raise InputError(
                f"{type(self).__name__} tracks {self.tracked.shape[1]} values per task, this step "
                f"has {rows.shape[1]}: pass all shared parameters of the run in every step"
            )

    @override
    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        saved = state_dict.get(f"{prefix}tracked")
        if saved is not None:  # its width is not known before the first step
            # Made as wide as the saved one, or loading would refuse its shape.
            self.tracked = self.tracked.new_zeros(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class FeatureCombination(TaskWeighting):
    """Factors on each task's gradient with respect to the features, entry by entry."""

    kind = "features"
    default_source = "features"

    @override
    def forward(
        self, signed_sums: Tensor, tasks: Sequence[int], generator: torch.Generator | None = None
    ) -> Tensor:
        """Factors [A, D] on the feature gradients, the same for every image.

        Args:
            signed_sums: [A, D] sums over the images of sign(feature) x gradient.
            tasks: [A] indices of the active tasks among the tasks of the run.
            generator: Source of random numbers, on the CPU; None for torch's own.
        """
        raise NotImplementedError
