"""Labels that a taxonomy does not have: found, counted, and made classes that are never right."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from visual_taxonomy.data.attributes import LabelColumns
from visual_taxonomy.data.label_reading import UnknownLabels
from visual_taxonomy.errors import shown
from visual_taxonomy.taxonomy import Taxonomy

Unseen = dict[str, dict[str, int]]
"""Task name -> label that is none of its classes -> rows."""

_MOST_NAMED = 5


def find_unseen(
    labels: LabelColumns, taxonomy: Taxonomy, columns: Mapping[str, Sequence[int | None]]
) -> Unseen:
    """The labels of a file that are no classes of their tasks.

    Args:
        labels: Of the file.
        taxonomy: What is known.
        columns: Column -> for each of the K categories the slot whose labels it holds, or None.
    """
    unseen: Unseen = {}
    for column, slots in columns.items():
        for category, slot in enumerate(slots):
            if slot is None:
                continue
            task = taxonomy.tasks[taxonomy.slots[category][slot]]
            counts = labels.counts(column).get(task.category, {})
            # Sorted, because the further classes get their indices in this order.
            others = {label: counts[label] for label in sorted(set(counts) - set(task.classes))}
            if others:
                unseen[task.name] = others
    return unseen


def with_unseen(taxonomy: Taxonomy, unseen: Unseen) -> Taxonomy:
    """The taxonomy with further classes behind those it has, whose indices stay.

    Example:
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"]}})
        >>> with_unseen(taxonomy, {"Sarees/border": {"lace": 3}}).to_dict()
        {'Sarees': {'border': ['zari', 'no', 'lace']}}
    """
    return Taxonomy(
        tuple(
            replace(task, classes=(*task.classes, *unseen.get(task.name, ())))
            for task in taxonomy.tasks
        )
    )


def note_unseen(
    unseen: Unseen, unknown_labels: UnknownLabels, on_note: Callable[[str], None]
) -> None:
    """Say how many labels are unknown, and what becomes of them."""
    rows = {
        f"{task} '{shown(label)}'": count
        for task, labels in unseen.items()
        for label, count in labels.items()
    }
    if not rows:
        return
    by_count = sorted(rows, key=lambda name: (-rows[name], name))
    names = ", ".join(f"{name} {rows[name]:,}" for name in by_count[:_MOST_NAMED])
    rest = len(rows) - _MOST_NAMED
    more = f", and of {rest:,} more classes" if rest > 0 else ""
    fate = "count as wrong" if unknown_labels == "wrong" else "are ignored"
    on_note(
        f"note: labels that the model does not know {fate} (`unknown_labels={unknown_labels}`): "
        f"{sum(rows.values()):,} ({names}{more})"
    )
