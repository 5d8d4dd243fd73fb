"""What a model said of labelled rows that it was not trained on.

Everything here is fitted on such rows: calibration, decision rule, thresholds, audits, scores.

Shapes: N rows, A slots (the most attributes of a category), C classes of the widest task.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.errors import InputError
from visual_taxonomy.regular_file import require_regular
from visual_taxonomy.taxonomy import UNKNOWN, Task, Taxonomy

HELD_OUT_NAME = "held_out.npz"
"""The file in a run folder."""

_ARRAYS = ("ids", "categories", "groups", "probabilities", "targets")
_WITNESS = "witness "
"""In a file, before the name of a witness."""


class HeldOutHead(NamedTuple):
    """The labelled rows of one task that the model has an answer for."""

    task: Task
    category: int
    slot: int
    rows: np.ndarray
    """[n] int64 indices of the rows."""
    probabilities: np.ndarray
    """[n, C] float64, every row sums to 1; C classes of this task."""
    labels: np.ndarray
    """[n] int64 true classes."""
    class_counts: np.ndarray
    """[C] int64 training labels of each class."""


@dataclass(frozen=True)
class HeldOut:
    """Raw probabilities and labels of rows that were not trained on.

    Args:
        taxonomy: Says which task stands in which slot.
        class_counts: Task name -> [C] training labels of each class; the prior of the head.
        ids: [N] ids of the products.
        categories: [N] int64 category indices.
        groups: [N] int64; near-duplicates have the same one, and stay together in every fold
            and bootstrap sample.
        probabilities: [N, A, C] float32 softmax of the model; 0 where there is no answer, slot
            or class.
        targets: [N, A] int64 class indices, -1 for unknown.
        witnesses: What else speaks of the rows, each fitted on others: name -> probabilities like
            those of the model.

    Raises:
        InputError: The shapes do not fit each other or the taxonomy.
    """

    taxonomy: Taxonomy
    class_counts: Mapping[str, Sequence[int]]
    ids: np.ndarray
    categories: np.ndarray
    groups: np.ndarray
    probabilities: np.ndarray
    targets: np.ndarray
    witnesses: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows, slots = len(self.ids), self.taxonomy.num_slots
        classes = max(len(task.classes) for task in self.taxonomy.tasks)
        expected = ((rows,), (rows,), (rows,), (rows, slots, classes), (rows, slots))
        for name, shape in zip(_ARRAYS, expected, strict=True):
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"held-out rows: '{name}' has shape {getattr(self, name).shape}, "
                    f"expected {shape} for this taxonomy"
                )
        if any(each.shape != self.probabilities.shape for each in self.witnesses.values()):
            raise InputError("held-out rows: a witness does not fit the rows")

    def __len__(self) -> int:
        return len(self.ids)

    def heads(self) -> Iterator[HeldOutHead]:
        """Each task with its labelled and answered rows, in the order of the taxonomy."""
        for category, slots in enumerate(self.taxonomy.slots):
            members = np.flatnonzero(self.categories == category)
            for slot, index in enumerate(slots):
                task = self.taxonomy.tasks[index]
                labelled = members[self.targets[members, slot] != UNKNOWN]
                chosen = self.probabilities[labelled, slot, : len(task.classes)].astype(np.float64)
                usable = np.isfinite(chosen).all(axis=1) & chosen.any(axis=1)
                rows, chosen = labelled[usable], chosen[usable]
                yield HeldOutHead(
                    task,
                    category,
                    slot,
                    rows,
                    # They are rounded to float32, so their sum is near 1 only.
                    chosen / chosen.sum(axis=1, keepdims=True),
                    self.targets[rows, slot].astype(np.int64),
                    np.asarray(self.class_counts[task.name], dtype=np.int64),
                )

    def most_probable(self) -> np.ndarray:
        """[N, A] index of the most probable class; -1 where the model has no answer."""
        # In a row with NaN argmax is the place of the NaN: such rows are masked afterwards.
        classes = self.probabilities.argmax(axis=2)
        has_answer = np.isfinite(self.probabilities).all(axis=2) & self.probabilities.any(axis=2)
        return np.where(has_answer, classes, UNKNOWN)

    def take(self, rows: np.ndarray) -> "HeldOut":
        """Some of the rows, by index or mask."""
        arrays = (getattr(self, name)[rows] for name in _ARRAYS)
        witnesses = {name: each[rows] for name, each in self.witnesses.items()}
        found = HeldOut(self.taxonomy, self.class_counts, *arrays)
        return replace(found, witnesses=witnesses)

    def write(self, path: Path) -> None:
        """Write as .npz: arrays, and the names as JSON; no pickle.

        Raises:
            InputError: The disk is full.
        """
        names = json.dumps({"taxonomy": self.taxonomy.to_dict(), "counts": _plain(self)})
        with write_atomically(path) as temporary, temporary.open("wb") as file:
            arrays = {name: getattr(self, name) for name in _ARRAYS}
            # An array of objects would be pickled, which `read` refuses.
            arrays["ids"] = np.asarray(self.ids, dtype=np.str_)
            arrays |= {f"{_WITNESS}{name}": each for name, each in self.witnesses.items()}
            np.savez_compressed(file, names=np.array(names), **arrays)

    @classmethod
    def read(cls, path: Path) -> "HeldOut":
        """Read a file of `write`.

        Raises:
            InputError: It is missing, damaged, or another file.
        """
        try:
            require_regular(path)
            # numpy leaves a file open that it cannot read, so it is opened here.
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                names = json.loads(str(file["names"]))
                taxonomy = Taxonomy.from_dict(names["taxonomy"])
                witnesses = {
                    name.removeprefix(_WITNESS): file[name]
                    for name in file.files
                    if name.startswith(_WITNESS)
                }
                arrays = (file[name] for name in _ARRAYS)
                return replace(cls(taxonomy, names["counts"], *arrays), witnesses=witnesses)
        except FileNotFoundError:
            raise InputError(
                f"{path}: no held-out predictions; `vtax train` writes them into its run folder"
            ) from None
        except (BadZipFile, KeyError, TypeError, ValueError, OSError, EOFError) as error:
            raise InputError(
                f"{path}: not the held-out predictions of a run, or damaged ({error})"
            ) from None


def pool(parts: Sequence[HeldOut]) -> HeldOut:
    """The rows of several folds as one; the class counts are those of all folds, averaged.

    Raises:
        InputError: They are of different taxonomies, or a row is in two of them.
    """
    first = parts[0]
    if any(part.taxonomy != first.taxonomy for part in parts):
        raise InputError("held-out predictions of different taxonomies cannot be pooled")
    arrays: list[Any] = [
        np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS
    ]
    # A witness that a fold does not have says nothing of its rows.
    witnesses = {
        name: np.concatenate(
            [part.witnesses.get(name, np.zeros_like(part.probabilities)) for part in parts]
        )
        for name in dict.fromkeys(name for part in parts for name in part.witnesses)
    }
    ids, repeats = np.unique(arrays[0], return_counts=True)
    if (repeats > 1).any():
        raise InputError(f"row '{ids[repeats > 1][0]}' is held out twice; the folds overlap")
    # Averaged, not summed: a row is among the training rows of all folds but its own.
    counts = {
        name: np.mean([part.class_counts[name] for part in parts], axis=0).round().astype(int)
        for name in first.class_counts
    }
    plain = {name: each.tolist() for name, each in counts.items()}
    return replace(HeldOut(first.taxonomy, plain, *arrays), witnesses=witnesses)


def _plain(held_out: HeldOut) -> dict[str, list[int]]:
    return {name: [int(n) for n in counts] for name, counts in held_out.class_counts.items()}
