"""The main job through the command line, on a drawn catalogue: train, evaluate, predict, resume."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
import torch
from PIL import Image
from polars.testing import assert_frame_equal

from visual_taxonomy import cli
from visual_taxonomy.commands.terminal import EXIT_UNREADABLE
from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.task_weighting import TASK_WEIGHTINGS
from visual_taxonomy.training.trainer import Trainer

ROWS = 90
STEPS_AN_EPOCH = 8


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "catalogue"
    synthesize(folder, ROWS, seed=1, image_size=64, workers=1)
    return folder


def read_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def train_arguments(catalogue: Path, save_dir: Path, *more: object) -> list[str]:
    arguments = {
        "--img_dir": catalogue / "images",
        "--csv_path": catalogue / "train.csv",
        "--attributes_config": catalogue / "attrs_config.json",
        "--save_dir": save_dir,
        "--run_name": "run",
        "--backbone": "vit_tiny_patch16_224",
        "--pretrained_ckpt": "none",
        "--unlock_block": 0,
        "--epochs": 2,
        "--batch_size": 8,
        "--precision": "32",
        "--accelerator": "cpu",
        "--train_workers": 0,
        "--val_workers": 0,
        "--save_every": 1,
    }
    flags = [str(part) for pair in arguments.items() for part in pair]
    size = ["--image_size", "32", "32", "--batch_sampling", "joint"]
    small = ["--backbone_parameters", "embed_dim", "24", "depth", "1", "num_heads", "3"]
    return ["train", *flags, *size, *small, *map(str, more)]


def start(arguments: list[str], *launcher: str) -> "subprocess.Popen[str]":
    return launch(*(launcher or ("-m",)), "visual_taxonomy", *arguments)


def launch(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def finish(process: "subprocess.Popen[str]", status: int = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == status, err
    return out, err


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "last.pt", weights_only=True)["weights"]


def assert_bit_equal(save_dir: Path, other: Path) -> None:
    ours, theirs = last_weights(save_dir / "run"), last_weights(other / "run")
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        assert torch.equal(weight, theirs[name]), name
    assert scores(save_dir).equals(scores(other))
    tables = [folder / "run" / "task_diagnostics.csv" for folder in (save_dir, other)]
    assert tables[0].read_text() == tables[1].read_text()


def assert_close(ours: Path, theirs: Path, tolerance: float) -> None:
    """Of two run folders the weights, to an absolute tolerance, losses and norms of gradients."""
    expected = last_weights(theirs)
    for name, weight in last_weights(ours).items():
        message = f"{ours.name}: {name}"
        torch.testing.assert_close(weight, expected[name], rtol=1e-3, atol=tolerance, msg=message)
    for table, columns in (
        ("metrics.csv", ["train_loss", "val_loss"]),
        ("task_diagnostics.csv", ["gradient_norm"]),
    ):
        found, wanted = (pl.read_csv(folder / table).select(columns) for folder in (ours, theirs))
        assert_frame_equal(found, wanted, rel_tol=1e-3, abs_tol=1e-4)


def scores(save_dir: Path) -> pl.DataFrame:
    columns = ("train_loss", "val_loss", "hm", "lr", "conflict_share")
    return pl.read_csv(save_dir / "run" / "metrics.csv").select(columns)


@pytest.fixture(scope="session")
def uninterrupted(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    save_dir = tmp_path_factory.mktemp("uninterrupted")
    finish(start(train_arguments(catalogue, save_dir)))
    return save_dir


def test_a_run_leaves_what_the_original_promised(uninterrupted: Path) -> None:
    folder = uninterrupted / "run"
    for kind in ("both", "score", "loss"):
        checkpoint = torch.load(folder / f"best_{kind}.pt", weights_only=True)
        metrics = json.loads((folder / f"{kind}_detailed_metrics.json").read_text())
        assert checkpoint["metrics"] == metrics
        assert {"hm", "micro", "macro", "categories", "val_loss"} <= metrics.keys()
    plots = ("training.png", "scores.png", "conflicts.png")
    tables = ("split.csv", "task_diagnostics.csv", "report.html")
    for name in ("last.pt", "config.toml", *plots, *tables):
        assert (folder / name).stat().st_size > 0
    rows = read_rows(folder / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert int(rows[0]["step"]) == STEPS_AN_EPOCH


def test_evaluate_and_predict_run_from_the_checkpoint(
    catalogue: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    checkpoint = str(uninterrupted / "run" / "best_both.pt")
    common = ["--img_dir", str(catalogue / "images"), "--ckpt_path", checkpoint, "--workers", "0"]
    report = tmp_path / "report.json"
    labelled = ["--csv_path", str(catalogue / "test_labels.csv"), "--out", str(report)]
    assert cli.run(["evaluate", *common, *labelled, "--plots", str(tmp_path)]) == 0
    assert 0 <= json.loads(report.read_text())["hm"] <= 1
    assert (tmp_path / "gallery.png").exists()

    out = tmp_path / "predictions.csv"
    test = ["--csv_path", str(catalogue / "test.csv"), "--out_csv_path", str(out)]
    assert cli.run(["predict", *common, *test]) == 0
    rows = read_rows(out)
    asked = read_rows(catalogue / "test.csv")
    assert [row["id"] for row in rows] == [row["id"] for row in asked]
    taxonomy = Predictor.load(checkpoint).taxonomy
    for row in rows:
        attributes = taxonomy.attributes(row["Category"])
        assert int(row["len"]) == len(attributes)
        for slot in range(1, 11):
            label = row[f"attr_{slot}"]
            if slot <= len(attributes):
                assert label in taxonomy.task(row["Category"], attributes[slot - 1]).classes
            else:
                assert label == "dummy_value"


def test_a_run_killed_in_the_middle_of_an_epoch_resumes_bit_equal(
    catalogue: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    process = start(train_arguments(catalogue, tmp_path))
    last = tmp_path / "run" / "last.pt"
    while not last.exists():
        assert process.poll() is None
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    step = torch.load(last, weights_only=True)["training"]["source"]["step"]
    assert 0 < step < STEPS_AN_EPOCH
    out, _ = finish(start(["train", "--config", str(tmp_path / "run/config.toml"), "--resume"]))
    assert f"resuming at epoch 1, step {step}" in out
    assert_bit_equal(tmp_path, uninterrupted)


def test_ctrl_c_saves_and_says_how_to_resume(
    catalogue: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    process = start(train_arguments(catalogue, tmp_path, "--train_workers", "1"))
    while not (tmp_path / "run" / "last.pt").exists():
        assert process.poll() is None
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    _, err = finish(process, status=130)
    resume = ["train", "--config", str(tmp_path / "run" / "config.toml"), "--resume"]
    assert f"resume with: vtax {' '.join(resume)}" in err
    finish(start(resume))
    assert_bit_equal(tmp_path, uninterrupted)


@pytest.mark.parametrize("launcher", ["vtax", "torchrun"])
def test_two_processes_reach_the_weights_of_one(
    launcher: str, catalogue: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    arguments = train_arguments(catalogue, tmp_path, "--devices", "2")
    if launcher == "vtax":
        finish(start(arguments))
    else:
        finish(start(arguments, "-m", "torch.distributed.run", "--nproc_per_node=2", "-m"))
    ours, theirs = last_weights(tmp_path / "run"), last_weights(uninterrupted / "run")
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=1e-3, atol=2e-4, msg=name)


WORKER = """
import json, sys
from pathlib import Path
from visual_taxonomy import cli
from visual_taxonomy.reporting import conflicts, curves, scores

