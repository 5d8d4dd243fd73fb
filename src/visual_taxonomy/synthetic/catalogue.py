"""A drawn catalogue in the layout of the real one: tables and images in a folder."""

import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from visual_taxonomy.cores import available_cores
from visual_taxonomy.errors import InputError
from visual_taxonomy.synthetic.labels import as_catalogued, draw_labels, synthetic_taxonomy
from visual_taxonomy.synthetic.products import draw_product
from visual_taxonomy.synthetic.views import VIEWS

if TYPE_CHECKING:  # the workers import this file too, and need no tables
    import polars as pl

__all__ = ["synthesize", "synthetic_taxonomy"]

_SMALLEST_IMAGE = 32
# As many as the real files have, however few a category needs.
_MAX_COLUMNS = 10
# Images for a worker at a time, and between two reports; of larger chunks, the last would keep a
# single process busy at the end.
_CHUNK = 8

# A process takes about as long to start as to draw so many images.
_ROWS_WORTH_A_PROCESS = 100

# In the order in which they are moved; train.csv comes last and says that all is there.
_FILES = (
    "images", "attrs_config.json", "category_attributes.parquet", "test_labels.csv", "test.csv",
    "train.csv",
)  # fmt: skip


def synthesize(
    out: Path,
    rows: int,
    seed: int = 0,
    image_size: int = 160,
    test_share: float = 0.2,
    workers: int | None = None,
    views: int = 1,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Draw a catalogue in the layout of the real one.

    Writes `images/{id:06d}.jpg`, `train.csv` (labels with holes, and `LABEL_NOISE` of them wrong),
    `test.csv` (no labels), `test_labels.csv` (what the test images show: no hole, no error),
    `category_attributes.parquet` and `attrs_config.json`. Everything is made in a folder beside
    and moved to its place at the end, train.csv last: what is there is complete. The same
    arguments give the same bytes, whatever the number of workers.

    Args:
        out: Folder to write to; made if it does not exist.
        rows: Images to draw, train and test together; at least 1.
        seed: Seed of all chance, at least 0.
        image_size: Height of the images in pixels, at least 32; the width is three quarters.
        test_share: Share of the rows held back as test, at least 0 and below 1.
        workers: Processes that draw, this one among them; None chooses, every core at most.
        views: Images of each product, 1 to 4. Several are called `images/{id:06d}_{view}.jpg`, and
            show front, back, chest and hem: no single one shows all attributes.
        on_progress: Called with the number of images drawn so far, after every few.

    Raises:
        InputError: A number is out of its range, or `out` already holds such files.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     synthesize(Path(folder), rows=5, image_size=32, workers=1)
        ...     (Path(folder) / "train.csv").read_text().splitlines()[0]
        'id,Category,len,attr_1,attr_2,attr_3,attr_4,attr_5,attr_6,attr_7,attr_8,attr_9,attr_10'
    """
    if workers is None:
        workers = min(available_cores(), 1 + rows // _ROWS_WORTH_A_PROCESS)
    _check(rows, seed, image_size, test_share, workers, views)
    _check_free(out)
    # On the same disk as `out`, so that moving is renaming.
    folder = out / ".unfinished"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    chunks = [range(start, min(start + _CHUNK, rows)) for start in range(0, rows, _CHUNK)]
    draw = partial(_draw_rows, folder / "images", seed, image_size, views)
    drawn = 0
    for count in _run(draw, chunks, workers, lambda: _write_tables(folder, rows, seed, test_share)):
        drawn += count
        if on_progress is not None:
            on_progress(drawn)
    for name in _FILES:
        (folder / name).rename(out / name)
    folder.rmdir()


def _check(
    rows: int, seed: int, image_size: int, test_share: float, workers: int, views: int
) -> None:
    smallest = f"at least {_SMALLEST_IMAGE}"
    for name, value, valid, expected in (
        ("rows", rows, rows >= 1, "at least 1"),
        ("seed", seed, seed >= 0, "0 or more"),
        ("image_size", f"{image_size} pixels", image_size >= _SMALLEST_IMAGE, smallest),
        ("workers", workers, workers >= 1, "at least 1"),
        ("views", views, 1 <= views <= len(VIEWS), f"1 to {len(VIEWS)}"),
        ("test_share", test_share, 0 <= test_share < 1, "at least 0 and below 1"),
    ):
        if not valid:
            raise InputError(f"{name}: {value}, expected {expected}")


def _check_free(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file, expected a folder to write the catalogue to")
    for name in reversed(_FILES):
        if (out / name).exists():
            message = "already exists and is not overwritten; choose another folder or remove it"
            raise InputError(f"{out / name}: {message}")


def _run(
    draw: Callable[[range], int], chunks: list[range], workers: int, meanwhile: Callable[[], None]
) -> Iterator[int]:
    """Images drawn in one chunk after another; does `meanwhile` while the workers start."""
    workers = min(workers, len(chunks))
    if workers == 1:
        meanwhile()
        yield from map(draw, chunks)
        return
    # spawn: a fork of a process that holds torch's or polars' threads can hang
    pool = ProcessPoolExecutor(workers - 1, mp_context=get_context("spawn"))
    try:
        left = deque((pool.submit(draw, chunk), chunk) for chunk in chunks)
        meanwhile()
        while left:
            # a last chunk that nobody has begun is for this process, which is a worker too
            if not left[0][0].done() and left[-1][0].cancel():
                yield draw(left.pop()[1])
            else:
                yield left.popleft()[0].result()
    finally:
        pool.shutdown(cancel_futures=True)


def _draw_rows(folder: Path, seed: int, image_size: int, views: int, rows: range) -> int:
    for row in rows:
        category, labels = draw_labels(seed, row)
        # A stream for each row and purpose: 0 draws the labels, 2 the holes and errors. So an image
        # depends neither on the workers nor on how many rows there are.
        rng = np.random.default_rng((seed, row, 1))
        if views == 1:
            image = draw_product(category, labels, rng, image_size)
            image.save(folder / f"{row:06d}.jpg", quality=int(rng.integers(60, 96)))
            continue
        for number, view in enumerate(VIEWS[:views], start=1):
            # The same stream again for the same product, and one of its own for the photograph.
            rng = np.random.default_rng((seed, row, 1))
            camera = np.random.default_rng((seed, row, 2 + number))
            image = draw_product(category, labels, rng, image_size, view, camera)
            quality = int(camera.integers(60, 96))
            image.save(folder / f"{row:06d}_{number}.jpg", quality=quality)
    return len(rows)


def _write_tables(folder: Path, rows: int, seed: int, test_share: float) -> None:
    import polars as pl

    shuffled = np.random.default_rng((seed, rows)).permutation(rows)
    # At least one row stays to train on.
    test = set(shuffled[: min(round(rows * test_share), rows - 1)].tolist())
    products = [(row, *draw_labels(seed, row)) for row in range(rows)]
    held_back = _table(p for p in products if p[0] in test)
    held_back.write_csv(folder / "test_labels.csv")
    held_back.select("id", "Category").write_csv(folder / "test.csv")
    _table(
        (row, category, as_catalogued(category, labels, seed, row))
        for row, category, labels in products
        if row not in test
    ).write_csv(folder / "train.csv")
    taxonomy = synthetic_taxonomy()
    names = {category: taxonomy.attributes(category) for category in taxonomy.categories}
    pl.DataFrame(
        [(category, len(listed), list(listed)) for category, listed in names.items()],
        schema=["Category", "No_of_attribute", "Attribute_list"],
        orient="row",
    ).write_parquet(folder / "category_attributes.parquet")
    (folder / "attrs_config.json").write_text(taxonomy.to_json(), encoding="utf-8")


def _table(products: Iterator[tuple[int, str, dict[str, str]]]) -> "pl.DataFrame":
    import polars as pl

    taxonomy = synthetic_taxonomy()
    records = []
    for row, category, labels in products:
        names = taxonomy.attributes(category)
        cells = [labels.get(name) for name in names] + [None] * (_MAX_COLUMNS - len(names))
        records.append((row, category, len(names), *cells))
    schema = {"id": pl.Int64, "Category": pl.String, "len": pl.Int64}
    schema |= {f"attr_{i + 1}": pl.String for i in range(_MAX_COLUMNS)}
    return pl.DataFrame(records, schema=schema, orient="row")
