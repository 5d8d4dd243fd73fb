"""`vtax predict`."""

import csv
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.checkpoint import write_checkpoint
from visual_taxonomy.commands.predict import outputs
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import MANIFEST, TAXONOMY, Bundle
from visual_taxonomy.inference.resumable import ResumableFile

COMPETITION = ["id", "Category", "len", *(f"attr_{i}" for i in range(1, 11))]
NAMED = ["id", "Category", "border", "color", "sleeve", "occasion"]
GIVEN = ["id", "Category", "color", "border", "sleeve", "occasion"]
GIVEN_LEN = ["id", "Category", "len", *GIVEN[2:]]


def test_outputs_of_a_folder_are_one_csv_a_checkpoint(tmp_path: Path) -> None:
    half = ".best_both.0123456789ab.pt"
    for name in ("best_both.pt", "best_loss.pt", "last.pt", "notes.txt", half):
        (tmp_path / name).touch()
    both, loss = outputs(tmp_path, None)
    assert both == (tmp_path / "best_both.pt", tmp_path / "best_both.csv")
    assert loss[1] == tmp_path / "best_loss.csv"
    assert outputs(tmp_path, tmp_path / "csv")[0][1] == tmp_path / "csv" / "best_both.csv"
    assert outputs(both[0], None) == [both]
    (tmp_path / "v1.2").mkdir()
    assert outputs(tmp_path, tmp_path / "v1.2")[0][1] == tmp_path / "v1.2" / "best_both.csv"
    with pytest.raises(InputError, match="need a folder, not a file"):
        outputs(tmp_path, tmp_path / "out.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no checkpoint"):
        outputs(tmp_path / "empty", None)


def test_the_csv_of_a_bundle_stands_beside_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model.v1"
    folder.mkdir()
    (folder / "bundle.json").touch()
    assert outputs(folder, None) == [(folder, tmp_path / "model.v1.csv")]
    assert outputs(folder, tmp_path / "a.csv") == [(folder, tmp_path / "a.csv")]


@pytest.fixture
def checkpoint_copy(checkpoint_path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(checkpoint_path, tmp_path / "best.pt"))


@pytest.fixture
def run(table_of, checkpoint_copy: Path, tmp_path: Path) -> Callable[..., int]:
    """`vtax predict` of 4 rows with further flags; `columns` stand behind id and Category."""
    table = table_of(4)

    def predict(*flags: object, columns: str = "", model: Path = checkpoint_copy) -> int:
        lines = [f"id,Category{columns}"]
        lines += [
            f"{row},{table.taxonomy.categories[category]}" + "," * columns.count(",")
            for row, category in enumerate(table.categories)
        ]
        rows = tmp_path / "rows.csv"
        if not rows.exists() or rows.read_text() != "\n".join(lines) + "\n":
            rows.write_text("\n".join(lines) + "\n")
        arguments = ["--img_dir", table.img_dir, "--csv_path", rows, "--ckpt_path", model]
        cpu = ["--workers", 0, "--precision", 32, "--accelerator", "cpu"]
        return cli.run(["predict", *map(str, [*arguments, *cpu, *flags])])

    return predict


def header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_an_input_is_never_written_to(run, checkpoint_copy: Path, tmp_path: Path) -> None:
    taxonomy = tmp_path / "attrs.json"
    taxonomy.write_text("{}")
    run("--out_csv_path", tmp_path / "first.csv")
    (tmp_path / "link.csv").hardlink_to(checkpoint_copy)
    (tmp_path / "soft.csv").symlink_to(tmp_path / "rows.csv")
    before = contents(tmp_path)
    for name in ("rows.csv", "best.pt", "link.csv", "soft.csv", "attrs.json"):
        flags = ["--out_csv_path", tmp_path / name, "--attributes_config", taxonomy]
        with pytest.raises(InputError, match=rf"--out_csv_path .*{name}: this command reads it"):
            run(*flags, "--overwrite")
    assert contents(tmp_path) == before


def test_a_file_beside_the_csv_that_is_an_input_is_never_written_to(
    run, checkpoint_copy: Path, tmp_path: Path
) -> None:
    for name in ("a.csv.errors.csv", ".a.csv.part", ".a.csv.part.jsonl", ".a.csv.done.json"):
        model = Path(shutil.copy(checkpoint_copy, tmp_path / name))
        with pytest.raises(InputError, match="this command reads it"):
            run("--out_csv_path", tmp_path / "a.csv", "--overwrite", model=model)
        model.unlink()


def test_a_file_of_a_bundle_and_an_image_are_inputs(run, bundle: Bundle, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "model"))
    for path in (folder / MANIFEST, folder / TAXONOMY, tmp_path / "pictures" / "000000.png"):
        before = path.read_bytes()
        with pytest.raises(InputError, match="this command reads it"):
            run("--out_csv_path", path, "--overwrite", model=folder)
        assert path.read_bytes() == before
    for _ in range(2):  # a CSV may stand in the folder
        assert run("--out_csv_path", folder / "out.csv", "--overwrite", model=folder) == 0


def test_devices_pipes_and_folders_are_refused(run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match=r"pipe\.csv: is a device or a pipe, expected a file"):
        run("--out_csv_path", tmp_path / "pipe.csv", "--overwrite")
    with pytest.raises(InputError, match="/dev/null: is a device or a pipe"):
        run("--out_csv_path", "/dev/null", "--overwrite")
    with pytest.raises(InputError, match="is a folder, expected a file"):
        run("--out_csv_path", tmp_path)


