"""How long a training of many rows takes to its first step, and whether its memory stays flat.

Draws `--distinct` tiny images and links each many times, writes a CSV with holes, trains a tiny
model, and watches the process: processor seconds and memory when the first step is saved, memory
after that. Linux only.

    python benchmarks/start.py --rows 300000 --distinct 3000
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLES = 6


def main() -> None:
    """Print a line for each moment."""
    options = _parse()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _draw(folder, options.rows, options.distinct)
        print(f"{options.rows:,} rows, {options.distinct:,} distinct images of 40 x 30 px")
        _watch(folder, options.seconds)


def _draw(folder: Path, rows: int, distinct: int) -> None:
    random = np.random.default_rng(0)
    images, drawn = folder / "images", folder / "drawn"
    images.mkdir()
    drawn.mkdir()
    for number in range(distinct):
        coarse = random.integers(0, 256, (6, 5, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((30, 40), Image.Resampling.BICUBIC)
        image.save(drawn / f"{number}.jpg", quality=80)
    labels = random.integers(0, 5, (rows, 3))
    with (folder / "train.csv").open("w", encoding="utf-8") as file:
        file.write("id,Category,color,pattern,sleeve\n")
        for row in range(rows):
            os.link(drawn / f"{row % distinct}.jpg", images / f"{row:06d}.jpg")
            cells = [f"class{label}" if label else "" for label in labels[row]]
            file.write(f"{row},{('Sarees', 'Kurtis', 'Tops')[row % 3]},{','.join(cells)}\n")


def _watch(folder: Path, seconds: float) -> None:
    last = folder / "run/last.pt"
    command = [
        *(sys.executable, "-m", "visual_taxonomy", "train"),
        *("--img_dir", str(folder / "images"), "--csv_path", str(folder / "train.csv")),
        *("--save_dir", str(folder), "--run_name", "run", "--epochs", "1", "--save_every", "1"),
        *("--backbone", "test_vit", "--pretrained_ckpt", "none", "--image_size", "32", "32"),
        *("--batch_size", "256", "--precision", "32", "--train_workers", "1"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    started = time.perf_counter()
    try:
        while not last.exists() and process.poll() is None:
            time.sleep(0.05)
        _report("first step saved", process.pid, started)
        for _ in range(_SAMPLES):
            time.sleep(seconds / _SAMPLES)
            _report("training", process.pid, started)
    finally:
        process.terminate()
        process.wait()


def _report(what: str, pid: int, started: float) -> None:
    processes = [pid, *_children(pid)]
    cpu = sum(map(_cpu_seconds, processes))
    memory = sum(map(_private_megabytes, processes))
    wall = time.perf_counter() - started
    print(f"{what}: {cpu:.1f} s of CPU, {wall:.1f} s, {memory:,.0f} MB", flush=True)


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _cpu_seconds(pid: int) -> float:
    """Of the process, and of those of its children that have ended."""
    values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, values[11:15])) / _TICKS


def _private_megabytes(pid: int) -> float:
    """Resident memory, what processes share counted once."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--distinct", type=int, default=3_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="to watch the training")
    return parser.parse_args()


if __name__ == "__main__":
    main()
