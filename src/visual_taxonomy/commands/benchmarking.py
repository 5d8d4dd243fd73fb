"""How fast this machine decodes, loads, trains and predicts, beside what it could at most.

Images are drawn JPEGs and weights are random: neither changes the work.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, cast

import numpy as np
import torch
from rich.table import Table as TextTable
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

from visual_taxonomy.checkpoint import Checkpoint, write_checkpoint
from visual_taxonomy.config import (
    DataConfig,
    InferenceConfig,
    ModelConfig,
    OptimizerConfig,
    Precision,
    RunConfig,
    TrainConfig,
)
from visual_taxonomy.data.dataset import Batch, ImageDataset, batches_in_order, make_loader
from visual_taxonomy.data.sampler import Draw
from visual_taxonomy.data.table import Table, read_table
from visual_taxonomy.data.transforms import evaluation_transform
from visual_taxonomy.device import DTYPES
from visual_taxonomy.inference.engines import ENGINES
from visual_taxonomy.inference.engines.base import Engine
from visual_taxonomy.inference.engines.choice import graph_engines, make_engine
from visual_taxonomy.inference.export.bundle_writer import Trial, export
from visual_taxonomy.model.classifier import build_classifier
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.batch_source import BatchSource
from visual_taxonomy.training.parallel import Parallel, launch
from visual_taxonomy.training.preparation import Tables
from visual_taxonomy.training.setup import build_trainer

Accelerator = Literal["auto", "cpu", "cuda", "mps"]

# Few are enough: 8-bit products take the same time however well they are calibrated.
_CALIBRATION_ROWS = 32


@dataclass(frozen=True)
class Measurement:
    """One line of the benchmark.

    Args:
        what: What was timed.
        images_per_second: Images it finished in a second.
        utilisation: Share of the matrix products this machine can do in the same time; None where
            the work is not matrix products, or their rate in that precision is not measured.
        resident_mb: Most memory the process has held so far, in megabytes.
        waiting: Share of the time spent waiting for images, in training.
    """

    what: str
    images_per_second: float
    utilisation: float | None
    resident_mb: float
    waiting: float | None = None


@dataclass(frozen=True)
class Figures:
    """All of the benchmark.

    Args:
        device: Where it ran.
        threads: Of torch.
        matrix_gflops: Billions of floating-point operations a second, by precision.
        gflop_per_image: Billions of them to encode one image.
        measurements: The lines.
    """

    device: str
    threads: int
    matrix_gflops: dict[str, float]
    gflop_per_image: float
    measurements: list[Measurement]


def measure_all(
    model: ModelConfig,
    *,
    batch_size: int = 64,
    rows: int = 256,
    picture_size: int = 512,
    workers: int = 2,
    seconds: float = 5.0,
    accelerator: Accelerator = "auto",
    on_measured: Callable[[Measurement], None] = lambda measurement: None,
) -> Figures:
    """Draw images and measure everything this machine can run.

    Args:
        model: Backbone and what of it is trained.
        batch_size: Images a training step.
        rows: Images drawn.
        picture_size: Their height in pixels.
        workers: Loading processes.
        seconds: For each measurement, at least.
        accelerator: Kind of device.
        on_measured: Called with each measurement when it is done.

    Raises:
        InputError: The backbone cannot be built.
    """
    parallel = launch(RunConfig(accelerator=accelerator))
    rates = matrix_rates(parallel.device, ("32", "bf16"))
    done: list[Measurement] = []

    def note(measurement: Measurement) -> None:
        done.append(measurement)
        on_measured(measurement)

    with TemporaryDirectory() as name:
        table = drawn_table(Path(name), rows, picture_size)
        built = build_classifier(table.taxonomy, model)
        size = built.encoder.backbone.preprocessing.image_size
        note(measure_decoding(table, size, seconds))
        note(measure_loading(table, size, batch_size, workers, seconds))
        for precision, rate in rates.items():
            note(
                measure_training(
                    parallel, model, table, batch_size, workers, precision, rate, seconds
                )
            )
        checkpoint = Checkpoint(table.taxonomy, model, built.state_dict())
        flops = forward_flops(built.encoder.eval(), size)
        for engine in _engines(checkpoint, table, Path(name), parallel.device, workers):
            best = rates.get(engine.precision)
            note(measure_prediction(engine, table, flops, best, seconds))
    gigaflops = {precision: rate / 1e9 for precision, rate in rates.items()}
    return Figures(str(parallel.device), torch.get_num_threads(), gigaflops, flops / 1e9, done)


def matrix_rates(
    device: torch.device, precisions: Sequence[str], size: int | None = None
) -> dict[str, float]:
    """Floating-point operations a second of a matrix product, by precision.

    Args:
        device: Where.
        precisions: Names in `DTYPES`.
        size: Rows and columns of the two matrices; None: large enough for the device.
    """
    size = size or (2048 if device.type == "cpu" else 8192)
    rates = {}
    for precision in precisions:
        matrix = torch.ones(size, size, dtype=DTYPES[precision], device=device)
        timer = Timer("m @ m", globals={"m": matrix}, num_threads=torch.get_num_threads())
        # n^3 multiplications, and as many additions.
        rates[precision] = 2 * size**3 / timer.blocked_autorange(min_run_time=0.5).median
    return rates


def forward_flops(encoder: torch.nn.Module, image_size: tuple[int, int]) -> int:
    """Floating-point operations to encode one image, counted by torch."""
    image = torch.zeros(1, 3, *image_size, dtype=torch.uint8)
    image = image.to(next(encoder.parameters()).device)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        encoder(image)
    return counter.get_total_flops()


def drawn_table(folder: Path, rows: int, height: int) -> Table:
    """The training rows of a drawn catalogue with JPEGs of that height, in pixels."""
    drawn = folder / "drawn"
    synthesize(drawn, rows + 1, image_size=height, test_share=1 / (rows + 1))
    taxonomy = Taxonomy.read(drawn / "attrs_config.json")
    return read_table(drawn / "train.csv", drawn / "images", taxonomy)


def measure_decoding(table: Table, image_size: tuple[int, int], seconds: float) -> Measurement:
    """Decode and resize in one process."""
    dataset = _dataset(table, image_size)

    def decode() -> Iterator[int]:
        while True:
            for row in range(len(table)):
                yield len(dataset[Draw(row, 0)].rows)

    return _measurement("decode and resize, one core", decode(), seconds)


def measure_loading(
    table: Table, image_size: tuple[int, int], batch_size: int, workers: int, seconds: float
) -> Measurement:
    """Load batches in worker processes, as training and prediction do."""
    loader = make_loader(
        _dataset(table, image_size), batches_in_order(len(table), batch_size), workers
    )

    def load() -> Iterator[int]:
        while True:
            yield from (len(batch.rows) for batch in loader)

    return _measurement(f"load batches, {workers} processes", load(), seconds)


def measure_training(
    parallel: Parallel,
    model: ModelConfig,
    table: Table,
    batch_size: int,
    workers: int,
    precision: str,
    rate: float | None,
    seconds: float,
    image_cache: Path | None = None,
) -> Measurement:
    """Training steps from files, or from a cache of images.

    Args:
        parallel: A launched process.
        model: What to train.
        table: Rows to train on.
        batch_size: Images a step.
        workers: Loading processes.
        precision: A name in `DTYPES`.
        rate: Floating-point operations a second of matrix products in that precision.
        seconds: For how long, at least.
        image_cache: Folder of the cache; None: the files are decoded.
    """
    config = TrainConfig(
        DataConfig(
            table.img_dir,
            Path("drawn"),
            batch_sampling="joint",
            image_cache=image_cache,
            train_workers=workers,
            val_workers=workers,
        ),
        model,
        optimizer=OptimizerConfig(batch_size=batch_size),
        run=RunConfig(precision=precision),  # type: ignore[arg-type]
    )
    trainer = build_trainer(config, parallel, Tables(table.taxonomy, table, table))
    trainer.model.train()
    trainer.objective.start_epoch(0, parallel.device)
    waited = [0.0]
    batches = _timed(_endless(trainer.source), waited)
    first = next(batches)
    # In a step that is not timed: counting slows it down.
    with FlopCounterMode(display=False) as counter:
        trainer.train_step(first)
    flops = counter.get_total_flops() / len(first.rows)
    # Without the wait for the first batch, for which the processes had to start.
    waited[0] = 0.0

    def train() -> Iterator[int]:
        for batch in batches:
            trainer.train_step(batch)
            # A GPU is still at work when the call returns; without this, only the launch would be
            # timed.
            _synchronize(parallel.device)
            yield len(batch.rows)

    started = time.perf_counter()
    measurement = _measurement(
        f"train step, {precision}", train(), seconds, flops / rate if rate else None
    )
    return replace(measurement, waiting=waited[0] / (time.perf_counter() - started))


def measure_prediction(
    engine: Engine, table: Table, flops: int, rate: float | None, seconds: float
) -> Measurement:
    """Predict from files.

    Args:
        engine: The model, ready.
        table: The rows.
        flops: Floating-point operations of one image.
        rate: Those that matrix products in the engine's precision reach in a second.
        seconds: For how long, at least.
    """

    def predict() -> Iterator[int]:
        while True:
            for batch, _ in engine.answers(engine.batches(table.image, table.categories)):
                yield len(batch.rows)

    return _measurement(
        f"predict, {engine.name} {engine.precision}",
        predict(),
        seconds,
        flops / rate if rate else None,
    )


def as_text_table(measurements: Sequence[Measurement]) -> TextTable:
    """For the terminal."""
    table = TextTable("", "images/s", "of the matrix products", "waiting", "memory, MB")
    for column in table.columns[1:]:
        column.justify = "right"
    for entry in measurements:
        share = "" if entry.utilisation is None else f"{entry.utilisation:.0%}"
        waiting = "" if entry.waiting is None else f"{entry.waiting:.1%}"
        memory = f"{entry.resident_mb:,.0f}"
        table.add_row(entry.what, f"{entry.images_per_second:.1f}", share, waiting, memory)
    return table


def _measurement(
    what: str, work: Iterator[int], seconds: float, seconds_at_best: float | None = None
) -> Measurement:
    """Time an endless iterator of image counts, after a first item to warm up."""
    next(work)
    images, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds or not images:
        images += next(work)
    elapsed = time.perf_counter() - started
    rate = images / elapsed
    used = None if seconds_at_best is None else rate * seconds_at_best
    return Measurement(what, rate, used, _resident_mb())


def _engines(
    checkpoint: Checkpoint, table: Table, folder: Path, device: torch.device, workers: int
) -> Iterator[Engine]:
    """Every engine that is installed, with the checkpoint; those of bundles run on the CPU."""
    accelerator = cast(Accelerator, device.type)
    for precision in cast(tuple[Precision, ...], ("32", "bf16")):
        config = InferenceConfig(workers=workers, precision=precision, accelerator=accelerator)
        yield make_engine(checkpoint, config)
    if device.type != "cpu" or not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))):
        return
    path = folder / "random.pt"
    write_checkpoint(path, checkpoint)
    # Agreement is measured on one row, which needs a label: some drawn rows have none.
    labelled = table.take(np.flatnonzero((table.targets >= 0).any(axis=1)))
    # No agreement is too low: it is of random weights.
    trial = Trial(labelled, "drawn", calibration=_CALIBRATION_ROWS, measured=1, least=0.0)
    for int8 in (False, True):
        bundle = export(path, folder / f"int8_{int8}", "onnx", int8, trial, workers=0)
        for name in graph_engines(bundle):
            if find_spec(ENGINES[name].package):
                yield make_engine(bundle, InferenceConfig(workers=workers, engine=name))


def _dataset(table: Table, image_size: tuple[int, int]) -> ImageDataset:
    transform = evaluation_transform(image_size)
    return ImageDataset(table.image, table.categories, table.targets, transform, image_size)


def _endless(source: BatchSource) -> Iterator[Batch]:
    while True:
        for batch in source.rest_of_epoch():
            yield batch
            source.advance()
        source.start_next_epoch()


def _timed(batches: Iterator[Batch], waited: list[float]) -> Iterator[Batch]:
    """The same batches; adds to `waited[0]` the seconds until each came."""
    while True:
        asked = time.perf_counter()
        batch = next(batches)
        waited[0] += time.perf_counter() - asked
        yield batch


def _synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _resident_mb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
