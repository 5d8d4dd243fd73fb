"""Labels of too few rows to learn: which they are, and what they are read as."""

from collections.abc import Mapping, Sequence

import polars as pl

from visual_taxonomy.catalogue import RareLabels
from visual_taxonomy.data.catalogue import CATEGORY
from visual_taxonomy.errors import shown


def find_rare(
    frame: pl.DataFrame,
    columns: Sequence[str],
    min_rows: int,
    rare_class: str | None = None,
    holes: Sequence[str] = ("",),
) -> RareLabels:
    """The labels of fewer rows than `min_rows`, counted in each category and column for itself.

    A head learns the classes of one attribute of one category, so that is where rows count. With
    `rare_class`, they become that class where it then has `min_rows` rows, together with those that
    are called so already; otherwise they are unknown.

    Args:
        frame: Columns of text with `Category`, "" where unknown.
        columns: Those of labels.
        min_rows: >= 1.
        rare_class: What rare labels are read as; None: unknown.
        holes: Texts of cells without a label.

    Returns:
        Column -> category -> class ("" for unknown) -> labels that are read as this class.

    Example:
        >>> table = {"Category": ["Tops"] * 6, "color": ["red"] * 3 + ["mauve", "teal", "teal"]}
        >>> find_rare(pl.DataFrame(table), ["color"], 3)
        {'color': {'Tops': {'': ('mauve', 'teal')}}}
        >>> find_rare(pl.DataFrame(table), ["color"], 3, "other")
        {'color': {'Tops': {'other': ('mauve', 'teal')}}}
    """
    found: RareLabels = {}
    for column in columns:
        pairs = frame.select(pl.col(CATEGORY), pl.col(column).alias("label"))
        counts = pairs.filter(~pl.col("label").is_in(list(holes))).group_by(CATEGORY, "label").len()
        rare = counts.filter((pl.col("len") < min_rows) | (pl.col("label") == (rare_class or "")))
        by_category: dict[str, dict[str, int]] = {}
        # Sorted, because a run keeps them in a file that must be the same at each start.
        for category, label, rows in rare.sort(CATEGORY, "label").iter_rows():
            by_category.setdefault(category, {})[label] = rows
        for category, rows_of in by_category.items():
            target = rare_class if rare_class and sum(rows_of.values()) >= min_rows else ""
            labels = tuple(label for label in rows_of if label != target)
            if labels:
                found.setdefault(column, {})[category] = {target: labels}
    return found


def fold_rare(frame: pl.DataFrame, rare: RareLabels) -> tuple[pl.DataFrame, dict[str, int]]:
    """The columns with rare labels read as their class, and how many cells that is by class.

    Columns that the frame does not have are passed over: another file may have fewer.

    Args:
        frame: Columns of text with `Category`.
        rare: As `find_rare` gives it.
    """
    cells: dict[str, int] = {}
    folded = []
    for column, by_category in rare.items():
        if column not in frame.columns or not by_category:
            continue
        # One look-up for both, the category and the label; no text of a file holds this character.
        joined = frame.select(pl.concat_str(CATEGORY, column, separator="\0")).to_series()
        names = _by_key(by_category)
        new = joined.replace_strict(list(names), list(names.values()), default=None)
        for name, count in new.drop_nulls().value_counts().iter_rows():
            cells[name] = cells.get(name, 0) + count
        folded.append(new.fill_null(frame[column]).alias(column))
    return frame.with_columns(folded), cells


def rare_note(path: object, cells: Mapping[str, int]) -> str:
    """What a person should know of the cells that `fold_rare` counted."""
    names = {name: f"'{shown(name)}'" if name else "unknown" for name in sorted(cells)}
    parts = ", ".join(f"{cells[name]:,} as {text}" for name, text in names.items())
    return f"note: {path}: labels of too few rows (`min_rows`) are read as another: {parts}"


def _by_key(by_category: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, str]:
    return {
        f"{category}\0{label}": name
        for category, classes in by_category.items()
        for name, labels in classes.items()
        for label in labels
    }
