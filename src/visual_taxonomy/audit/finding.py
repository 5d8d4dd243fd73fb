"""What an audit finds: a cell of the catalogue, and what the model would write into it."""

from typing import NamedTuple

from visual_taxonomy.taxonomy import Task


class Finding(NamedTuple):
    """A label that may be wrong, or a hole that can be filled."""

    row: int
    """Index in the held-out rows."""
    id: str
    task: Task
    label: str | None
    """As it stands in the catalogue; None for a hole."""
    suggested: str
    """The class that the model would give."""
    probability: float
    """Of the suggested class."""
    probability_of_label: float | None
    """Of the class that stands there; None for a hole."""
    score: float
    """How sure the model is, the same scale for all heads; the list is in falling order of it."""
    group: int
    """Near-duplicate images have the same one."""
