"""Images per second that `synthesize` draws, end to end, workers and tables included.

    python benchmarks/synthesize.py [rows]

Writes to a temporary folder, with as many workers as the machine has cores.
"""

import argparse
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from visual_taxonomy.synthetic.catalogue import synthesize

SIZES = (160, 512)
"""Heights in pixels: the default of `synthesize` and that of a large image."""


def images_per_second(rows: int, image_size: int) -> float:
    """Draw a catalogue of some rows, then throw it away."""
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        synthesize(Path(folder), rows, image_size=image_size)
        return rows / (time.perf_counter() - start)


def main() -> None:
    """Print a line for every size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="?", type=int, default=1500, help="images a size")
    rows = parser.parse_args().rows
    for size in SIZES:
        speed = images_per_second(rows, size)
        print(f"{size:4d} px  {speed:6.0f} images/s  ({rows} rows, {os.cpu_count()} cores)")


if __name__ == "__main__":
    main()
