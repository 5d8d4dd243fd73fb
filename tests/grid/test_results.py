"""Results of a ledger whose runs are drawn, and the files that show them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from visual_taxonomy.commands.compare_text import lines, result_table
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.grid.ledger import SCHEMA
from visual_taxonomy.grid.results import Results, results_of
from visual_taxonomy.reporting.grid_files import write_files

SHARES = {"plain": 0.4, "good": 0.1, "alike": 0.4}
"""Variant -> share of the rows that it answers at random."""


def draw_run(rows: HeldOut, share: float, seed: int) -> HeldOut:
    """Certain of the label, or of class 0."""
    classes = np.maximum(rows.targets, 0)
    classes[np.random.default_rng(seed).random(classes.shape) < share] = 0
    probabilities = np.eye(rows.probabilities.shape[2], dtype=np.float32)[classes]
    arrays = rows.ids, rows.categories, rows.groups, probabilities, rows.targets
    # Some other order of the rows in each run: ids tell which is which.
    order = np.random.default_rng(seed).permutation(len(rows))
    return HeldOut(rows.taxonomy, rows.class_counts, *arrays).take(order)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, held_out: HeldOut) -> Path:
    """Of a ledger of three variants with three seeds and two folds; a run of good failed."""
    folder, rows = tmp_path_factory.mktemp("ledger"), []
    half = np.arange(len(held_out)) % 4 < 2
    for number, (variant, share) in enumerate(SHARES.items()):
        for seed in range(3):
            for fold, part in enumerate((half, ~half)):
                name = f"{variant}-{seed}-{fold}"
                run = draw_run(held_out.take(part), share, 100 * number + 10 * seed + fold)
                (folder / name).mkdir()
                run.write(folder / name / "held_out_last.npz")
                if variant != "alike":  # decides as the labels are
                    np.savez(folder / name / "decided_last.npz", classes=run.targets)
                row = {"digest": name, "name": name, "variant": variant, "seed": seed}
                row |= {"fold": fold, "status": "ok", "held_out": f"{name}/held_out_last.npz"}
                row |= {"seconds": 10.0 * share, "is_resumed": False, "hm_best_epoch": 0.9}
                rows.append(row | {"hm_decision": 0.8, "code_digest": "c0de"})
    failed = {"status": "failed", "held_out": None, "reason": "killed by SIGKILL"}
    rows[7] |= failed  # good, seed 0, fold 1
    rows.append({"digest": "x", "name": "lost", "variant": "lost", "seed": 0, **failed})
    pl.DataFrame([dict.fromkeys(SCHEMA) | row for row in rows], schema=SCHEMA).write_parquet(
        folder / "ledger.parquet"
    )
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    ledger = pl.read_parquet(folder / "ledger.parquet")
    return results_of(ledger, folder, [*SHARES, "lost", "never"], "plain", samples=200)


def test_folds_are_pooled_and_seeds_averaged(results: Results, held_out: HeldOut) -> None:
    assert [each.name for each in results.variants] == ["plain", "good", "alike"]
    assert len(results.rows) == len(held_out)
    plain, good, _ = results.variants
    assert sorted(plain.answers) == [0, 1, 2]
    assert plain.scores.hm.low < plain.scores.hm.value < plain.scores.hm.high
    assert good.scores.hm.value > plain.scores.hm.value
    assert plain.seconds == pytest.approx(4.0)


def test_a_seed_with_a_failed_fold_is_left_out_of_both_sides(results: Results) -> None:
    good = results.variants[1]
    assert sorted(good.answers) == [1, 2]
    assert good.failures == ["killed by SIGKILL"]


def test_the_better_variant_differs_and_the_other_does_not(results: Results) -> None:
    plain, good, alike = (each.against for each in results.variants)
    assert plain is None
    assert good is not None
    assert alike is not None
    # 1 of 201 exchanges, times two comparisons.
    assert good.p_value == pytest.approx(2 / 201)
    assert good.comparison.overall.hm.low > 0
    assert alike.p_value > 0.05
    assert alike.comparison.overall.hm.low < 0 < alike.comparison.overall.hm.high


def test_the_choice_is_scored_with_and_without_flattery(results: Results) -> None:
    assert results.choice is not None
    assert results.choice.name == "good"
    assert results.choice.chosen == ["good"] * 5
    assert results.choice.honest == pytest.approx(results.choice.flattering)


def test_the_cheaper_and_better_variant_is_the_front(results: Results) -> None:
    assert list(results.front) == ["good"]


def test_variants_without_scores_are_named_with_the_reason(results: Results) -> None:
    assert results.missing == {"lost": "killed by SIGKILL", "never": "no run of it has ended"}


def test_what_is_printed_holds_the_figures(results: Results) -> None:
    said = "\n".join(lines(results))
    assert "lost: no scores: killed by SIGKILL" in said
    assert "good: 1 runs failed, such as: killed by SIGKILL" in said
    assert f"chosen on other rows than it is scored on: {results.choice.honest:.4f} (good)" in said
    table = result_table(results)
    assert next(str(cell) for cell in table.columns[0].cells) == "good"


def test_the_files_hold_all_variants(results: Results, folder: Path, tmp_path: Path) -> None:
    ledger = pl.read_parquet(folder / "ledger.parquet")
    page = write_files(results, ledger, tmp_path, "losses").read_text(encoding="utf-8")
    assert "Failed runs" in page
    assert "best, on other rows" in page
    assert "<b>never</b>: no run of it has ended" in page
    table = pl.read_csv(tmp_path / "losses.csv")
    assert table["variant"].to_list() == list(SHARES)
    assert table["hm"][1] == pytest.approx(results.variants[1].scores.hm.value)
    assert table["p_holm"][0] is None
    assert table["mean_rank"].sum() == pytest.approx(6)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("losses.csv", "losses.html", "losses_ranks.png", "losses_pareto.png")
    }


def test_decided_answers_are_compared_where_that_is_asked(folder: Path) -> None:
    ledger = pl.read_parquet(folder / "ledger.parquet")
    found = results_of(ledger, folder, ["plain"], "plain", samples=100, is_decided=True)
    assert found.variants[0].scores.hm.value == 1.0
    with pytest.raises(InputError, match=r"decided_last\.npz: not there: the run had too few"):
        results_of(ledger, folder, ["plain", "alike"], "plain", is_decided=True)


def test_a_single_variant_has_no_rank_and_no_choice(folder: Path, tmp_path: Path) -> None:
    ledger = pl.read_parquet(folder / "ledger.parquet")
    found = results_of(ledger, folder, ["plain"], "plain", samples=100)
    assert (found.ranks, found.choice) == (None, None)
    assert "Heads" not in write_files(found, ledger, tmp_path, "one").read_text(encoding="utf-8")


def test_a_baseline_without_scores_is_named(folder: Path) -> None:
    ledger = pl.read_parquet(folder / "ledger.parquet")
    with pytest.raises(InputError, match="the baseline 'lost' has no scores: killed by SIGKILL"):
        results_of(ledger, folder, ["plain", "lost"], "lost")
    with pytest.raises(InputError, match="no run has ended well: killed by SIGKILL"):
        results_of(ledger, folder, ["lost"], "lost")


def test_runs_on_other_rows_are_not_compared(folder: Path, held_out: HeldOut) -> None:
    ledger = pl.read_parquet(folder / "ledger.parquet").filter(pl.col("fold") == 0)
    other = ledger.with_columns(
        held_out=pl.when(pl.col("variant") == "alike")
        .then(pl.lit("plain-0-1/held_out_last.npz"))
        .otherwise("held_out")
    )
    with pytest.raises(InputError, match="plain and alike were judged on different rows"):
        results_of(other, folder, ["plain", "alike"], "plain")
