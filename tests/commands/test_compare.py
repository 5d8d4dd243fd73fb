"""`vtax compare` from end to end: two variants of a small model on cached features."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from visual_taxonomy import cli
from visual_taxonomy.commands import compare_search
from visual_taxonomy.commands.failures import explain
from visual_taxonomy.errors import InputError
from visual_taxonomy.grid import preparation
from visual_taxonomy.grid.ledger import write_row
from visual_taxonomy.synthetic.catalogue import synthesize

GRID = """
[base]
backbone = "test_vit"
pretrained_ckpt = "none"
image_size = [32, 32]
freeze_backbone = true
augmentation = "none"
inter_linear = false
batch_size = 64
epochs = 1
precision = "32"

[[variants]]
name = "slow"
scratch_lr = 1e-3
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """The arguments of a comparison that has ended, and its folder."""
    folder = tmp_path_factory.mktemp("compare")
    rows = folder / "rows"
    synthesize(rows, 60, seed=2, image_size=32, workers=1)
    (folder / "grid.toml").write_text(GRID)
    arguments = ["compare", str(folder / "grid.toml"), "--out", str(folder / "out")]
    arguments += ["--attributes_config", str(rows / "attrs_config.json")]
    arguments += ["--img_dir", str(rows / "images"), "--csv_path", str(rows / "train.csv")]
    arguments += ["--feature_cache", str(folder / "features"), "--jobs", "2", "--samples", "100"]
    assert cli.run(arguments) == 0
    return arguments, folder / "out"


def test_each_run_is_a_row_with_its_scores(done: tuple[list[str], Path]) -> None:
    _, folder = done
    ledger = pl.read_parquet(folder / "ledger.parquet")
    assert ledger["variant"].to_list() == ["base", "slow"]
    by_name = {row["variant"]: row for row in ledger.iter_rows(named=True)}
    for name in ("base", "slow"):
        row = by_name[name]
        assert (row["status"], row["reason"]) == ("ok", None)
        assert 0 <= row["macro"] <= 1
        assert row["cpu_seconds"] > 0
        assert (folder / row["held_out"]).exists()
        assert json.loads(row["config"])["model"]["backbone"] == "test_vit"
    assert json.loads(by_name["slow"]["settings"]) == {"scratch_lr": 1e-3}
    assert by_name["base"]["data_digest"] == by_name["slow"]["data_digest"]


