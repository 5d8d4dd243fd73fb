"""Search of continuous settings: trials on inner rows, the choice scored on outer rows.

The rows are cut into folds. The first one is the outer fold: no trial sees it, neither to train on
nor to be scored. The trials are scored on the second and trained on the others. What they choose,
and the base beside it, is then trained on all but the outer fold and scored there.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from visual_taxonomy.data.folds import split_folds
from visual_taxonomy.data.split import TEST, TRAIN, VALIDATION, write_split
from visual_taxonomy.errors import InputError
from visual_taxonomy.grid.grid_file import BASE, Grid, Range, Variant
from visual_taxonomy.grid.ledger import OK
from visual_taxonomy.grid.plan import PlannedRun, planned

CHOSEN = "chosen"
"""Name of the variant that the search ends with."""

FOLDS = 5
"""Where the grid has none: a fifth of the rows for the choice, another for its score."""

_OUTER, _INNER = 0, 1


@dataclass(frozen=True)
class Budget:
    """When a search ends, whichever comes first.

    Args:
        trials: Number of trials; None for any.
        minutes: Of the trials, added up and divided by those at a time; None for any.
    """

    trials: int | None = None
    minutes: float | None = None

    def is_spent(self, trials: int, seconds: float) -> bool:
        """Whether there is nothing left.

        Example:
            >>> Budget(trials=10).is_spent(9, 1e6), Budget(minutes=2).is_spent(1, 120.0)
            (False, True)
        """
        return (self.trials is not None and trials >= self.trials) or (
            self.minutes is not None and seconds >= 60 * self.minutes
        )


class Trials:
    """Proposes settings, a batch at a time; the same ones whenever the same scores are told.

    A batch is proposed from the scores of the batches before it, by a sampler with a seed of its
    own. So a search that was killed proposes again what it had, and finds it in the ledger.

    Args:
        ranges: Flag -> range.
        seed: Of the proposals.

    Raises:
        ModuleNotFoundError: Optuna is not installed; the command line names the extra.

    References:
        Bergstra et al., NeurIPS 2011 (the tree-structured Parzen estimator); Akiba et al., KDD
        2019 (Optuna).
    """

    def __init__(self, ranges: Mapping[str, Range], seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._ranges = ranges
        self._seed = seed
        self._told: list[tuple[dict[str, float], float | None]] = []

    def __len__(self) -> int:
        return len(self._told)

    def propose(self, size: int) -> list[dict[str, float]]:
        """A batch of settings: flag -> value."""
        import optuna

        sampler = optuna.samplers.TPESampler(seed=self._seed + len(self._told), constant_liar=True)
        study = optuna.create_study(sampler=sampler, direction="maximize")
        space: dict[str, optuna.distributions.BaseDistribution] = {
            name: optuna.distributions.FloatDistribution(each.low, each.high, log=each.log)
            for name, each in self._ranges.items()
        }
        states = optuna.trial.TrialState
        for settings, score in self._told:
            study.add_trial(
                optuna.trial.create_trial(
                    params=settings,
                    distributions=space,
                    value=score,
                    state=states.COMPLETE if score is not None else states.FAIL,
                )
            )
        return [study.ask(space).params for _ in range(size)]

    def tell(self, settings: Sequence[dict[str, float]], scores: Sequence[float | None]) -> None:
        """The scores of a batch; None for a run that failed."""
        self._told += zip(settings, scores, strict=True)

    def best(self) -> tuple[dict[str, float], float]:
        """The settings with the highest score, and that score.

        Raises:
            InputError: No trial has a score.
        """
        scored = [(score, settings) for settings, score in self._told if score is not None]
        if not scored:
            raise InputError("no trial of the search has a score; the ledger holds the reasons")
        score, settings = max(scored, key=lambda each: each[0])
        return settings, score


Do = Callable[[Sequence[PlannedRun]], pl.DataFrame | None]
"""Does runs, and gives their rows of the ledger in order; None if it was interrupted."""


@dataclass(frozen=True)
class Found:
    """What a search ends with.

    Args:
        runs: Of base and choice, on the outer fold; done.
        settings: The choice: flag -> value.
        inner: Its HM on the rows that chose it.
        trials: Number of trials.
    """

    runs: Sequence[PlannedRun]
    settings: Mapping[str, float]
    inner: float
    trials: int


def check_ranges(grid: Grid) -> None:
    """Build the settings at both ends of each range.

    Raises:
        InputError: The grid has no range, or an end is refused; it is named.
    """
    if not grid.search:
        raise InputError(
            f"{grid.path}: a search needs ranges: [search] with, for example, "
            "scratch_lr = { low = 1e-4, high = 1e-2, log = true }"
        )
    for name, ends in grid.search.items():
        for value in (ends.low, ends.high):
            planned(grid, Variant(f"{name} = {value}", {name: value}), grid.seeds[0], None)


def search(
    grid: Grid,
    splits: tuple[Path, Path],
    do: Do,
    budget: Budget,
    trials: Trials,
    num_jobs: int = 1,
    threads: int = 1,
) -> Found | None:
    """Search the ranges of a grid.

    Args:
        grid: With ranges.
        splits: Files of `write_search_splits`.
        do: Does runs.
        budget: When to end.
        trials: Empty.
        num_jobs: Trials of a batch.
        threads: Of each process.

    Returns:
        The choice and its runs; None if it was interrupted.

    Raises:
        InputError: No trial has a score.
    """
    seconds, seed = 0.0, grid.seeds[0]
    while not budget.is_spent(len(trials), seconds):
        size = num_jobs if budget.trials is None else min(num_jobs, budget.trials - len(trials))
        proposed = trials.propose(size)
        variants = [
            Variant(f"trial {len(trials) + place}", settings)
            for place, settings in enumerate(proposed)
        ]
        rows = do([_on(splits[0], planned(grid, each, seed, None, threads)) for each in variants])
        if rows is None:
            return None
        found = rows.select("status", "hm", "seconds").rows()
        trials.tell(proposed, [hm if status == OK else None for status, hm, _ in found])
        seconds += sum(each[2] or 0.0 for each in found) / num_jobs
    settings, inner = trials.best()
    final = [Variant(BASE, {}), Variant(CHOSEN, settings)]
    runs = [
        _on(splits[1], planned(grid, variant, seed, None, threads))
        for seed in grid.seeds
        for variant in final
    ]
    return None if do(runs) is None else Found(runs, settings, inner, len(trials))


def _on(split: Path, run: PlannedRun) -> PlannedRun:
    """The run with its rows from a split file."""
    data = replace(run.config.data, split_path=split.resolve())
    return replace(run, config=replace(run.config, data=data))


def write_search_splits(
    folder: Path, ids: np.ndarray, categories: np.ndarray, groups: np.ndarray, folds: int, seed: int
) -> tuple[Path, Path]:
    """Write the splits of trials and of the final runs, and say where they are.

    Args:
        folder: Where the files go.
        ids: [N] ids of the rows.
        categories: [N] category indices.
        groups: [N] near-duplicate groups.
        folds: Parts that the rows are cut into, 3 or more.
        seed: Of the folds.

    Raises:
        InputError: Fewer than 3 folds.
    """
    if folds < 3:
        raise InputError(
            f"`folds` {folds}: a search needs 3 or more, one to choose by, one to score the choice "
            "on, and others to train on"
        )
    of_rows = split_folds(categories, folds, seed, groups)
    trial = np.where(of_rows == _OUTER, TEST, np.where(of_rows == _INNER, VALIDATION, TRAIN))
    final = np.where(of_rows == _OUTER, VALIDATION, TRAIN)
    name = hashlib.sha256(trial.tobytes()).hexdigest()[:16]
    paths = folder / f"search-{name}-trials.csv", folder / f"search-{name}-final.csv"
    for path, parts in zip(paths, (trial, final), strict=True):
        write_split(path, ids, parts.astype(np.int8), groups)
    return paths
