from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from visual_taxonomy.data.split import TEST, TRAIN, VALIDATION, read_groups, read_split
from visual_taxonomy.errors import InputError
from visual_taxonomy.grid.grid_file import Grid, Range, read_grid
from visual_taxonomy.grid.plan import PlannedRun
from visual_taxonomy.grid.search import (
    Budget,
    Found,
    Trials,
    check_ranges,
    search,
    write_search_splits,
)

BASE = '[base]\nimg_dir = "images"\ncsv_path = "train.csv"\n'
RANGE = "[search]\ndropout = { low = 0.0, high = 0.8 }\n"
SPLITS = Path("trials.csv"), Path("final.csv")


def grid_of(folder: Path, text: str) -> Grid:
    (folder / "grid.toml").write_text(BASE + text)
    return read_grid(folder / "grid.toml", {})


def searched(grid: Grid, budget: Budget, num_jobs: int = 1) -> tuple[Found, list[PlannedRun]]:
    """A search whose score is highest for a dropout of 0.3, and all its runs; each takes 30 s."""
    done: list[PlannedRun] = []

    def do(runs: Sequence[PlannedRun]) -> pl.DataFrame:
        done.extend(runs)
        scores = [1 - abs(run.config.model.dropout - 0.3) for run in runs]
        return pl.DataFrame({"status": "ok", "hm": scores, "seconds": 30.0})

    found = search(grid, SPLITS, do, budget, Trials(grid.search, seed=0), num_jobs)
    assert found is not None
    return found, done


def test_the_best_trial_is_chosen_and_trained_anew_on_the_outer_fold(tmp_path: Path) -> None:
    found, done = searched(grid_of(tmp_path, RANGE + "[grid]\nseeds = 2\n"), Budget(trials=12))
    assert found.settings["dropout"] == pytest.approx(0.3, abs=0.1)
    assert found.inner == pytest.approx(1 - abs(found.settings["dropout"] - 0.3))
    assert [run.name for run in done[12:]] == [
        "base, seed 0",
        "chosen, seed 0",
        "base, seed 1",
        "chosen, seed 1",
    ]
    assert {run.config.data.split_path for run in done[:12]} == {SPLITS[0].resolve()}
    assert {run.config.data.split_path for run in done[12:]} == {SPLITS[1].resolve()}


def test_a_search_that_starts_again_proposes_the_same_trials(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, RANGE)
    runs = [searched(grid, Budget(trials=7), num_jobs=2)[1] for _ in range(2)]
    settings = [[run.settings for run in each] for each in runs]
    assert settings[0] == settings[1]
    assert len({run.config.model.dropout for run in runs[0][:7]}) == 7


def test_a_budget_of_minutes_counts_trials_at_a_time(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, RANGE)
    assert searched(grid, Budget(minutes=2))[0].trials == 4
    assert searched(grid, Budget(minutes=2), num_jobs=2)[0].trials == 8


def test_values_of_a_logarithmic_range_are_spread_by_factors() -> None:
    trials = Trials({"scratch_lr": Range(1e-5, 1e-1, log=True)}, seed=0)
    values = [trials.propose(1)[0]["scratch_lr"]]
    for _ in range(40):
        trials.tell([{"scratch_lr": values[-1]}], [None])
        values.append(trials.propose(1)[0]["scratch_lr"])
    assert 1e-5 <= min(values) <= max(values) <= 1e-1
    assert 1e-4 < np.median(values) < 1e-2


def test_without_any_score_nothing_is_chosen() -> None:
    trials = Trials({"dropout": Range(0, 1)}, seed=0)
    trials.tell([{"dropout": 0.5}], [None])
    with pytest.raises(InputError, match="no trial of the search has a score"):
        trials.best()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a search needs ranges: \[search\]"),
        ("[search]\ndropout = { low = 0, high = 1 }\n", r"dropout = 1.*`dropout` must lie in"),
        ("[search]\nhead = { low = 0, high = 1 }\n", "head = 0 cannot be used"),
    ],
)
def test_ranges_are_tried_at_both_ends(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_ranges(grid_of(tmp_path, text))


def test_no_trial_sees_the_rows_that_score_the_choice(tmp_path: Path) -> None:
    ids, groups = np.arange(60).astype(str), np.arange(60) // 2
    trials, final = write_search_splits(tmp_path, ids, np.zeros(60, int), groups, 5, seed=0)
    inner, outer = read_split(trials, ids), read_split(final, ids)
    assert np.bincount(inner).tolist() == [36, 12, 12]
    assert ((inner == TEST) == (outer == VALIDATION)).all()
    assert (outer[inner != TEST] == TRAIN).all()
    # Near-duplicates stay on one side.
    assert (inner[::2] == inner[1::2]).all()
    assert (read_groups(trials, ids) == groups * 2).all()


def test_a_search_needs_three_folds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`folds` 2: a search needs 3 or more"):
        write_search_splits(tmp_path, np.arange(4), np.zeros(4, int), np.arange(4), 2, seed=0)