def test_it_is_done_once_and_says_so(
    done: tuple[list[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, folder = done
    before = (folder / "ledger.parquet").read_bytes()
    assert cli.run(arguments) == 0
    said = capsys.readouterr().out
    assert "2 variants x 1 seeds = 2 runs, 2 of them in" in said
    assert "on the rows that chose it; chosen on other rows than it is scored on:" in said
    assert (folder / "ledger.parquet").read_bytes() == before


def test_tables_plots_and_page_are_written(done: tuple[list[str], Path]) -> None:
    _, folder = done
    table = pl.read_csv(folder / "grid.csv")
    assert table["variant"].to_list() == ["base", "slow"]
    page = (folder / "grid.html").read_text(encoding="utf-8")
    assert "best, on other rows" in page
    assert "data:image/png;base64," in page
    for name in ("ranks", "pareto"):
        assert (folder / f"grid_{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_leaves_no_weights(done: tuple[list[str], Path]) -> None:
    assert not list(done[1].glob("runs/*/*.pt"))


def test_a_dry_run_lists_what_is_to_do(
    done: tuple[list[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*done[0], "--dry_run", "--set", "epochs", "2"]) == 0
    assert len(re.findall(r"to do  (base|slow), seed 42", capsys.readouterr().out)) == 2


def test_two_variants_that_are_one_run_are_refused(
    done: tuple[list[str], Path], tmp_path: Path
) -> None:
    path = tmp_path / "same.toml"
    path.write_text(GRID.replace("scratch_lr = 1e-3", "scratch_lr = 1e-4"))
    arguments = ["compare", str(path), *done[0][2:]]
    with pytest.raises(InputError, match="'base, seed 42' and 'slow, seed 42' are the same run"):
        cli.run(arguments)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(InputError, match="--samples must be 100 or more, not 10"):
        cli.run(["compare", "grid.toml", "--samples", "10"])


class Done:
    """A process that has ended."""

    def poll(self) -> int:
        return 0

    def wait(self, timeout: float | None = None) -> int:
        return 0

    def terminate(self) -> None:
        pass

    def kill(self) -> None:
        pass


def fake_runs(monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], Any]) -> None:
    """Runs that write a row without training: what is known beforehand, and what `change` says."""

    def start(job: Path, log: Path, threads: int) -> Done:
        content = json.loads(job.read_text())
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        more = change(content["config"])
        if more is not None:
            write_row(Path(content["row_path"]), {**content["row"], **more})
        return Done()

    monkeypatch.setattr(preparation, "start_worker", start)


def test_a_search_scores_its_choice_on_rows_that_no_trial_has_seen(
    done: tuple[list[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(compare_search, "report_runs", lambda *given: reported.append(given))
    fake_runs(
        monkeypatch,
        lambda config: {
            "status": "ok",
            "seconds": 1.0,
            "hm": 1 - abs(config["optimizer"]["scratch_lr"] - 5e-3),
        },
    )
    grid = tmp_path / "search.toml"
    grid.write_text(f"{GRID}[search]\nscratch_lr = {{ low = 1e-4, high = 1e-2, log = true }}\n")
    arguments = ["compare", str(grid), "--out", str(tmp_path / "out"), *done[0][4:-2]]
    assert cli.run([*arguments, "--search", "--trials", "5"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"chosen of 5 trials: scratch_lr = 0\.00\d+; HM 0\.99\d+ on the rows", said)
    names, baseline, jobs, *_ = reported[0]
    assert (names, baseline) == (["base", "chosen"], "base")
    assert [job.row["variant"] for job in jobs] == names
    ledger = pl.read_parquet(tmp_path / "out" / "ledger.parquet")
    assert sorted(ledger["variant"]) == ["base", "chosen", *(f"trial {i}" for i in range(5))]
    # Stopped before its report and started again: the trials are there.
    fake_runs(monkeypatch, lambda config: pytest.fail("a trial was run again"))
    assert cli.run([*arguments, "--search", "--trials", "5"]) == 0


def test_failed_runs_are_done_again_only_if_that_is_asked(
    done: tuple[list[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "grid.toml").write_text(GRID)
    arguments = ["compare", str(tmp_path / "grid.toml"), "--out", str(tmp_path / "out")]
    arguments += done[0][4:]
    fake_runs(monkeypatch, lambda config: None)
    with pytest.raises(InputError, match="no run has ended well: exit status 0"):
        cli.run(arguments)
    fake_runs(monkeypatch, lambda config: pytest.fail("run again"))
    with pytest.raises(InputError, match="no run has ended well"):
        cli.run(arguments)
    fake_runs(monkeypatch, lambda config: {"status": "failed", "reason": "in another way"})
    with pytest.raises(InputError, match="no run has ended well: in another way"):
        cli.run([*arguments, "--retry_failed"])
    assert len(pl.read_parquet(tmp_path / "out" / "ledger.parquet")) == 2


def test_a_search_needs_a_budget_and_a_budget_a_search() -> None:
    for flags in (["--search"], ["--trials", "3"]):
        with pytest.raises(InputError, match="--search needs a budget, --trials or --budget_min"):
            cli.run(["compare", "grid.toml", *flags])


def test_a_missing_optuna_is_one_message_with_the_command(
    done: tuple[list[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    grid = tmp_path / "search.toml"
    grid.write_text(f"{GRID}[search]\nscratch_lr = {{ low = 1e-4, high = 1e-2 }}\n")
    with pytest.raises(ModuleNotFoundError) as caught:
        cli.run(["compare", str(grid), *done[0][2:], "--search", "--trials", "1"])
    failure = explain(caught.value)
    assert failure is not None
    assert failure.message == (
        "this needs the package optuna, which is not installed: "
        "pip install 'visual-taxonomy[search]'"
    )
