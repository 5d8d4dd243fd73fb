"""`vtax calibrate`: a decision fitted anew, into a checkpoint or a bundle."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from visual_taxonomy.data.split import write_split
from visual_taxonomy.data.table import Table
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import CARD, Bundle, read_bundle
from visual_taxonomy.taxonomy import Taxonomy

QUICK = ("--workers", "0", "--precision", "32", "--accelerator", "cpu")


@pytest.fixture
def rows(table_of: Callable[[int], Table], tmp_path: Path) -> list[str]:
    """The flags that name 40 labelled rows."""
    table = table_of(40)
    path = tmp_path / "labelled.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "Category", "attr_1", "attr_2", "attr_3"])
        for name, category, targets in zip(table.ids, table.categories, table.targets, strict=True):
            tasks = [table.taxonomy.tasks[t] for t in table.taxonomy.slots[category]]
            labels = [task.label(int(c)) or "" for task, c in zip(tasks, targets, strict=False)]
            labels += [""] * (3 - len(labels))
            writer.writerow([name, table.taxonomy.categories[category], *labels])
    return ["--csv_path", str(path), "--img_dir", str(table.img_dir)]


@pytest.fixture
def model(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    counts = {task.name: [9, 5, 2][: len(task.classes)] for task in checkpoint.taxonomy.tasks}
    path = tmp_path / "run" / "best.pt"
    path.parent.mkdir()
    write_checkpoint(path, replace(checkpoint, class_counts=counts))
    return path


def test_a_checkpoint_gets_a_decision_of_labelled_rows(
    model: Path, rows: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new.pt"
    assert cli.run(["calibrate", str(model), *rows, "--out", str(out), *QUICK]) == 0
    found, before = read_checkpoint(out), read_checkpoint(model)
    assert found.decision is not None
    assert found.decision.fitted_on.source == "labelled.csv"
    assert found.decision.fitted_on.rows == 40
    assert found.weights.keys() == before.weights.keys()
    assert before.decision is None
    shown = " ".join(capsys.readouterr().out.split())
    assert f"decision ({found.decision.rule}): HM-F1" in shown
    assert "argmax" in shown
    assert "target precision 0.95: no attribute has the 200 held-out labels" in shown
    with pytest.raises(InputError, match="already exists"):
        cli.run(["calibrate", str(model), *rows, "--out", str(out), *QUICK])
    assert cli.run(["calibrate", str(model), *rows, "--overwrite", *QUICK]) == 0
    assert read_checkpoint(model).decision == found.decision


def test_held_out_predictions_of_a_run_do_without_images(
    model: Path, held_out: HeldOut, tmp_path: Path
) -> None:
    held_out.write(tmp_path / "held_out.npz")
    given = ["--held_out", str(tmp_path / "held_out.npz"), "--out", str(tmp_path / "new.pt")]
    assert cli.run(["calibrate", str(model), *given, *QUICK]) == 0
    found = read_checkpoint(tmp_path / "new.pt")
    assert found.decision is not None
    assert found.decision.fitted_on.rows == len(held_out)
    assert found.decision_figures["rule"] == found.decision.rule


def test_held_out_predictions_of_another_taxonomy_are_refused(
    model: Path, held_out: HeldOut, tmp_path: Path
) -> None:
    mapping = held_out.taxonomy.to_dict()
    mapping["Sarees"]["color"] = ["blue", "red"]
    path = tmp_path / "held_out.npz"
    replace(held_out, taxonomy=Taxonomy.from_dict(mapping)).write(path)
    given = ["--held_out", str(path), "--out", str(tmp_path / "new.pt")]
    with pytest.raises(InputError, match=r"held_out\.npz: of another taxonomy than"):
        cli.run(["calibrate", str(model), *given, *QUICK])


def test_a_bundle_is_written_anew_and_replaced(
    bundle: Bundle, rows: list[str], tmp_path: Path
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    given = [*rows, "--workers", "0"]
    assert cli.run(["calibrate", str(bundle.folder), *given, "--out", str(one)]) == 0
    found = read_bundle(one)
    assert found.decision is not None
    assert found.files == bundle.files
    assert "Fitted on 40 rows" in (one / CARD).read_text()
    assert "None: the answers are the most probable" in (bundle.folder / CARD).read_text()
    with pytest.raises(InputError, match="exists already; name another folder"):
        cli.run(["calibrate", str(bundle.folder), *given, "--out", str(one)])
    one.rename(other)
    assert cli.run(["calibrate", str(other), *given, "--folds", "3", "--overwrite"]) == 0
    replaced = read_bundle(other).decision
    assert replaced is not None
    assert replaced.fitted_on.folds == 3


def test_rows_that_were_trained_on_are_warned_of(
    model: Path, rows: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_split(model.parent / "split.csv", [str(i) for i in range(60)], [0] * 30 + [1] * 30)
    flags = ["--out", str(tmp_path / "new.pt"), *QUICK]
    assert cli.run(["calibrate", str(model), *rows, *flags]) == 0
    assert "the model was trained on 30 of these 40 rows" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "give the rows to fit on: --csv_path and --img_dir, or --held_out"),
        (("--held_out", "a", "--img_dir", "b"), "--img_dir without --csv_path"),
        (
            ("--held_out", "a"),
            r"name a file to write with --out, or replace m\.pt with --overwrite",
        ),
        (("--held_out", "a", "--folds", "1", "--overwrite"), "--folds must be 2 or more"),
        (("--held_out", "a", "--decision", "argmax"), "--decision argmax: `vtax calibrate` fits"),
    ],
)
def test_flags_that_do_not_fit_are_refused(flags: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cli.run(["calibrate", "m.pt", *flags])