def test_of_several_csvs_none_is_written_if_one_may_not_be_replaced(
    run, checkpoint_copy: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(checkpoint_copy, folder / "b.pt")
    assert run(model=folder) == 0
    (folder / "b.csv").write_text("edited by hand")
    shutil.copy(checkpoint_copy, folder / "a.pt")
    with pytest.raises(InputError, match=r"b\.csv: exists already"):
        run(model=folder)
    assert not (folder / "a.csv").exists()


def test_an_existing_csv_is_replaced_only_with_overwrite(run, tmp_path: Path) -> None:
    default = tmp_path / "best.csv"
    for out, flags in ((tmp_path / "out.csv", ["--out_csv_path"]), (default, [])):
        out.write_text("mine\n")
        flags = [*flags, out] if flags else []
        with pytest.raises(InputError, match=rf"{out.name}: exists already; .*--overwrite"):
            run(*flags)
        assert out.read_text() == "mine\n"
        assert run(*flags, "--overwrite") == 0
        assert header(out) == COMPETITION


def test_the_finished_csv_of_the_same_request_is_left_as_it_is(
    run, tmp_path: Path, capsys, monkeypatch
) -> None:
    out = tmp_path / "best.csv"
    assert run() == 0
    before = (out.read_bytes(), out.stat().st_mtime_ns)
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(ResumableFile, "append", None)  # nothing is written
        assert run() == 0
    assert "finished already; give --overwrite to predict it again" in capsys.readouterr().out
    assert (out.read_bytes(), out.stat().st_mtime_ns) == before
    assert run("--overwrite") == 0
    assert "4 rows: " in capsys.readouterr().out


def test_a_finished_csv_with_unreadable_images_keeps_its_status(run, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "000001.png").write_bytes(b"")
    assert run() == 3
    assert run() == 3


@pytest.mark.parametrize("change", ["image", "flag", "rows", "model", "file"])
def test_the_csv_of_another_request_needs_overwrite(
    run, checkpoint, checkpoint_copy: Path, tmp_path: Path, change: str
) -> None:
    assert run() == 0
    flags: list[object] = []
    columns = ""
    if change == "image":
        os.utime(tmp_path / "pictures" / "000002.png", (1, 1))
    elif change == "flag":
        flags = ["--probabilities"]
    elif change == "rows":
        columns = ",color"
    elif change == "model":
        write_checkpoint(checkpoint_copy, replace(checkpoint, epoch=7))
    else:
        (tmp_path / "best.csv").write_text("edited by hand\n")
    before = (tmp_path / "best.csv").read_bytes()
    with pytest.raises(InputError, match=r"exists already and answers another request .*; name"):
        run(*flags, columns=columns)
    assert (tmp_path / "best.csv").read_bytes() == before
    assert run(*flags, "--overwrite", columns=columns) == 0
    assert run(*flags, columns=columns) == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ((), "2 rows were predicted by an earlier, interrupted run"),
        (("000001.png",), "2 rows of an interrupted run were predicted again: images have changed"),
    ],
)
def test_an_interrupted_replacement_resumes_and_says_what_was_dropped(
    run, tmp_path: Path, capsys, monkeypatch, changed: tuple[str, ...], message: str
) -> None:
    append, flags = ResumableFile.append, ("--overwrite", "--batch_size", 2)

    def append_two(file: ResumableFile, *rest: object) -> None:
        if file.rows == 2:
            raise KeyboardInterrupt
        append(file, *rest)

    assert run(*flags) == 0
    expected = (tmp_path / "best.csv").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(ResumableFile, "append", append_two)
        with pytest.raises(KeyboardInterrupt):
            run(*flags)
    for name in changed:
        os.utime(tmp_path / "pictures" / name, (1, 1))
    capsys.readouterr()
    assert run(*flags) == 0
    assert message in capsys.readouterr().out
    assert (tmp_path / "best.csv").read_bytes() == expected


@pytest.mark.parametrize(
    ("columns", "flag", "named_model", "expected"),
    [
        ("", "auto", False, COMPETITION),
        ("", "auto", True, NAMED),
        ("", "named", False, NAMED),
        ("", "competition", True, COMPETITION),
        (",color,border", "auto", False, GIVEN),
        (",color,border", "competition", True, COMPETITION),
        (",len", "auto", True, COMPETITION),
        (",len,attr_1", "auto", True, COMPETITION),
        (",attr_1,color", "auto", True, COMPETITION),
        (",len,color", "auto", False, GIVEN_LEN),
        (",price", "auto", False, COMPETITION),
        (",price", "auto", True, NAMED),
    ],
)  # fmt: skip
def test_columns_come_back_as_they_were_given(
    run, checkpoint, checkpoint_copy, tmp_path, columns, flag, named_model, expected
) -> None:
    write_checkpoint(checkpoint_copy, replace(checkpoint, named_columns=named_model))
    assert run("--columns", flag, columns=columns) == 0
    assert header(tmp_path / "best.csv") == expected


def test_the_competitions_form_and_the_named_form_say_the_same(run, tmp_path: Path) -> None:
    answers = []
    for form in ("named", "competition"):
        out = tmp_path / f"{form}.csv"
        assert run("--columns", form, "--out_csv_path", out, "--probabilities") == 0
        answers.append(list(csv.DictReader(out.read_text().splitlines())))
    attributes = {"Sarees": ["border", "color"], "Kurtis": ["color", "sleeve", "occasion"]}
    for named, numbered in zip(*answers, strict=True):
        own = attributes[numbered["Category"]]
        assert int(numbered["len"]) == len(own)
        for number, attribute in enumerate(own, start=1):
            assert named[attribute] == numbered[f"attr_{number}"] != ""
            assert named[f"{attribute}_prob"] == numbered[f"prob_{number}"] != ""
        others = set(NAMED[2:]) - set(own)
        assert {named[name] + named[f"{name}_prob"] for name in others} == {""}
