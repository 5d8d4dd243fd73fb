"""`vtax fill`."""

import csv
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from visual_taxonomy import cli
from visual_taxonomy.checkpoint import write_checkpoint
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.inference.resumable import ResumableFile

CONTENT = (
    "id,Category,color,border,sleeve,occasion\r\n"
    '"0",Sarees,,zari,,\r\n'
    "1,Kurtis,,,,\r\n"
    "2,Sarees,red,no,,\r\n"
    "3,Kurtis,NA,,long,default\r\n"
    "4,Sarees,teal,,,\r\n"
)
"""Holes: 0 color; 1 color, sleeve, occasion; 4 border; and a marker in 3 color."""


@pytest.fixture
def model(checkpoint, decision, tmp_path: Path) -> Path:
    write_checkpoint(tmp_path / "best.pt", replace(checkpoint, decision=decision))
    return tmp_path / "best.pt"


@pytest.fixture
def run(table_of, model: Path, tmp_path: Path) -> Callable[..., int]:
    """`vtax fill` of 5 rows with further flags."""
    images = table_of(5).img_dir
    (tmp_path / "rows.csv").write_text(CONTENT, newline="")

    def fill(*flags: object, model: Path = model, out: Path | None = tmp_path / "out.csv") -> int:
        arguments = [tmp_path / "rows.csv", "--img_dir", images, "--ckpt_path", model]
        cpu = ["--workers", 0, "--precision", 32, "--accelerator", "cpu", "--batch_size", 2]
        named = [] if out is None else ["--out_csv_path", out]
        return cli.run(["fill", *map(str, [*arguments, *named, *cpu, *flags])])

    return fill


