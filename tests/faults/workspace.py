"""What the scenarios start from: a drawn catalogue, a run without faults, and what it predicts."""

import csv
import hashlib
import shutil
import tempfile
from pathlib import Path

import torch
from process import Outcome, vtax

_TIMINGS = ("images_per_second", "waiting_share", "seconds")


class Workspace:
    """A folder with a catalogue and the files of a run without faults.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalogue = folder / "catalogue"
        self.images = self.catalogue / "images"
        drawing = ["--rows", "48", "--image_size", "48", "--seed", "0"]
        self.must(["synthesize", "--out", str(self.catalogue), *drawing])
        self.run = folder / "reference"
        self.must(self.train(self.run))
        self.checkpoint = self.run / "best_score.pt"
        self.bundle = folder / "bundle"
        self.must(["export", str(self.checkpoint), "--to", "onnx", "--out", str(self.bundle)])
        self.weights = digest(self.run / "last.pt")
        self.metrics = metrics(self.run)
        self.predictions = {}
        for model in (self.checkpoint, self.bundle):
            out = folder / f"{model.name}.csv"
            self.must(self.predict(model, out))
            self.predictions[model] = out.read_bytes()

    def train(self, run: Path, *flags: str) -> list[str]:
        """The arguments of a short training into a run folder."""
        return [
            *("train", "--img_dir", str(self.images)),
            *("--csv_path", str(self.catalogue / "train.csv")),
            *("--attributes_config", str(self.catalogue / "attrs_config.json")),
            *("--save_dir", str(run.parent), "--run_name", run.name, "--epochs", "3"),
            *("--backbone", "test_vit", "--pretrained_ckpt", "none", "--image_size", "32", "32"),
            *("--batch_size", "8", "--precision", "32", "--accelerator", "cpu"),
            *("--save_every", "1", "--train_workers", "0", "--val_workers", "0", *flags),
        ]

    def predict(self, model: Path, out: Path, *flags: str) -> list[str]:
        """The arguments of a prediction of the test rows."""
        return [
            *("predict", "--img_dir", str(self.images), "--ckpt_path", str(model)),
            *("--csv_path", str(self.catalogue / "test.csv"), "--out_csv_path", str(out)),
            *("--probabilities", "--batch_size", "1", "--workers", "0", "--precision", "32"),
            *flags,
        ]

    def evaluate(self, model: Path, out: Path) -> list[str]:
        """The arguments of an evaluation on the labelled test rows."""
        return [
            *("evaluate", "--img_dir", str(self.images), "--ckpt_path", str(model)),
            *("--csv_path", str(self.catalogue / "test_labels.csv"), "--out", str(out)),
            *("--batch_size", "4", "--workers", "0", "--precision", "32"),
        ]

    def round_folder(self) -> Path:
        """An empty folder for one round."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def copy_of_run(self, folder: Path) -> Path:
        """The run without faults, copied so that it can be harmed."""
        return Path(shutil.copytree(self.run, folder / "run"))

    def must(self, arguments: list[str]) -> Outcome:
        """Run a command that has to succeed.

        Raises:
            RuntimeError: It does not, so no scenario means anything.
        """
        outcome = vtax(arguments, self.folder / "log.txt")
        if outcome.status != 0:
            raise RuntimeError(f"vtax {' '.join(arguments)}: {outcome.text}")
        return outcome


def digest(checkpoint: Path) -> str:
    """SHA-256 of the weights in a checkpoint."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    summary = hashlib.sha256()
    for name, tensor in sorted(content["weights"].items()):
        summary.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return summary.hexdigest()


def metrics(run: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv without what a clock says."""
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in _TIMINGS} for row in rows]


def left_overs(folder: Path) -> list[str]:
    """Hidden files that a finished command has left behind; locks may stay."""
    return sorted(
        path.name
        for path in folder.rglob(".*")
        if path.is_file() and not path.name.endswith(".lock")
    )
