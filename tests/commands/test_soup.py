"""`vtax soup`: what it writes, shows and refuses."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch

from visual_taxonomy import cli
from visual_taxonomy.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.witnesses.combination import Witnesses

QUICK = ("--workers", "0", "--precision", "32", "--accelerator", "cpu")


@pytest.fixture
def parts(checkpoint: Checkpoint, tmp_path: Path) -> list[str]:
    """Two checkpoints, one with all weights doubled."""
    doubled = {name: 2 * value for name, value in checkpoint.weights.items()}
    random = replace(checkpoint.model, pretrained_ckpt="none")
    for name, weights in (("a.pt", checkpoint.weights), ("b.pt", doubled)):
        write_checkpoint(tmp_path / name, replace(checkpoint, weights=weights, model=random))
    return [str(tmp_path / name) for name in ("a.pt", "b.pt")]


def test_the_mean_is_written_without_rows(
    parts: list[str], checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["soup", *parts, "--out", str(tmp_path / "soup.pt")]) == 0
    found = read_checkpoint(tmp_path / "soup.pt")
    name = "heads.classifiers.weights.0"
    torch.testing.assert_close(found.weights[name], 1.5 * checkpoint.weights[name])
    assert "mean of 2 of 2 checkpoints, without a decision" in capsys.readouterr().out


def test_labelled_rows_choose(
    parts: list[str],
    table_of: Callable[[int], Table],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = table_of(8)
    lines = ["id,Category,attr_1,attr_2,attr_3"]
    lines += [f"{row},Sarees,{'zari' if row % 4 else 'no'},blue," for row in range(0, 8, 2)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    rows = ("--csv_path", str(tmp_path / "rows.csv"), "--img_dir", str(table.img_dir))
    assert cli.run(["soup", *parts, "--out", str(tmp_path / "soup.pt"), *rows, *QUICK]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "a.pt: HM-F1" in shown
    assert "cross-fitted: each row by a soup that others chose" in shown


def test_the_backbone_goes_back_to_the_weights_it_started_from(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    prefix = "encoder.backbone.model."
    start = {
        name.removeprefix(prefix): torch.zeros_like(value)
        for name, value in checkpoint.weights.items()
        if name.startswith(prefix)
    }
    torch.save(start, tmp_path / "start.pt")
    model = replace(checkpoint.model, pretrained_ckpt=str(tmp_path / "start.pt"))
    write_checkpoint(tmp_path / "a.pt", replace(checkpoint, model=model))
    out = ("--out", str(tmp_path / "out.pt"), "--interpolate", "0.75")
    assert cli.run(["soup", str(tmp_path / "a.pt"), *out]) == 0
    found = read_checkpoint(tmp_path / "out.pt").weights
    for name, value in checkpoint.weights.items():
        is_start = name.startswith(prefix)
        torch.testing.assert_close(found[name], 0.75 * value if is_start else value)


def test_rows_whose_images_stand_in_their_table_choose(
    parts: list[str], table_of: Callable[[int], Table], tmp_path: Path
) -> None:
    table = table_of(8)
    contents = [path.read_bytes() for path in sorted(Path(table.img_dir or "").iterdir())]
    rows = {"id": table.ids.tolist(), "Category": ["Sarees", "Kurtis"] * 4, "photo": contents}
    labels = {"border": ["zari", None] * 4, "color": ["red"] * 8}
    labels |= {"sleeve": [None, "long"] * 4, "occasion": [None] * 8}
    path = tmp_path / "rows.parquet"
    pl.DataFrame({**rows, **labels}).write_parquet(path)
    given = ("--csv_path", str(path), "--image_column", "photo", "--folds", "2")
    assert cli.run(["soup", *parts, "--out", str(tmp_path / "soup.pt"), *given, *QUICK]) == 0
    assert read_checkpoint(tmp_path / "soup.pt").decision is None


def test_a_soup_of_models_with_words_says_what_it_answers_from(
    parts: list[str],
    checkpoint: Checkpoint,
    witnesses: Witnesses,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_checkpoint(Path(parts[0]), replace(checkpoint, witnesses=witnesses))
    assert cli.run(["soup", *parts, "--out", str(tmp_path / "soup.pt")]) == 0
    assert "until then it answers from images alone, without words" in capsys.readouterr().out
    found = read_checkpoint(tmp_path / "soup.pt").witnesses
    assert found is not None
    assert found.words is not None
    assert not found.combinations


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--interpolate", "1.5"], r"--interpolate must lie in \[0, 1\], not 1\.5"),
        (["--img_dir", "a"], "--img_dir without --csv_path; give both or none"),
        (["--folds", "1"], "--folds must be 2 or more, not 1"),
        (["--interpolate", "0.5"], "was trained from random weights"),
    ],
)
def test_what_cannot_be_done_is_said(
    flags: list[str], message: str, parts: list[str], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        cli.run(["soup", *parts, "--out", str(tmp_path / "out.pt"), *flags])


def test_one_checkpoint_is_no_soup(parts: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give two or more checkpoints, or one and --interpolate"):
        cli.run(["soup", parts[0], "--out", str(tmp_path / "out.pt")])
