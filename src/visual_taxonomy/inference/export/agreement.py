"""How far an exported model gives the answers of its checkpoint.

Shapes: N rows, A slots.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import evaluate
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.taxonomy import UNKNOWN, Taxonomy

_NAMED = 5


@dataclass(frozen=True)
class Agreement:
    """Checkpoint and export side by side on the same rows.

    Args:
        rows: Rows that were compared: those that one of the two could answer.
        labels: Labels that were compared: one for each attribute of each row's category.
        agreement: Share of them that are the same, from 0 to 1.
        heads: Task name -> its own share, for the tasks that occur.
        hm_checkpoint: HM-F1 of the checkpoint.
        hm_export: HM-F1 of the export.
    """

    rows: int
    labels: int
    agreement: float
    heads: Mapping[str, float]
    hm_checkpoint: float
    hm_export: float

    def to_dict(self) -> dict[str, object]:
        """Plain values for the manifest."""
        return asdict(self)


def measure(
    reference: Predictor,
    exported: Predictor,
    table: Table,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Agreement:
    """Predict every row with both models and compare.

    Args:
        reference: The checkpoint, in torch and float32.
        exported: The bundle.
        table: Labelled rows.
        on_progress: Called with the number of predictions done, of 2 N in all.

    Raises:
        InputError: No row has a label, or no image can be read.
    """
    expected, _ = reference.predict_classes(table, on_progress)
    found, _ = exported.predict_classes(table, lambda done: on_progress(len(table) + done))
    return compare(table.taxonomy, expected, found, table.targets, table.categories)


def compare(
    taxonomy: Taxonomy,
    expected: np.ndarray,
    found: np.ndarray,
    targets: np.ndarray,
    categories: np.ndarray,
) -> Agreement:
    """Compare two sets of predictions; what neither could answer is left out.

    Args:
        taxonomy: Says which task stands in which slot.
        expected: [N, A] class indices of the checkpoint, -1 for no answer.
        found: [N, A] class indices of the export.
        targets: [N, A] true class indices, -1 where unknown.
        categories: [N] category indices.

    Raises:
        InputError: No row has a label, or no row has a prediction.

    Example:
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"]}})
        >>> one, other, truth = np.array([[0], [1]]), np.array([[0], [0]]), np.array([[0], [-1]])
        >>> compare(taxonomy, one, other, truth, np.array([0, 0])).heads
        {'Sarees/border': 0.5}
    """
    # Where only one of the two answers they differ, and that counts against the export.
    answered = (expected != UNKNOWN) | (found != UNKNOWN)
    if not answered.any():
        raise InputError("nothing to compare: no image of the CSV can be read")
    same = expected == found
    heads = {}
    for task, name in enumerate(taxonomy.task_names):
        category = taxonomy.category_index(taxonomy.tasks[task].category)
        slot = taxonomy.slots[category].index(task)
        chosen = (categories == category) & answered[:, slot]
        if chosen.any():
            heads[name] = float(same[chosen, slot].mean())
    return Agreement(
        int(answered.any(axis=1).sum()),
        int(answered.sum()),
        float(same[answered].mean()),
        heads,
        evaluate(taxonomy, expected, targets, categories).hm,
        evaluate(taxonomy, found, targets, categories).hm,
    )


def check_gate(agreement: Agreement, least: float) -> None:
    """Refuse an export whose answers are too often others than those of the checkpoint.

    Args:
        agreement: What was measured.
        least: The least share of equal labels, from 0 to 1.

    Raises:
        InputError: The share is lower; the message names the heads that moved most.
    """
    if agreement.agreement >= least:
        return
    moved = sorted(agreement.heads.items(), key=lambda item: item[1])
    worst = ", ".join(f"{name} {share:.2%}" for name, share in moved[:_NAMED] if share < least)
    raise InputError(
        f"label agreement with the checkpoint is {agreement.agreement:.2%}, below the minimum of "
        f"{least:.2%} (`min_agreement`); HM-F1 {agreement.hm_export:.4f}, of the "
        f"checkpoint {agreement.hm_checkpoint:.4f}; the heads that changed most: {worst}; nothing "
        "was written"
    )
