"""Fit how witnesses answer together, on rows that none of them was fitted on.

Shapes: N rows, A slots, C classes of the widest task, T tasks, P powers.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from visual_taxonomy.decision.cells import log_prior
from visual_taxonomy.decision.fitting import fit_decision
from visual_taxonomy.decision.folds import assign_folds
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.decision.tables import FLOOR, Tables, padded
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import UNKNOWN
from visual_taxonomy.witnesses.combination import (
    COMBINATIONS,
    IMAGE,
    NAMES,
    Combination,
    Said,
    Witnesses,
    bits_of,
    product,
    speaking,
)
from visual_taxonomy.witnesses.fusion import FusionHead, fit_powers
from visual_taxonomy.witnesses.known_labels import KnownLabels
from visual_taxonomy.witnesses.words import Words

FOLDS = 5


def fit_witnesses(
    held_out: HeldOut,
    words: Words | None,
    known_labels: KnownLabels | None,
    source: str = "held-out rows",
    combinations: Sequence[int] = COMBINATIONS,
) -> Witnesses:
    """Fit the powers and the decision of every combination that some rows have.

    A decision is fitted on probabilities fused out of fold: powers that were fitted on the very
    rows would make it too sure.

    Args:
        held_out: What the model and its witnesses say of rows that none was trained on.
        words: As the model will carry it.
        known_labels: As the model will carry it.
        source: Names the rows for people.
        combinations: Those to fit.
    """
    found = {}
    for combination in combinations:
        said = said_of(held_out, combination)
        if said is None:
            continue
        powers = fit_powers(_heads(held_out, said, np.ones(len(held_out), np.bool_)))
        try:
            rows = fused_out_of_fold(held_out, combination)
            decision = fit_decision(rows, source=source)
        except InputError:
            # Too few rows have these witnesses: what fewer of them say answers such cells.
            continue
        found[combination] = Combination(powers, decision)
    return Witnesses(held_out.taxonomy, _log_prior(held_out), dict(found), words, known_labels)


def said_of(held_out: HeldOut, combination: int) -> dict[int, np.ndarray] | None:
    """What the witnesses of a combination say where all speak; None if that is nowhere."""
    all_said = {IMAGE: held_out.probabilities}
    for bit, name in NAMES.items():
        if name in held_out.witnesses:
            all_said[bit] = held_out.witnesses[name]
    if not set(bits_of(combination)) <= set(all_said):
        return None
    said = {bit: all_said[bit] for bit in bits_of(combination)}
    together = speaking(said) == combination
    if not together.any():
        return None
    return {bit: np.where(together[..., None], each, 0.0) for bit, each in said.items()}


def fused_out_of_fold(held_out: HeldOut, combination: int, seed: int = 0) -> HeldOut:
    """The rows that a combination speaks of, each fused with powers fitted on the other folds.

    Args:
        held_out: All rows.
        combination: Witnesses that speak somewhere.
        seed: Of the folds.

    Raises:
        InputError: Fewer than 2 products that are no near-duplicates have these witnesses.
    """
    said = said_of(held_out, combination)
    if said is None:
        raise InputError(f"no row has {' and '.join(NAMES[bit] for bit in bits_of(combination))}")
    rows = np.flatnonzero((speaking(said) == combination).any(axis=1))
    kept = held_out.take(rows)
    said = {bit: each[rows] for bit, each in said.items()}
    tables = Tables(held_out.taxonomy)
    prior = tables.by_slot(_log_prior(held_out))
    fused = np.zeros_like(kept.probabilities)
    folds = assign_folds(kept.categories, kept.groups, FOLDS, seed)
    for fold in np.unique(folds):
        others, own = folds != fold, np.flatnonzero(folds == fold)
        powers = tables.by_slot(fit_powers(_heads(kept, said, others)))
        of_fold = {bit: each[own] for bit, each in said.items()}
        categories = kept.categories[own]
        fused[own] = product(
            tables, of_fold, categories, combination, powers[categories], prior[categories]
        )
    return replace(kept, probabilities=fused, witnesses={})


def heard_together(held_out: HeldOut) -> HeldOut:
    """The rows with what all who speak of each cell say together, fused out of fold.

    Cells that only the image speaks of keep its probabilities.

    Args:
        held_out: Rows with or without witnesses.
    """
    probabilities = held_out.probabilities.copy()
    # The fullest last: where it speaks it takes the place of the others.
    for combination in reversed(COMBINATIONS):
        said = said_of(held_out, combination)
        if said is None:
            continue
        cells = speaking(said) == combination
        rows = np.flatnonzero(cells.any(axis=1))
        try:
            fused = fused_out_of_fold(held_out, combination)
        except InputError:
            continue  # too few rows to fit on
        whole = np.zeros_like(probabilities)
        whole[rows] = fused.probabilities
        probabilities[cells] = whole[cells]
    return replace(held_out, probabilities=probabilities, witnesses={})


def _heads(held_out: HeldOut, said: Said, chosen: np.ndarray) -> list[FusionHead]:
    """The cells of each head in the chosen rows, [N] bool; 0 in `said` hides a cell."""
    targets = np.where(chosen[:, None], held_out.targets, UNKNOWN)
    views = [
        # A view for each witness: all hide the same cells, so that their rows are the same.
        replace(held_out, probabilities=each, targets=targets, witnesses={}).heads()
        for each in said.values()
    ]
    found = []
    for heads in zip(*views, strict=True):
        logs = [np.log(np.maximum(head.probabilities, FLOOR)) for head in heads]
        prior = np.broadcast_to(log_prior(heads[0].class_counts), logs[0].shape)
        found.append(FusionHead(np.stack([*logs, prior], axis=1), heads[0].labels))
    return found


def _log_prior(held_out: HeldOut) -> np.ndarray:
    """[T, C] of all heads."""
    counts = [np.asarray(held_out.class_counts[n]) for n in held_out.taxonomy.task_names]
    return padded([log_prior(each).tolist() for each in counts], held_out.probabilities.shape[2])
