"""What a ledger says of the variants of a grid: scores with intervals, tests, price, choice.

Shapes: N held-out rows, A slots, R seeds, T heads, V variants.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from visual_taxonomy.decision.comparison import Comparison, compare_repeats, in_order_of
from visual_taxonomy.decision.held_out import HeldOut, pool
from visual_taxonomy.decision.intervals import ScoreIntervals
from visual_taxonomy.decision.many import Ranks, holm, mean_ranks, pareto_front, wilcoxon
from visual_taxonomy.decision.repeats import cross_fitted_choice, head_scores, repeat_intervals
from visual_taxonomy.errors import InputError
from visual_taxonomy.grid.ledger import FAILED, OK
from visual_taxonomy.grid.run_scores import read_answers


class Against(NamedTuple):
    """A variant against the baseline."""

    comparison: Comparison
    """Its HM minus that of the baseline, paired by rows and seeds."""
    p_value: float
    """Of the randomization test over products, corrected for the number of variants (Holm)."""
    wilcoxon: float
    """Of the signed-rank test over heads, corrected in the same way."""


@dataclass(frozen=True)
class VariantResult:
    """A variant of a grid.

    Args:
        name: Of the variant.
        answers: Seed -> [N, A] classes.
        scores: Means over its seeds; the intervals are over products and seeds.
        decision: Mean of HM with the decision, cross-fitted; None where there is none.
        best_epoch: Mean of HM of the epochs that the held-out rows chose.
        seconds: Of a run, the median.
        failures: Reason of each run that failed.
        against: None for the baseline.
    """

    name: str
    answers: Mapping[int, np.ndarray]
    scores: ScoreIntervals
    decision: float | None
    best_epoch: float
    seconds: float
    failures: Sequence[str]
    against: Against | None = None


class Choice(NamedTuple):
    """What the best variant is worth."""

    name: str
    """The one with the highest HM."""
    flattering: float
    """Its HM on the rows that chose it."""
    honest: float
    """HM of the choice, made for each fold of the rows on the others."""
    chosen: list[str]
    """What each fold got."""


@dataclass(frozen=True)
class Results:
    """A whole grid.

    Args:
        rows: The held-out rows of all variants.
        variants: In the order of the grid; those without a finished seed are in `missing`.
        baseline: Name of a variant.
        ranks: Over heads; None of a single variant or head.
        front: Names of the variants that no cheaper one beats.
        choice: None of a single variant.
        missing: Variant -> why it has no scores.
        codes: Versions of the code that the rows are of.
        is_decided: Whether answers are those of the decisions, not the most probable classes.
    """

    rows: HeldOut
    variants: Sequence[VariantResult]
    baseline: str
    ranks: Ranks | None
    front: Sequence[str]
    choice: Choice | None
    missing: Mapping[str, str]
    codes: Sequence[str]
    is_decided: bool


def results_of(
    ledger: pl.DataFrame,
    folder: Path,
    names: Sequence[str],
    baseline: str,
    samples: int = 1000,
    on_progress: Callable[[int], None] = lambda done: None,
    *,
    is_decided: bool = False,
) -> Results:
    """Analyse the rows of a grid.

    Args:
        ledger: Rows of the runs of this grid, and no others.
        folder: Of the ledger.
        names: Variants, in order.
        baseline: One of them.
        samples: Of each bootstrap and test.
        on_progress: Called with the number of variants done.
        is_decided: Whether the answers are those of the decisions, not the most probable classes.

    Raises:
        InputError: No run has finished, the baseline has no scores, or runs were scored on
            different rows.
    """
    rows, answers, missing = _answers(ledger, folder, names, is_decided)
    if baseline not in answers:
        why = missing.get(baseline, "no run of it has ended")
        raise InputError(f"the baseline '{baseline}' has no scores: {why}")
    found = []
    for name, of_seeds in answers.items():
        found.append(
            _variant(ledger, rows, name, of_seeds, answers[baseline], samples, name == baseline)
        )
        on_progress(len(found))
    found = _corrected(found)
    front = pareto_front([e.seconds for e in found], [e.scores.hm.value for e in found])
    return Results(
        rows,
        found,
        baseline,
        _ranks(rows, found),
        [found[place].name for place in front],
        _choice(rows, found),
        missing,
        sorted(set(ledger["code_digest"].drop_nulls().to_list())),
        is_decided,
    )


def _answers(
    ledger: pl.DataFrame, folder: Path, names: Sequence[str], is_decided: bool
) -> tuple[HeldOut, dict[str, dict[int, np.ndarray]], dict[str, str]]:
    """The rows, variant -> seed -> answers to them, and why others have none."""
    first: HeldOut | None = None
    answers: dict[str, dict[int, np.ndarray]] = {}
    missing: dict[str, str] = {}
    for name in names:
        of_variant = ledger.filter(pl.col("variant") == name)
        for seed in of_variant["seed"].unique().sort().to_list():
            of_seed = of_variant.filter(pl.col("seed") == seed)
            if not (of_seed["status"] == OK).all():
                continue  # a fold that is missing would be other rows
            paths = [folder / path for path in of_seed.sort("fold")["held_out"].to_list()]
            held_out = pool([read_answers(path, is_decided) for path in paths])
            first = held_out if first is None else first
            held_out = in_order_of(first, held_out, (names[0], name))
            answers.setdefault(name, {})[seed] = held_out.most_probable()
        if name not in answers:
            reasons = of_variant["reason"].drop_nulls().to_list()
            missing[name] = reasons[0] if reasons else "no run of it has ended"
    if first is None:
        raise InputError(f"no run has ended well: {next(iter(missing.values()), 'none was done')}")
    return first, answers, missing


def _variant(
    ledger: pl.DataFrame,
    rows: HeldOut,
    name: str,
    answers: dict[int, np.ndarray],
    baseline: dict[int, np.ndarray],
    samples: int,
    is_baseline: bool,
) -> VariantResult:
    of_variant = ledger.filter(pl.col("variant") == name)
    done = of_variant.filter(pl.col("status") == OK)
    # The seconds of a resumed run are those of its last part.
    whole = done.filter(~pl.col("is_resumed")) if not done["is_resumed"].all() else done
    against = None
    # Seeds pair runs: a seed that failed in either is left out of the comparison.
    shared = sorted(answers.keys() & baseline.keys())
    if not is_baseline and shared:
        pair = [baseline[s] for s in shared], [answers[s] for s in shared]
        heads = (_mean_heads(rows, each) for each in pair)
        compared = compare_repeats(rows, *pair, samples)
        against = Against(compared, compared.overall.hm.p_value, wilcoxon(*heads))
    return VariantResult(
        name,
        answers,
        repeat_intervals(rows, list(answers.values()), samples),
        _mean(done["hm_decision"]),
        _mean(done["hm_best_epoch"]) or 0.0,
        # The median: one run that another program held up is not the price of a variant.
        float(np.median(whole["seconds"].to_numpy())),
        of_variant.filter(pl.col("status") == FAILED)["reason"].to_list(),
        against,
    )


def _corrected(variants: Sequence[VariantResult]) -> list[VariantResult]:
    """With p-values corrected for the number of comparisons."""
    compared = [each.against for each in variants if each.against is not None]
    pairs = zip(
        holm([each.p_value for each in compared]),
        holm([each.wilcoxon for each in compared]),
        strict=True,
    )
    return [
        each
        if each.against is None
        else replace(each, against=Against(each.against[0], *next(pairs)))
        for each in variants
    ]


def _ranks(rows: HeldOut, variants: Sequence[VariantResult]) -> Ranks | None:
    scores = np.stack([_mean_heads(rows, list(each.answers.values())) for each in variants])
    try:
        return mean_ranks(scores)
    except InputError:
        return None


def _choice(rows: HeldOut, variants: Sequence[VariantResult]) -> Choice | None:
    if len(variants) < 2 or len(np.unique(rows.groups)) < 2:
        return None
    answers = [list(each.answers.values()) for each in variants]
    flattering, honest, chosen = cross_fitted_choice(rows, answers)
    best = max(variants, key=lambda each: each.scores.hm.value)
    return Choice(best.name, flattering, honest, [variants[place].name for place in chosen])


def _mean_heads(rows: HeldOut, answers: Sequence[np.ndarray]) -> np.ndarray:
    """[T] mean HM of each head over the seeds."""
    return np.mean([head_scores(rows, each).hm for each in answers], axis=0)


def _mean(column: pl.Series) -> float | None:
    known: Any = column.drop_nulls().mean()
    return None if known is None else float(known)
