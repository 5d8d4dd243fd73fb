"""Write a bundle from a checkpoint, measured against it before it gets its name."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors.torch import save_file

from visual_taxonomy.atomic import name_full_disk, write_text
from visual_taxonomy.catalogue import remembered
from visual_taxonomy.checkpoint import Checkpoint, read_model
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import (
    CARD,
    ONNX,
    OPENVINO,
    REQUIREMENTS,
    TAXONOMY,
    WEIGHTS,
    Bundle,
    checksum,
    checksums,
    write_manifest,
    write_witnesses,
)
from visual_taxonomy.inference.engines.image_loading import load_images
from visual_taxonomy.inference.export.agreement import check_gate, measure
from visual_taxonomy.inference.export.card import card, requirements, versions
from visual_taxonomy.inference.export.onnx_graph import write_onnx, write_openvino
from visual_taxonomy.inference.export.quantization import quantize
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.leftovers import temporary_beside
from visual_taxonomy.model.classifier import Classifier

Kind = Literal["bundle", "onnx", "openvino"]

# Float32 in another order of operations flips only labels that are nearly tied; a wrong graph, such
# as a normalisation left out, flips far more.
FLOAT_GATE = 0.999
# Eight bits move near ties as well; vision transformers keep above 99.9 % (decisions/007).
INT8_GATE = 0.99
_CALIBRATION_BATCH = 16
# What the mode of the folder, which follows the umask, has in common with that of its files.
_READ_AND_WRITE = 0o666
_PACKAGES = {
    "bundle": ("onnx", "onnxscript", "onnxruntime"),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "onnxruntime", "openvino"),
}


@dataclass(frozen=True)
class Trial:
    """Rows an export is calibrated with and measured on.

    Args:
        table: Labelled rows.
        csv: Name of the file they came from.
        calibration: Most rows to calibrate 8 bits with; they are not measured on.
        measured: Most rows to measure on.
        least: Least share of equal labels; None: 99.9 % in float32, 99 % in 8 bits.
    """

    table: Table
    csv: str
    calibration: int = 256
    measured: int = 2000
    least: float | None = None

    def split(self, int8: bool) -> tuple[Table, Table]:
        """Rows to calibrate with, none in float32, at most half in 8 bits; rows to measure on."""
        # Fixed, for it is split twice: rows that calibrated must not be among those measured on.
        order = np.random.default_rng(0).permutation(len(self.table))
        first = min(self.calibration, len(order) // 2) if int8 else 0
        last = first + self.measured
        return self.table.take(order[:first]), self.table.take(np.sort(order[first:last]))


def export(
    path: Path,
    out: Path,
    kind: Kind,
    int8: bool = False,
    trial: Trial | None = None,
    workers: int = 2,
    on_progress: Callable[[int], None] = lambda done: None,
    attributes_config: Path | None = None,
) -> Bundle:
    """Write a folder that runs without the checkpoint.

    "bundle" holds the weights for torch and the ONNX graph, "onnx" the graph alone, "openvino"
    OpenVINO's form of it. The folder has a temporary name until it is complete and has passed.

    Args:
        path: The checkpoint.
        out: The folder to make.
        kind: What it holds.
        int8: Multiply in 8 bits; needs a trial.
        trial: Rows to measure on; None: the card says that it was not measured.
        workers: Processes or threads that load the images of the trial.
        on_progress: Called with the number of predictions done while it is measured.
        attributes_config: The taxonomy as JSON, for a checkpoint of the original system.

    Returns:
        The bundle, at its place.

    Raises:
        InputError: The folder exists, a package is missing, the checkpoint cannot be used or its
            backbone not exported, or the answers differ by more than is allowed.
    """
    _check_possible(out, kind, int8, trial)
    checkpoint = read_model(path, attributes_config)
    classifier = checkpoint.classifier()
    with _new_folder(out) as folder:
        write_text(folder / TAXONOMY, checkpoint.taxonomy.to_json())
        if checkpoint.witnesses is not None:
            write_witnesses(folder, checkpoint.witnesses)
        if kind == "bundle":
            # safetensors refuses tensors that are not contiguous.
            weights = {name: value.contiguous() for name, value in classifier.state_dict().items()}
            save_file(weights, folder / WEIGHTS)
        _write_graph(classifier, folder, kind, trial if int8 else None)
        # Before manifest, card and requirements: checksums are of taxonomy and model files.
        bundle = _describe(path, checkpoint, classifier, folder, int8)
        if trial is not None:
            measured = _measure(checkpoint, bundle, trial, workers, on_progress)
            bundle = replace(bundle, measured=measured)
        write_manifest(bundle)
        write_text(folder / CARD, card(bundle, out.name))
        write_text(folder / REQUIREMENTS, requirements(bundle))
    return replace(bundle, folder=out)


def _check_possible(out: Path, kind: Kind, int8: bool, trial: Trial | None) -> None:
    if os.path.lexists(out):  # a link to nothing counts too
        raise InputError(f"{out}: already exists; name another folder, or remove it")
    if int8 and trial is None:
        raise InputError(
            "`int8` is calibrated on real images and measured: give `csv_path` (labelled rows) "
            "and `img_dir`"
        )
    missing = [name for name in _PACKAGES[kind] if not find_spec(name)]
    if missing:
        extra = "export,openvino" if kind == "openvino" else "export"
        raise InputError(
            f"`to={kind}` needs {', '.join(missing)}: pip install 'visual-taxonomy[{extra}]'"
        )


def _write_graph(classifier: Classifier, folder: Path, kind: Kind, trial: Trial | None) -> None:
    graph, plain = folder / ONNX, folder / "float32.onnx"
    if trial is None:
        write_onnx(classifier, graph)
    else:
        write_onnx(classifier, plain)
        table, _ = trial.split(int8=True)
        images = classifier.encoder.backbone.preprocessing
        quantize(
            plain,
            graph,
            load_images(
                table.image,
                table.categories,
                images.image_size,
                _CALIBRATION_BATCH,
                2,
                images.interpolation,
            ),
        )
        # Large graphs keep their weights in a file beside them.
        for path in folder.glob("float32.onnx*"):
            path.unlink()
    if kind == "openvino":
        write_openvino(graph, folder / OPENVINO)
        for path in folder.glob(ONNX + "*"):
            path.unlink()


def _describe(
    path: Path, checkpoint: Checkpoint, classifier: Classifier, folder: Path, int8: bool
) -> Bundle:
    return Bundle(
        folder,
        checkpoint.taxonomy,
        checkpoint.model,
        classifier.encoder.backbone.preprocessing,
        checksums(folder),
        int8,
        checkpoint.class_counts,
        checkpoint.decision,
        checkpoint.decision_figures,
        source={
            "name": path.name,
            "sha256": checksum(path),
            "epoch": checkpoint.epoch,
            "metrics": dict(checkpoint.metrics),
            "named_columns": checkpoint.named_columns,
            "columns": remembered(checkpoint.columns),
        },
        versions=versions(),
    )


def _measure(
    checkpoint: Checkpoint,
    bundle: Bundle,
    trial: Trial,
    workers: int,
    on_progress: Callable[[int], None],
) -> dict[str, object]:
    exact = InferenceConfig("torch", workers=workers, precision="32")
    runs = InferenceConfig(workers=workers, precision="32", accelerator="cpu")
    exported = Predictor(bundle, runs)
    _, table = trial.split(bundle.int8)
    agreement = measure(Predictor(checkpoint, exact), exported, table, on_progress)
    gate = INT8_GATE if bundle.int8 else FLOAT_GATE
    check_gate(agreement, gate if trial.least is None else trial.least)
    given = {"csv": trial.csv, "csv_rows": len(trial.table)}
    return {**given, "engine": exported.engine.name, **agreement.to_dict()}


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with name_full_disk(path), temporary_beside(path, Path.mkdir) as temporary:
        try:
            yield temporary
            for file in temporary.iterdir():
                # safetensors writes files that only their owner may read.
                file.chmod(temporary.stat().st_mode & _READ_AND_WRITE)
                with file.open("rb+") as opened:
                    os.fsync(opened.fileno())
            os.replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
