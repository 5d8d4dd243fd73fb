"""What a run was trained on, row by row: enough to say, when it resumes, which rows have changed.

Shapes: N rows, C classes of a task.
"""

import hashlib
import warnings
from pathlib import Path

import numpy as np
import polars as pl

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import UNKNOWN

DATA_NAME = "data.parquet"
"""In the run folder: id, labels (a digest), size and modified_ns of the image."""


def record(table: Table) -> pl.DataFrame:
    """A row for each row of the table; the digest of its labels depends on nothing but their text.

    Sizes and times come from one pass over each folder of the images.
    """
    states = table.images.states()
    if table.starts is not None:
        # Sums, wrapping at 2^64: of several images, a change of any changes them.
        states = np.add.reduceat(states, table.starts[:-1]) if len(table) else states
    sizes, times = states.T
    return pl.DataFrame(
        {
            "id": pl.Series(table.ids.tolist(), dtype=pl.String),
            "labels": digest_labels(table),
            "size": sizes,
            "modified_ns": times,
        }
    )


def digest_labels(table: Table) -> np.ndarray:
    """[N] uint64 digests of category and labels, whatever order the taxonomy gives them.

    Example:
        >>> from visual_taxonomy.taxonomy import Taxonomy
        >>> def digest(classes, target):
        ...     taxonomy = Taxonomy.from_dict({"Sarees": {"border": classes}})
        ...     arrays = np.array(["1"]), np.array([0]), np.array([[target]]), np.array(["1.jpg"])
        ...     return digest_labels(Table(taxonomy, *arrays, Path("images"))).item()
        >>> digest(["zari", "no"], 0) == digest(["no", "zari"], 1) != digest(["zari", "no"], 1)
        True
    """
    taxonomy = table.taxonomy
    names = np.array([_number(name) for name in taxonomy.categories], dtype=np.uint64)
    # A copy, as indexing by an array gives it: the sums below do not reach `names`.
    digests = names[table.categories]
    for category, tasks in enumerate(taxonomy.slots):
        rows = np.flatnonzero(table.categories == category)
        for slot, task in enumerate(tasks):
            of_task = taxonomy.tasks[task]
            # Without the NUL, class `bc` of task `a` would be class `c` of task `ab`.
            numbers = [_number(f"{of_task.name}\0{each}") for each in of_task.classes]
            # The last entry is that of index -1, an unknown label.
            of_class = np.array([*numbers, 0], dtype=np.uint64)
            targets = table.targets[rows, slot]
            # A sum, wrapping at 2^64: the order of the attributes changes nothing.
            digests[rows] += of_class[np.where(targets == UNKNOWN, len(numbers), targets)]
    if table.texts is not None:
        # Words are learnt from like labels. No cell holds a unit separator.
        words = [_number("words\0" + "\x1f".join(row)) for row in table.texts.tolist()]
        digests += np.array(words, dtype=np.uint64)
    return digests


def write_record(path: Path, rows: pl.DataFrame) -> None:
    """Write what `record` gave.

    Raises:
        InputError: The disk is full.
    """
    with write_atomically(path) as temporary:
        rows.write_parquet(temporary)


def changes(path: Path, now: pl.DataFrame) -> list[str]:
    """What is different from the record in a file; nothing if there is no file (an older run).

    Raises:
        InputError: The file is damaged.
    """
    if not path.exists():
        return []
    try:
        then = pl.read_parquet(path).select(now.columns)
    except Exception as error:  # polars reports damage by many types of its own
        raise InputError(f"{path}: damaged ({error}); delete it to resume without it") from None
    # In order too, so where nothing below is found, the order is what has changed.
    if then.equals(now):
        return []
    gone = then.join(now, on="id", how="anti")["id"]
    new = now.join(then, on="id", how="anti")["id"]
    both = then.join(now, on="id", how="inner", suffix="_now", maintain_order="left")
    other_size = both["size"] != both["size_now"]
    # Named once: an image of another size has another time as well.
    other_time = (both["modified_ns"] != both["modified_ns_now"]) & ~other_size
    found = [
        _counted(gone, "row is missing", "rows are missing"),
        _counted(new, "row is new", "rows are new"),
        _counted(
            both.filter(pl.col("labels") != pl.col("labels_now"))["id"],
            "row has other labels",
            "rows have other labels",
        ),
        _counted(
            both.filter(other_size)["id"],
            "image has another size in bytes",
            "images have another size in bytes",
        ),
        _counted(
            both.filter(other_time)["id"],
            "image has another time of change",
            "images have another time of change",
        ),
    ]
    return [text for text in found if text] or ["the rows stand in another order"]


def refuse_changes(folder: Path, now: pl.DataFrame, is_accepted: bool) -> None:
    """Compare what `record` gave with the rows that the run in a folder started with.

    Warns:
        UserWarning: They differ, and `is_accepted`.

    Raises:
        InputError: They differ, or the record is damaged.
    """
    found = changes(folder / DATA_NAME, now)
    if not found:
        return
    text = f"the data have changed since the run in {folder} started: {', '.join(found)}"
    if not is_accepted:
        raise InputError(
            f"`resume`: {text}; use the data that it started with, or resume with these "
            "(`accept_changed_data`)"
        )
    warnings.warn(text, stacklevel=2)


def _number(text: str) -> int:
    # Not hash(), which is salted anew in each process.
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _counted(ids: pl.Series, one: str, many: str) -> str:
    if ids.is_empty():
        return ""
    return f"{len(ids):,} {one if len(ids) == 1 else many} ({'first ' * (len(ids) > 1)}id {ids[0]})"
