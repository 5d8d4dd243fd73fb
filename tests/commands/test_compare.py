"""`vtax compare` from end to end: two variants of a small model on cached features."""

import json
import re
from pathlib import Path

import polars as pl
import pytest

from visual_taxonomy import cli
from visual_taxonomy.errors import InputError
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
