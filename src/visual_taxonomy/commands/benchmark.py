"""`vtax benchmark`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from visual_taxonomy.commands.outputs import check_output, is_report
from visual_taxonomy.commands.terminal import console
from visual_taxonomy.config import ModelConfig
from visual_taxonomy.errors import InputError

# Flag -> smallest value. Of four drawn rows two are labelled, which 8-bit calibration needs;
# smaller images cannot be drawn.
_LEAST = {"batch_size": 1, "rows": 4, "picture_size": 32, "workers": 0, "seconds": 0}


@dataclass(frozen=True)
class Benchmark:
    """Measure how fast this machine decodes, loads, trains and predicts."""

    model: ModelConfig = field(default_factory=lambda: ModelConfig(pretrained_ckpt="none"))
    batch_size: int = 64
    """Images per training step."""
    rows: int = 256
    """Number of images to draw."""
    picture_size: int = 512
    """Height of the drawn JPEGs in pixels."""
    workers: int = 2
    """Processes that load images; at most one per core."""
    seconds: float = 5.0
    """Minimum time of each measurement."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Kind of device."""
    out: Path | None = None
    """JSON file for the figures."""
    overwrite: bool = False
    """Replace an existing file that is not a report of this command."""

    def __post_init__(self) -> None:
        for name, value in _LEAST.items():
            given = getattr(self, name)
            if not given >= value:
                raise InputError(f"--{name} must be {value} or more, not {given}")


def benchmark(options: Benchmark) -> int:
    """Measure how fast this machine decodes, loads, trains and predicts."""
    if options.out is not None:
        inputs = [Path(options.model.pretrained_ckpt)]
        replaceable = options.overwrite or is_report(options.out, "measurements")
        check_output("--out", options.out, inputs, replaceable)

    import json
    from dataclasses import asdict

    from visual_taxonomy.atomic import write_text
    from visual_taxonomy.commands.benchmarking import as_text_table, measure_all

    with console.status("drawing images") as status:
        figures = measure_all(
            options.model,
            batch_size=options.batch_size,
            rows=options.rows,
            picture_size=options.picture_size,
            workers=options.workers,
            seconds=options.seconds,
            accelerator=options.accelerator,
            on_measured=lambda done: status.update(f"{done.what}: done"),
        )
    products = ", ".join(
        f"{rate:,.0f} in {precision}" for precision, rate in figures.matrix_gflops.items()
    )
    console.print(
        f"{options.model.backbone} on {figures.device}, {figures.threads} threads; "
        f"matrix products, GFLOP/s: {products}; {figures.gflop_per_image:.2f} GFLOP per image"
    )
    console.print(as_text_table(figures.measurements))
    if options.out is not None:
        write_text(options.out, json.dumps(asdict(figures), indent=2) + "\n")
    return 0