curves.plot_training = scores.plot_scores = conflicts.plot_conflicts = lambda *_: None
for arguments in json.loads(Path(sys.argv[1]).read_text()):
    assert cli.run(arguments) == 0
"""


def cut_to(catalogue: Path, folder: Path, categories: Sequence[str]) -> list[object]:
    """Flags for the labelled rows of some categories of a catalogue only."""
    table, taxonomy = folder / "train.csv", folder / "attrs_config.json"
    rows = pl.read_csv(catalogue / "train.csv", infer_schema=False)
    rows.filter(pl.col("Category").is_in(categories)).write_csv(table)
    whole = json.loads((catalogue / "attrs_config.json").read_text(encoding="utf-8"))
    taxonomy.write_text(json.dumps({category: whole[category] for category in categories}))
    return ["--csv_path", table, "--attributes_config", taxonomy]


@pytest.mark.slow
def test_every_method_reaches_with_two_processes_what_it_reaches_with_one(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def arguments(method: str, devices: int) -> list[str]:
        save_dir, flags = tmp_path / f"{devices}", ["--run_name", method, "--method", method]
        rarely = ["--save_every", 100, "--log_every", 1]
        return train_arguments(catalogue, save_dir, *rows, *flags, *rarely, "--devices", devices)

    rows = cut_to(catalogue, tmp_path, ["Men Tshirts", "Women Tshirts"])

    methods = ["none", *TASK_WEIGHTINGS]
    script, runs = tmp_path / "worker.py", tmp_path / "runs.json"
    script.write_text(WORKER, encoding="utf-8")
    runs.write_text(json.dumps([arguments(method, 2) for method in methods]), encoding="utf-8")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    two = launch(*torchrun, str(script), str(runs))
    step, has_lone_label = Trainer.train_step, []

    def look_and_step(trainer: Trainer, batch: Batch) -> None:
        entries = trainer.objective.entries(batch.categories, batch.targets)
        has_lone_label.append(1 in entries.counts)
        step(trainer, batch)

    monkeypatch.setattr(Trainer, "train_step", look_and_step)
    for name in ("curves.plot_training", "scores.plot_scores", "conflicts.plot_conflicts"):
        monkeypatch.setattr(f"visual_taxonomy.reporting.{name}", lambda *_: None)
    for method in methods:
        assert cli.run(arguments(method, 1)) == 0
    finish(two)
    for method in methods:
        # What IMTL solves is nearly singular: rounding errors of 1e-7 grow to 1e-4.
        tolerance = 2e-3 if method == "IMTL" else 2e-4
        assert_close(tmp_path / "2" / method, tmp_path / "1" / method, tolerance)
    assert any(has_lone_label)  # of a task of which the other process has none


@pytest.mark.parametrize("batch_sampling", ["mixed", "sequential"])
def test_batches_of_one_category_train_too(
    batch_sampling: str, catalogue: Path, tmp_path: Path
) -> None:
    arguments = train_arguments(catalogue, tmp_path, "--epochs", "1")
    arguments[arguments.index("joint")] = batch_sampling
    assert cli.run(arguments) == 0


def test_a_run_folder_is_neither_overwritten_nor_resumed_by_accident(
    catalogue: Path, tmp_path: Path
) -> None:
    arguments = train_arguments(catalogue, tmp_path, "--epochs", "1")
    assert cli.run(arguments) == 0
    with pytest.raises(InputError, match="already holds a run"):
        cli.run(arguments)
    with pytest.raises(InputError, match=r"`scratch_lr` is 0\.5, but the run in .* has 0\.0001"):
        cli.run([*arguments, "--resume", "--scratch_lr", "0.5"])
    assert cli.run([*arguments, "--overwrite"]) == 0


def test_unreadable_images_are_skipped_and_their_rows_only(
    catalogue: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for path in (catalogue / "images").iterdir():
        (images / path.name).symlink_to(path)
    for table in ("train.csv", "test.csv"):
        first = read_rows(catalogue / table)[0]["id"]
        broken = images / f"{int(first):06d}.jpg"
        half = broken.read_bytes()[:700]
        broken.unlink()
        broken.write_bytes(half)
    arguments = train_arguments(catalogue, tmp_path, "--epochs", "1", "--img_dir", images)
    with pytest.warns(
        UserWarning, match=r"1 image could not be read and was skipped: .*images/\d+\.jpg \("
    ):
        assert cli.run([*arguments, "--no-group-duplicates", "--val_ratio", "0.1"]) == 0

    out = tmp_path / "out.csv"
    checkpoint = str(uninterrupted / "run" / "best_both.pt")
    common = ["--ckpt_path", checkpoint, "--csv_path", str(catalogue / "test.csv")]
    status = cli.run(
        ["predict", "--img_dir", str(images), *common, "--out_csv_path", str(out), "--workers", "0"]
    )
    assert status == EXIT_UNREADABLE
    rows = read_rows(out)
    assert rows[0]["attr_1"] == ""
    assert rows[1]["attr_1"] != ""
    errors = read_rows(tmp_path / "out.csv.errors.csv")
    assert [error["id"] for error in errors] == [rows[0]["id"]]


def test_a_missing_image_is_refused_before_any_work(
    catalogue: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    table = tmp_path / "test.csv"
    table.write_text("id,Category\n987654,Sarees\n", encoding="utf-8")
    arguments = [
        *("predict", "--img_dir", str(catalogue / "images"), "--csv_path", str(table)),
        *("--ckpt_path", str(uninterrupted / "run" / "best_both.pt"), "--workers", "0"),
        *("--out_csv_path", str(tmp_path / "out.csv")),
    ]
    with pytest.raises(InputError, match="987654"):
        cli.run(arguments)
    assert not (tmp_path / "out.csv").exists()
    assert cli.run([*arguments, "--skip_missing"]) == EXIT_UNREADABLE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--loss_type", "LDMA"], "'LDMA' is none of: .*Did you mean 'LDAM'"),
        (["--train_rule", "DWR"], "'DWR' is none of"),
        (["--method", "PCGard"], "Did you mean 'PCGrad'"),
        (["--backbone", "mobilenetv2_10"], "mobilenetv2_10"),
        (["--loss_type", "Focal", "--loss_parameters", "gama", "2"], "Did you mean 'gamma'"),
        (["--pretrained_ckpt", "nowhere.pt"], "nowhere.pt"),
        (["--precision", "16", "--method", "UW"], "`precision=16` scales the losses"),
    ],
)
def test_what_does_not_exist_is_named_with_the_nearest(
    arguments: list[str], message: str, catalogue: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        cli.run(train_arguments(catalogue, tmp_path, *arguments))


def test_a_taxonomy_other_than_the_checkpoints_is_refused(
    catalogue: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    other = tmp_path / "attrs.json"
    other.write_text(json.dumps({"Sarees": {"border": ["zari", "no"]}}))
    with pytest.raises(InputError, match="is not the taxonomy of"):
        cli.run(
            [
                *("evaluate", "--img_dir", str(catalogue / "images")),
                *("--csv_path", str(catalogue / "test_labels.csv")),
                *("--ckpt_path", str(uninterrupted / "run" / "best_both.pt")),
                *("--attributes_config", str(other)),
            ]
        )


def test_odd_tables_train(tmp_path: Path) -> None:
    """One class, no label at all, a category of one row, a class without example, odd images."""
    images = tmp_path / "images"
    images.mkdir()
    modes = ["RGB", "L", "CMYK", "P", "I;16"]
    lines = ["id,Category,len,attr_1,attr_2,attr_3"]
    for row in range(24):
        mode = modes[row % len(modes)]
        suffix = "png" if mode in ("P", "I;16") else "jpg"
        Image.new("RGB", (40, 30), (row * 10, 80, 120)).convert(
            "I" if mode == "I;16" else mode
        ).convert(mode).save(images / f"{row:06d}.{suffix}")
        color = "red\n" if row % 2 else "blue"
        lines.append(f'{row},shirt,3,"{color}",only,' if row else "0,lonely,1,a,,")
    table = tmp_path / "train.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    taxonomy = {
        "shirt": {"color": ["red", "blue", "never"], "one": ["only"], "empty": ["x", "y"]},
        "lonely": {"a": ["a", "b"]},
        "absent": {"b": ["c", "d"]},
    }
    config = tmp_path / "attrs.json"
    config.write_text(json.dumps(taxonomy))
    paths = ["--img_dir", images, "--csv_path", table, "--attributes_config", config]
    arguments = train_arguments(tmp_path, tmp_path, *paths, "--no_group_duplicates")
    for extra in (["--loss_type", "LDAM"], ["--train_rule", "CBReweight", "--overwrite"]):
        assert cli.run([*arguments, *extra]) == 0
