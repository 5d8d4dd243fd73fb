"""What a method remembers about its steps in plain values: epoch, skipped tasks, reused weights."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from visual_taxonomy.errors import InputError


@dataclass
class StepRecord:
    """Counters and weights by task name; part of a method's `state_dict` as plain values.

    Example:
        >>> record = StepRecord()
        >>> record.screen(["a", "b"], [True, False], max_consecutive=2), record.num_skipped
        ([0], {'b': 1})
    """

    epoch: int = 0
    """Number of epochs that have ended."""
    num_skipped: dict[str, int] = field(default_factory=dict)
    """How often the loss or gradient of a task was not finite."""
    consecutive: dict[str, int] = field(default_factory=dict)
    """The same since the task's last finite step."""
    weights: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Last weights found from a Gramian, for shared parameters and heads."""
    ages: dict[str, int] = field(default_factory=dict)
    """Steps for which a task's weight in `weights` has been used."""

    def screen(
        self, names: Sequence[str], is_finite: Sequence[bool], max_consecutive: int
    ) -> list[int]:
        """Positions of the finite tasks; counts the others.

        Raises:
            InputError: A task was not finite in `max_consecutive` steps in a row.
        """
        for name, finite in zip(names, is_finite, strict=True):
            if finite:
                self.consecutive.pop(name, None)
                continue
            self.num_skipped[name] = self.num_skipped.get(name, 0) + 1
            self.consecutive[name] = self.consecutive.get(name, 0) + 1
            if self.consecutive[name] >= max_consecutive:
                raise InputError(
                    f"task '{name}': loss or gradient was not finite in {max_consecutive} steps "
                    "in a row; lower the learning rate, or check the task's images and labels"
                )
        return [position for position, finite in enumerate(is_finite) if finite]

    def reusable(self, names: Sequence[str], every: int) -> list[tuple[float, float]] | None:
        """Weights of the tasks while all are younger than `every` steps; each use ages them."""
        # A task without weights counts as too old. They depend on each other: one that is missing
        # has all of them found anew.
        if any(self.ages.get(name, every) >= every for name in names):
            return None
        for name in names:
            self.ages[name] += 1
        return [self.weights[name] for name in names]

    def keep(self, names: Sequence[str], weights: Sequence[Sequence[float]]) -> None:
        """Remember pairs of weights (for shared parameters, for heads) just found."""
        for name, (shared, head) in zip(names, weights, strict=True):
            self.weights[name] = (shared, head)
            # The step that has found them is the first to use them.
            self.ages[name] = 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "StepRecord":
        """The inverse of `to_dict`."""
        return cls(**values)
