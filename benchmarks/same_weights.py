"""Digests of the weights of a few short trainings: run it before and after a change of the code.

A refactor changes no number, so every line must be the same bit for bit (float32, one process,
one machine). `--source` names the `src` folder to run, so two checkouts can be compared:

    python benchmarks/same_weights.py --source ../before/src > before.txt
    python benchmarks/same_weights.py --source src > after.txt && diff before.txt after.txt

Where the drawing of the catalogue itself has changed, give both the same `--catalogue`.
"""

import hashlib
import itertools
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

LOSSES = ("CE", "LDAM")
METHODS = ("none", "UW", "PCGrad")
LONG_TAIL = ("--train_rule", "DRW", "--beta", "0.999")
FROZEN = ("--freeze_backbone",)


@dataclass(frozen=True)
class Options:
    """Which code is run, and how long."""

    source: Path = Path("src")
    """The `src` folder of the checkout."""
    catalogue: Path | None = None
    """A catalogue of `vtax synthesize` for all checkouts; None: the code draws its own."""
    rows: int = 60
    """Products drawn."""
    epochs: int = 2
    """Epochs of each training."""


def main(options: Options) -> None:
    """Print a line for each training, the SHA-256 of its weights; first equals last."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.catalogue is None:
            drawing = ("--rows", str(options.rows), "--image_size", "64", "--seed", "0")
            out = ("--out", str(folder / "catalogue"))
            _vtax(options, "synthesize", *out, *drawing).wait()
        else:
            (folder / "catalogue").symlink_to(options.catalogue.resolve())
        for loss, method in itertools.product(LOSSES, METHODS):
            flags = ("--loss_type", loss, "--method", method, *LONG_TAIL)
            print(f"{loss} {method}: {_trained(options, folder, *flags)}", flush=True)
        cache = ("--feature_cache", str(folder / "cache"), "--feature_views", "2")
        print(f"cached features: {_trained(options, folder, *FROZEN, *cache)}", flush=True)
        print(f"interrupted and resumed: {_trained(options, folder, *LONG_TAIL, interrupted=True)}")


def _trained(options: Options, folder: Path, *flags: str, interrupted: bool = False) -> str:
    run = Path(tempfile.mkdtemp(dir=folder))
    command = (
        *("train", "--img_dir", str(folder / "catalogue/images")),
        *("--csv_path", str(folder / "catalogue/train.csv")),
        *("--attributes_config", str(folder / "catalogue/attrs_config.json")),
        *("--save_dir", str(run), "--run_name", "run", "--epochs", str(options.epochs)),
        *("--backbone", "test_vit", "--pretrained_ckpt", "none", "--image_size", "32", "32"),
        *("--batch_size", "8", "--precision", "32", "--accelerator", "cpu", "--save_every", "1"),
        *("--train_workers", "0", "--val_workers", "0", "--scratch_lr", "0.003", *flags),
    )
    last = run / "run/last.pt"
    if interrupted:
        process = _vtax(options, *command)
        while not last.exists() and process.poll() is None:
            pass
        process.send_signal(signal.SIGINT)
        process.wait()
        command = (*command, "--resume")
    if _vtax(options, *command).wait() != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return _digest(last)


def _digest(path: Path) -> str:
    content = torch.load(path, map_location="cpu", weights_only=True)
    digest = hashlib.sha256()
    for name, tensor in sorted(content["weights"].items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _vtax(options: Options, *arguments: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(options.source.resolve()), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "visual_taxonomy", *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