def listed(tmp_path: Path) -> list[dict[str, str]]:
    with (tmp_path / "out.csv.cells.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_cells_are_filled_with_what_predict_answers(run, model, tmp_path, capsys):
    assert run("--target_precision", "None") == 0
    predictor = Predictor.load(model)
    kinds = ["Sarees", "Kurtis", "Sarees", "Kurtis", "Sarees"]
    images = [tmp_path / "images" / f"{row:06d}.png" for row in range(5)]
    labels = [each.labels for each in predictor.predict(images, kinds)]
    lines = CONTENT.split("\r\n")
    lines[1] = f'"0",Sarees,{labels[0]["color"]},zari,,'
    lines[2] = f"1,Kurtis,{labels[1]['color']},,{labels[1]['sleeve']},default"
    lines[5] = f"4,Sarees,teal,{labels[4]['border']},,"
    assert (tmp_path / "out.csv").read_bytes() == "\r\n".join(lines).encode()
    assert [cell["attribute"] for cell in listed(tmp_path)] == [
        "color", "color", "sleeve", "occasion", "border",
    ]  # fmt: skip
    printed = capsys.readouterr().out
    assert "5 of 5 empty cells filled: " in printed
    assert (
        "with a marker of a missing value: 1 ('NA' 1) stay; fill them with --fill_markers"
        in printed
    )
    assert "labels that the model does not know are ignored (--unknown_labels ignore)" in printed


def test_unsure_cells_stay_empty_and_a_dry_run_tells_how_many(run, tmp_path, capsys):
    before = everything(tmp_path)
    assert run("--dry_run", out=None) == 0
    assert everything(tmp_path) == before
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    counts = {row[0]: row[1:] for row in rows if row}
    assert counts["attribute"] == ["empty", "cells", "at", "0.9", "at", "0.95", "at", "0.99"]
    assert counts["occasion"] == ["1", "1", "1", "1"]  # of one class, so it is sure
    for place, target in ((1, 0.9), (2, 0.95)):
        assert run("--target_precision", target, "--overwrite") == 0
        cells = listed(tmp_path)
        filled = [cell for cell in cells if cell["status"] == "filled"]
        assert len(cells) == int(counts["all"][0]) == 5
        assert len(filled) == int(counts["all"][place]) < 5
        assert {cell["status"] for cell in cells} == {"filled", "unknown"}
    capsys.readouterr()
    assert run("--only", "color", "--overwrite") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "no answer is sure enough for --target_precision 0.95: try a lower one" in text


def test_an_image_that_cannot_be_read_leaves_its_cells_empty(run, tmp_path, capsys):
    (tmp_path / "images" / "000001.png").write_bytes(b"")
    assert run("--target_precision", "None") == 3
    assert "\r\n1,Kurtis,,,,\r\n" in (tmp_path / "out.csv").read_bytes().decode()
    cells = [cell for cell in listed(tmp_path) if cell["id"] == "1"]
    assert [(c["answer"], c["witnesses"], c["status"]) for c in cells] == [("", "", "no image")] * 3
    assert "1 images could not be read: " in capsys.readouterr().err
    assert run("--dry_run", out=None) == 3
    assert run("--target_precision", "None") == 3  # finished, and its status stays


def test_a_missing_image_is_refused_unless_it_may_be_missing(run, tmp_path):
    (tmp_path / "images" / "000001.png").unlink()
    with pytest.raises(InputError, match="row 3, column 'id': '1' has no image"):
        run()
    assert run("--skip_missing") == 3
    (tmp_path / "images" / "000002.png").unlink()
    # It has no hole, so nobody asks for it.
    assert run("--skip_missing", "--overwrite") == 3
    assert len(listed(tmp_path)) == 5


def test_finished_files_are_kept_and_others_need_overwrite(run, tmp_path, capsys, monkeypatch):
    assert run() == 0
    before = everything(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(ResumableFile, "append", None)  # nothing is written
        assert run() == 0
    assert "already finished; use --overwrite to fill it again" in capsys.readouterr().out
    assert everything(tmp_path) == before
    for flags in (["--target_precision", "0.9"], ["--only", "color"], ["--fill_markers"]):
        with pytest.raises(InputError, match="already exists and answers another request"):
            run(*flags)
    (tmp_path / "rows.csv").write_text(CONTENT.replace("teal", "blue"), newline="")
    with pytest.raises(InputError, match="already exists and answers another request"):
        run()
    assert run("--overwrite") == 0
    (tmp_path / "out.csv.cells.csv").write_text("edited")
    with pytest.raises(InputError, match=r"it or out\.csv\.cells\.csv already exists"):
        run()
    (tmp_path / "out.csv").unlink()
    with pytest.raises(InputError, match=r"it or out\.csv\.cells\.csv already exists"):
        run()
    assert (tmp_path / "out.csv.cells.csv").read_text() == "edited"


def test_after_a_kill_between_the_two_names_the_list_follows(run, tmp_path, monkeypatch, capsys):
    assert run() == 0
    expected = {name: everything(tmp_path)[name] for name in ("out.csv", "out.csv.cells.csv")}

    def stop(file: ResumableFile) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ResumableFile, "finish", stop)
        (tmp_path / "out.csv.cells.csv").unlink()
        with pytest.raises(KeyboardInterrupt):
            run()
    assert not (tmp_path / "out.csv.cells.csv").exists()
    capsys.readouterr()
    assert run() == 0
    assert "3 rows were predicted by an earlier, interrupted run" in capsys.readouterr().out
    assert {name: everything(tmp_path)[name] for name in expected} == expected


def test_an_input_is_never_written_to(run, model, tmp_path):
    shutil.copy(tmp_path / "rows.csv", tmp_path / "a.csv.cells.csv")
    before = everything(tmp_path)
    for name in ("rows.csv", "best.pt"):
        with pytest.raises(InputError, match=rf"--out_csv_path .*{name}: this command reads it"):
            run("--overwrite", out=tmp_path / name)
    (tmp_path / "rows.csv").unlink()
    (tmp_path / "rows.csv").hardlink_to(tmp_path / "a.csv.cells.csv")
    with pytest.raises(InputError, match="this command reads it"):
        run("--overwrite", out=tmp_path / "a.csv")
    assert everything(tmp_path) == before


def test_the_copy_is_the_same_kind_of_file(run, tmp_path):
    for name in ("out.parquet", "out.jsonl"):
        with pytest.raises(InputError, match=r"the same kind of file as .*; name it with \.csv"):
            run(out=tmp_path / name)


def test_what_cannot_be_asked_is_refused(run, checkpoint_path, tmp_path):
    with pytest.raises(InputError, match=r"`only`: 'colour' is none of: .* mean 'color'\?"):
        run("--only", "colour")
    with pytest.raises(
        InputError, match=r"`target_precision` 0\.95: the model carries no decision"
    ):
        run(model=checkpoint_path)
    with pytest.raises(InputError, match="`dry_run`: the model carries no decision"):
        run("--dry_run", "--target_precision", "None", model=checkpoint_path)
    with pytest.raises(InputError, match="`dry_run` counts calibrated probabilities"):
        run("--dry_run", "--decision", "argmax")
    with pytest.raises(InputError, match="`out_csv_path` names the filled copy"):
        run(out=None)
    with pytest.raises(InputError, match="give one catalogue: `vtax fill FILE`, or"):
        run("--csv_path", tmp_path / "rows.csv")
    with pytest.raises(InputError, match=r"'teal' is none of: red, blue\..* Sarees/color"):
        run("--unknown_labels", "error")
    (tmp_path / "rows.csv").write_text("Category,color\nSarees,\n")
    with pytest.raises(
        InputError, match=r"column 'id' is none of: Category, color\. .*`id_column`"
    ):
        run()


def test_columns_are_where_the_catalogue_file_says(run, tmp_path):
    """Renamed columns, semicolons and Latin-1, and Blu is read as the class blue, and stays."""
    (tmp_path / "catalogue.toml").write_text(
        'id_column = "sku"\ncategory_column = ["kind"]\ncsv_encoding = "latin-1"\n'
        '[merged_labels.color]\nblue = ["Blu"]\n'
    )
    content = 'kind;note;"color";sku;border\nSarees;"é;\n";Blu;0;\nKurtis;"5""";"";1;\n'
    (tmp_path / "rows.csv").write_bytes(content.encode("latin-1"))
    flags = ["--catalogue", tmp_path / "catalogue.toml", "--target_precision", "None"]
    assert run(*flags) == 0
    found = (tmp_path / "out.csv").read_bytes().decode("latin-1")
    pattern = (
        r'kind;note;"color";sku;border\nSarees;"é;\n";Blu;0;(zari|no|woven)\n'
        r'Kurtis;"5""";"(red|green)";1;\n'
    )
    assert re.fullmatch(pattern, found)


def test_a_file_that_holds_its_images_needs_no_folder(run, model, tmp_path):
    images = [(tmp_path / "images" / f"{row:06d}.png").read_bytes() for row in range(5)]
    frame = pl.read_csv(tmp_path / "rows.csv", infer_schema=False)
    frame.with_columns(photo=pl.Series(images, dtype=pl.Binary)).write_parquet(
        tmp_path / "rows.parquet"
    )
    assert run("--target_precision", "None") == 0
    flags = ["--ckpt_path", model, "--target_precision", "None", "--workers", 0, "--precision", 32]
    named = [tmp_path / "rows.parquet", "--out_csv_path", tmp_path / "out.parquet", *flags]
    assert cli.run(["fill", *map(str, named), "--image_column", "photo"]) == 0
    expected = pl.read_csv(tmp_path / "out.csv", infer_schema=False)
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found.drop("photo").equals(expected)
    assert found["photo"].to_list() == images
    named[0] = tmp_path / "rows.csv"
    named[2] = tmp_path / "other.csv"
    with pytest.raises(InputError, match=r"named by the ids; name their folder \(`img_dir`\)"):
        cli.run(["fill", *map(str, named)])


def test_numbered_columns_are_filled_but_for_the_dummies(run, tmp_path):
    content = (
        "id,Category,len,attr_1,attr_2,attr_3,attr_4\n"
        "0,Sarees,2,,red,dummy_value,\n"
        "1,Kurtis,3,red,,,dummy_value\n"
    )
    (tmp_path / "rows.csv").write_text(content)
    assert run("--target_precision", "None") == 0
    found = (tmp_path / "out.csv").read_text()
    first, second = "(zari|no|woven)", "(short|long|three-quarter)"
    assert re.fullmatch(
        "id,Category,len,attr_1,attr_2,attr_3,attr_4\n"
        f"0,Sarees,2,{first},red,dummy_value,\n1,Kurtis,3,red,{second},default,dummy_value\n",
        found,
    )
