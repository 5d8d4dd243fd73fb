"""`vtax export`."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.checkpoint import write_checkpoint
from visual_taxonomy.commands.export import Export
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import ONNX, Bundle, read_bundle
from visual_taxonomy.inference.export import bundle_writer

PATHS = {"checkpoint": Path("a.pt"), "out": Path("out")}


@pytest.fixture
def catalogue(table_of, tmp_path: Path) -> list[str]:
    table = table_of(12)
    lines = ["id,Category,border,color,sleeve,occasion"]
    for row, category in enumerate(table.categories):
        labels = "zari,red,," if category == 0 else ",green,long,default"
        lines.append(f"{row},{table.taxonomy.categories[category]},{labels}")
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    return ["--img_dir", str(table.img_dir), "--csv_path", str(tmp_path / "rows.csv")]


@pytest.fixture(autouse=True)
def quick(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph of the same checkpoint, without making it again."""
    monkeypatch.setattr(
        bundle_writer,
        "write_onnx",
        lambda classifier, path: shutil.copy(bundle.folder / ONNX, path),
    )


def test_an_export_prints_its_agreement_and_predicts_and_evaluates(
    checkpoint, catalogue: list[str], tmp_path: Path, capsys
) -> None:
    counts = {task.name: [1] * len(task.classes) for task in checkpoint.taxonomy.tasks}
    write_checkpoint(tmp_path / "best.pt", replace(checkpoint, class_counts=counts))
    out = tmp_path / "model.v1"
    flags = ["--out", str(out), "--to", "onnx", "--workers", "0", "--calibration_rows", "4"]
    assert cli.run(["export", str(tmp_path / "best.pt"), *flags, *catalogue]) == 0
    shown = capsys.readouterr().out
    labels = read_bundle(out).measured["labels"]
    assert f"100.000% of {labels} labels agree, on 12 of the 12 rows of rows.csv; HM-F1" in shown
    assert f"MB: {out}" in shown
    assert read_bundle(out).measured["rows"] == 12

    assert cli.run(["predict", *catalogue, "--ckpt_path", str(out), "--workers", "0"]) == 0
    assert len((tmp_path / "model.v1.csv").read_text().splitlines()) == 13
    model = ["--ckpt_path", str(out), "--engine", "openvino", "--workers", "0"]
    assert cli.run(["evaluate", *catalogue, *model]) == 0
    assert "HM" in capsys.readouterr().out


def test_without_a_csv_it_says_that_nothing_was_measured(
    checkpoint_path: Path, tmp_path: Path, capsys
) -> None:
    assert cli.run(["export", str(checkpoint_path), "--out", str(tmp_path / "out")]) == 0
    assert "not measured (give --csv_path and --img_dir)" in capsys.readouterr().out


def test_the_gate_can_be_moved(checkpoint_path: Path, catalogue: list[str], tmp_path: Path) -> None:
    flags = ["--out", str(tmp_path / "out"), "--int8", "--to", "onnx", "--workers", "0"]
    arguments = ["export", str(checkpoint_path), *flags, *catalogue]
    assert cli.run([*arguments, "--min_agreement", "0"]) == 0
    assert read_bundle(tmp_path / "out").int8


def test_images_are_of_no_use_without_rows() -> None:
    with pytest.raises(InputError, match="--img_dir without --csv_path"):
        Export(**PATHS, img_dir=Path("a"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"min_agreement": 1.1}, r"--min_agreement must lie in \[0, 1\], not 1\.1"),
        ({"max_rows": 0}, "--max_rows must be 1 or more, not 0"),
        ({"calibration_rows": 0}, "--calibration_rows must be 1 or more, not 0"),
        ({"workers": -1}, "--workers must be 0 or more, not -1"),
    ],
)
def test_numbers_out_of_range_are_refused(flags: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Export(**PATHS, **flags)
