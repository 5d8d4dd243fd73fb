"""`vtax report`, and the reports that other commands write."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from visual_taxonomy import cli
from visual_taxonomy.checkpoint import write_checkpoint
from visual_taxonomy.decision.fitting import fit_decision
from visual_taxonomy.decision.held_out import HELD_OUT_NAME, HeldOut
from visual_taxonomy.errors import InputError

PREDICT = ("--workers", "0", "--precision", "32")


@pytest.fixture
def model(tmp_path, checkpoint):
    counts = {task.name: [1] * len(task.classes) for task in checkpoint.taxonomy.tasks}
    path = tmp_path / "run" / "best_score.pt"
    write_checkpoint(path, replace(checkpoint, class_counts=counts))
    return path


@pytest.fixture
def files(tmp_path):
    """The CSV of six sarees, and their images."""
    images = tmp_path / "images"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 40, 50, 3), dtype=np.uint8)
    for row, image in enumerate(pixels):
        Image.fromarray(image).save(images / f"{row:06d}.png")
    borders = ["zari", "no", "woven", "zari", "", "woven"]
    lines = "".join(f"{row},Sarees,{border},red\n" for row, border in enumerate(borders))
    path = tmp_path / "labels.csv"
    path.write_text("id,Category,attr_1,attr_2\n" + lines)
    return ["--csv_path", str(path), "--img_dir", str(images)]


@pytest.fixture
def run_folder(tmp_path, taxonomy):
    """Held-out rows, and nothing else."""
    probabilities = np.zeros((20, 3, 3), dtype=np.float32)
    probabilities[:, 0, :2] = (0.6, 0.4)
    targets = np.full((20, 3), -1)
    targets[:, 0] = np.arange(20) % 2
    counts = {task.name: [1] * len(task.classes) for task in taxonomy.tasks}
    arrays = np.arange(20).astype(str), np.ones(20, dtype=np.int64), np.arange(20)
    held_out = HeldOut(taxonomy, counts, *arrays, probabilities, targets)
    held_out.write(tmp_path / "old_run" / HELD_OUT_NAME)
    return tmp_path / "old_run"


def test_a_run_folder_gets_a_report_that_may_be_replaced(run_folder, capsys):
    for _ in range(2):
        assert cli.run(["report", str(run_folder)]) == 0
    assert "report.html" in capsys.readouterr().out.replace("\n", "")
    html = (run_folder / "report.html").read_text(encoding="utf-8")
    assert "20 labels of 20 products in the validation rows of the run" in html


def test_pages_of_others_are_not_replaced(run_folder):
    page = run_folder / "mine.html"
    page.write_text("<html>mine</html>")
    with pytest.raises(InputError, match=r"mine\.html: already exists"):
        cli.run(["report", str(run_folder), "--out", str(page)])
    assert cli.run(["report", str(run_folder), "--out", str(page), "--overwrite"]) == 0


def test_files_of_the_run_are_not_replaced(run_folder):
    path = str(run_folder / HELD_OUT_NAME)
    with pytest.raises(InputError, match="this command reads it"):
        cli.run(["report", str(run_folder), "--out", path, "--overwrite"])


def test_a_checkpoint_is_reported_on_with_labelled_rows(model, files, tmp_path):
    out = tmp_path / "page.html"
    arguments = ["report", "--ckpt_path", str(model), *files, "--out", str(out), *PREDICT]
    assert cli.run(arguments) == 0
    html = out.read_text(encoding="utf-8")
    assert "11 labels of 6 products in 6 rows of a file" in html
    assert "were trained on" not in html
    assert html.count("data:image/jpeg;base64,") >= 6


def test_the_decision_of_a_checkpoint_is_judged_as_it_is(checkpoint, files, run_folder, tmp_path):
    decision = fit_decision(HeldOut.read(run_folder / HELD_OUT_NAME), source="elsewhere")
    model, out = tmp_path / "decided.pt", tmp_path / "page.html"
    counts = {task.name: [1] * len(task.classes) for task in checkpoint.taxonomy.tasks}
    write_checkpoint(model, replace(checkpoint, class_counts=counts, decision=decision))
    cli.run(["report", "--ckpt_path", str(model), *files, "--out", str(out), *PREDICT])
    html = out.read_text(encoding="utf-8")
    assert "The rule of the model, fitted on 20 labels (elsewhere)" in html
    assert "cross-fitted" not in html


def test_rows_that_were_trained_on_are_counted(model, files, tmp_path, capsys):
    split = "".join(f"{row},{'train' if row < 4 else 'validation'}\n" for row in range(6))
    (model.parent / "split.csv").write_text("id,split\n" + split)
    out = tmp_path / "page.html"
    cli.run(["report", "--ckpt_path", str(model), *files, "--out", str(out), *PREDICT])
    assert "of which 4 were trained on" in " ".join(capsys.readouterr().out.split())
    assert "of which 4 were trained on: their scores are too good" in out.read_text("utf-8")


@pytest.mark.parametrize("choice", ["wrong", "ignore"])
def test_evaluate_writes_the_report_too(model, files, tmp_path, choice):
    table = tmp_path / "labels.csv"
    table.write_text(table.read_text() + "0,Sarees,lace,red\n".replace("0,", "5_b,", 1))
    Image.new("RGB", (40, 50)).save(tmp_path / "images" / "5_b.png")
    out = tmp_path / "page.html"
    options = ["--report", str(out), "--unknown_labels", choice, *PREDICT]
    assert cli.run(["evaluate", "--ckpt_path", str(model), *files, *options]) == 0
    assert ("lace" in out.read_text(encoding="utf-8")) == (choice == "wrong")
    out.write_text("mine")
    with pytest.raises(InputError, match=r"--report .*page\.html: already exists"):
        cli.run(["evaluate", "--ckpt_path", str(model), *files, *options])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a run folder, or --ckpt_path with --csv_path"),
        (["run", "--ckpt_path", "a.pt"], "name a run folder, or --ckpt_path with --csv_path"),
        (["--ckpt_path", "a.pt"], "--ckpt_path a.pt: give --csv_path too, the rows"),
        (["run", "--csv_path", "a.csv"], r"name its checkpoint: --ckpt_path run/best_score.pt"),
        (["nowhere"], "nowhere: no such run folder"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        cli.run(["report", *arguments])


def test_the_end_of_a_run_without_held_out_rows_is_a_note(tmp_path, capsys):
    from visual_taxonomy.commands.report import report_at_end

    report_at_end(tmp_path)
    printed = " ".join(capsys.readouterr().out.split())
    assert "no report: " in printed
    assert "no held-out predictions" in printed
    assert (tmp_path / "environment.json").exists()
