"""The main job through the command line, on a drawn catalogue: train, evaluate, predict, resume."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import torch
from PIL import Image

from visual_taxonomy import cli
from visual_taxonomy.commands.terminal import EXIT_UNREADABLE
from visual_taxonomy.data.synthetic import synthesize
from visual_taxonomy.errors import InputError
from visual_taxonomy.prediction import Predictor

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
    command = [sys.executable, *(launcher or ("-m",)), "visual_taxonomy", *arguments]
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


def last_weights(save_dir: Path) -> dict[str, torch.Tensor]:
    return torch.load(save_dir / "run" / "last.pt", weights_only=True)["weights"]


def assert_bit_equal(save_dir: Path, other: Path) -> None:
    ours, theirs = last_weights(save_dir), last_weights(other)
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        assert torch.equal(weight, theirs[name]), name
    scores = [
        pl.read_csv(folder / "run" / "metrics.csv").select("train_loss", "val_loss", "hm", "lr")
        for folder in (save_dir, other)
    ]
    assert scores[0].equals(scores[1])


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
    for name in ("last.pt", "config.toml", "split.csv", "training.png", "scores.png"):
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
    step = torch.load(last, weights_only=True)["training"]["step"]
    assert 0 < step < STEPS_AN_EPOCH
    out, _ = finish(start(["train", "--config", str(tmp_path / "run/config.toml"), "--resume"]))
    assert f"going on from epoch 1, step {step}" in out
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
    assert f"go on with: vtax {' '.join(resume)}" in err
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
    ours, theirs = last_weights(tmp_path), last_weights(uninterrupted)
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=1e-3, atol=2e-4, msg=name)


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
    with pytest.raises(InputError, match="holds a run already"):
        cli.run(arguments)
    with pytest.raises(InputError, match=r"--scratch_lr is 0\.5, but the run in .* has 0\.0001"):
        cli.run([*arguments, "--resume", "--scratch_lr", "0.5"])
    assert cli.run([*arguments, "--overwrite"]) == 0


def test_unreadable_pictures_cost_their_own_rows_only(
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
    with pytest.warns(UserWarning, match="pictures could not be read and were skipped"):
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


def test_a_missing_picture_is_refused_before_any_work(
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
        (["--precision", "16", "--method", "UW"], "--precision 16 scales the losses"),
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
    """One class, no label at all, a category of one row, a class without example, odd pictures."""
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
