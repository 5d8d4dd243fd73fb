"""A bundle is run where there is no torch and no scikit-learn: here they are hidden."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.checkpoint import Checkpoint, write_checkpoint
from visual_taxonomy.cores import available_cores
from visual_taxonomy.decision.decision import Decision
from visual_taxonomy.inference.bundle import Bundle
from visual_taxonomy.inference.export.bundle_writer import export

WITHOUT_TORCH = """
import sys
from importlib.machinery import PathFinder
HIDDEN = ("torch", "torchvision", "timm", "lightning", "safetensors", "matplotlib")
HIDDEN += ("sklearn", "scipy")  # train words and probes
class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.split(".")[0] in HIDDEN
        return None if hidden else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
from visual_taxonomy.cli import main
"""
ONE_ROW_AT_A_TIME = """
import time
from visual_taxonomy.inference.engines.onnxruntime_engine import OnnxRuntimeEngine
run = OnnxRuntimeEngine.start
def slowly(self, images, categories):
    with open(LOG, "a") as log:
        log.write("row\\n" * len(images))
    time.sleep(PAUSE)
    return run(self, images, categories)
OnnxRuntimeEngine.start = slowly
"""


@pytest.fixture
def catalogue(table_of, tmp_path: Path) -> list[str]:
    """The flags that name 12 rows, the image of one of them damaged."""
    table = table_of(12)
    table.path(7).write_bytes(b"")
    lines = ["id,Category"]
    lines += [
        f"{i},{table.taxonomy.categories[k]}"
        for i, k in zip(table.ids, table.categories, strict=True)
    ]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    return ["--img_dir", str(table.img_dir), "--csv_path", str(tmp_path / "rows.csv")]


def start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, "predict", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


def test_a_bundle_gives_the_csv_of_the_checkpoint_without_torch(
    bundle: Bundle, checkpoint_path: Path, catalogue: list[str], tmp_path: Path
) -> None:
    expected, found = tmp_path / "expected.csv", tmp_path / "found.csv"
    torch_flags = ["--engine", "torch", "--precision", "32", "--accelerator", "cpu"]
    model = ["--ckpt_path", str(checkpoint_path), "--out_csv_path", str(expected)]
    assert cli.run(["predict", *catalogue, *model, *torch_flags, "--workers", "0"]) == 3

    model = ["--ckpt_path", str(bundle.folder), "--out_csv_path", str(found)]
    process = start(WITHOUT_TORCH + "main()", *catalogue, *model)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 3, errors
    assert found.read_bytes() == expected.read_bytes()
    assert Path(f"{found}.errors.csv").read_text() == Path(f"{expected}.errors.csv").read_text()


def test_a_decided_bundle_gives_the_labels_of_the_checkpoint_without_torch(
    checkpoint: Checkpoint, decision: Decision, catalogue: list[str], tmp_path: Path
) -> None:
    path, expected, found = (tmp_path / name for name in ("best.pt", "expected.csv", "found.csv"))
    write_checkpoint(path, replace(checkpoint, decision=decision))
    folder = export(path, tmp_path / "model", "onnx").folder
    more = ["--target_precision", "0.9", "--unknown", "?"]
    torch_flags = ["--engine", "torch", "--precision", "32", "--accelerator", "cpu"]
    model = ["--ckpt_path", str(path), "--out_csv_path", str(expected), *more]
    assert cli.run(["predict", *catalogue, *model, *torch_flags, "--workers", "0"]) == 3
    model = ["--ckpt_path", str(folder), "--out_csv_path", str(found), *more]
    process = start(WITHOUT_TORCH + "main()", *catalogue, *model)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 3, errors
    assert found.read_bytes() == expected.read_bytes()
    assert b"?" in found.read_bytes()


def test_images_on_the_line_are_answered_without_torch(bundle: Bundle, table_of) -> None:
    image = str(table_of(1).path(0))
    flags = ["--ckpt_path", str(bundle.folder), image, "--category", "Kurtis", "--json"]
    process = start(WITHOUT_TORCH + "main()", *flags)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert list(json.loads(output)["attributes"]) == ["color", "sleeve", "occasion"]


def test_a_checkpoint_without_torch_says_what_to_do(
    checkpoint_path: Path, catalogue: list[str]
) -> None:
    process = start(WITHOUT_TORCH + "main()", *catalogue, "--ckpt_path", str(checkpoint_path))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "a checkpoint needs torch" in errors
    assert "vtax export" in errors


def test_a_killed_run_goes_on_without_doing_a_row_twice(
    bundle: Bundle, catalogue: list[str], tmp_path: Path
) -> None:
    log, out, whole = (tmp_path / name for name in ("log.txt", "out.csv", "whole.csv"))
    flags = [*catalogue, "--ckpt_path", str(bundle.folder), "--batch_size", "1", "--probabilities"]

    def code(pause: float) -> str:
        slow = ONE_ROW_AT_A_TIME.replace("LOG", repr(str(log))).replace("PAUSE", str(pause))
        return f"{WITHOUT_TORCH}{slow}\nmain()"

    process = start(code(0.2), *flags, "--out_csv_path", str(out))
    journal = tmp_path / ".out.csv.part.jsonl"
    deadline = time.monotonic() + 60
    while not (journal.exists() and len(journal.read_text().splitlines()) > 6):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not out.exists()

    process = start(code(0), *flags, "--out_csv_path", str(out))
    output, _ = process.communicate(timeout=120)
    assert "rows were predicted by an earlier, interrupted run" in output
    # Each of the 12 rows once; those that were under way when the process was killed, again.
    under_way = available_cores() + 1
    assert 12 <= len(log.read_text().splitlines()) <= 12 + under_way

    start(code(0), *flags, "--out_csv_path", str(whole)).communicate(timeout=120)
    assert out.read_bytes() == whole.read_bytes()
    assert len(list(csv.reader(out.read_text().splitlines()))) == 13
    assert Path(f"{out}.errors.csv").read_text() == Path(f"{whole}.errors.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "packages"),
    [
        (["train", "--img_dir", "a", "--csv_path", "b"], {"torch", "torchvision", "timm"}),
        (["list", "backbones"], {"torch", "timm"}),
    ],
)
def test_a_command_that_needs_torch_names_what_to_install(
    arguments: list[str], packages: set[str]
) -> None:
    code = f"{WITHOUT_TORCH}\nsys.argv[1:] = {arguments}\nmain()"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    (error,) = (e for e in result.stderr.splitlines() if not e.startswith("vtax "))
    assert error.startswith("error: this needs the package ")
    _, _, install = error.partition(": pip install ")
    assert packages | {"matplotlib"} <= set(install.split())


def test_evaluate_of_a_bundle_needs_matplotlib_only(bundle: Bundle, catalogue: list[str]) -> None:
    flags = ["evaluate", *catalogue, "--ckpt_path", str(bundle.folder)]
    code = f"{WITHOUT_TORCH}\nsys.argv[1:] = {flags}\nmain()"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "error: this needs the package matplotlib, which is not installed" in result.stderr
