import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from visual_taxonomy.data.dataset import ImageDataset
from visual_taxonomy.data.sampler import Draw
from visual_taxonomy.data.transforms import evaluation_transform
from visual_taxonomy.inference.engines import image_loading
from visual_taxonomy.inference.engines.image_loading import load_images, resized

SIZE = (16, 12)


def drawn(folder: Path, count: int, side: int = 96) -> list[Path]:
    """Smooth images as JPEGs."""
    random = np.random.default_rng(0)
    paths = []
    for number in range(count):
        coarse = random.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(coarse).resize((side, side + 10), Image.Resampling.BICUBIC).save(paths[-1])
    return paths


@pytest.mark.parametrize("workers", [0, 2])
def test_every_row_comes_once_and_in_order(tmp_path: Path, workers: int) -> None:
    paths = drawn(tmp_path, 7)
    categories = np.array([0, 1, 0, 1, 1, 0, 1])
    batches = list(load_images(paths.__getitem__, categories, SIZE, 3, workers))
    assert [batch.rows.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert np.concatenate([batch.categories for batch in batches]).tolist() == categories.tolist()
    images = np.concatenate([batch.images for batch in batches])
    assert (images.shape, images.dtype) == ((7, 3, *SIZE), np.uint8)
    for path, image in zip(paths, images, strict=True):
        (alone,) = load_images([path].__getitem__, np.array([0]), SIZE, 1, 0)
        assert np.array_equal(alone.images[0], image)


def test_pixels_are_those_of_training_but_for_rounding(tmp_path: Path) -> None:
    """Pillow's resizing here, torch's there."""
    paths = drawn(tmp_path, 4, side=300)
    (batch,) = load_images(paths.__getitem__, np.zeros(4, int), (64, 48), 4, 0)
    trained = ImageDataset(
        paths.__getitem__,
        np.zeros(4, int),
        np.zeros((4, 1), int),
        evaluation_transform((64, 48)),
        (64, 48),
    )
    expected = torch.cat([trained[Draw(row, 0)].images for row in range(4)]).numpy()
    difference = np.abs(batch.images.astype(int) - expected)
    assert difference.max() <= 2
    assert (difference > 0).mean() < 0.02


@pytest.mark.parametrize("name", ["bilinear", "lanczos"])
def test_images_are_resized_with_the_filter_asked_for(name: str, tmp_path: Path) -> None:
    paths = drawn(tmp_path, 1, side=300)
    size = (64, 48)
    (batch,) = load_images(paths.__getitem__, np.array([0]), size, 1, 0, name)
    trained = ImageDataset(
        paths.__getitem__,
        np.array([0]),
        np.zeros((1, 1), int),
        evaluation_transform(size, name),
        size,
    )
    difference = np.abs(batch.images.astype(int) - trained[Draw(0, 0)].images.numpy())
    assert difference.max() <= 2
    (bicubic,) = load_images(paths.__getitem__, np.array([0]), size, 1, 0)
    assert not np.array_equal(bicubic.images, batch.images)


def test_resizing_is_bicubic_with_antialiasing_and_keeps_no_ratio() -> None:
    """A step edge shrunk fourfold: the mean of the pixels it covers, up to the filter's ringing."""
    pixels = np.zeros((8, 64, 3), np.uint8)
    pixels[:, 32:] = 200
    row = resized(pixels, (2, 16))[0, :, 0].astype(int)
    assert row[:6].max() <= 1
    assert row[10:].min() >= 199
    assert row.sum() == pytest.approx(8 * 200, abs=16)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_grey_and_named(tmp_path: Path, workers: int) -> None:
    sources = [drawn(tmp_path, 1)[0], b"", tmp_path / "none.jpg"]
    (batch,) = load_images(sources.__getitem__, np.array([1, 1, 0]), SIZE, 4, workers)
    assert batch.categories.tolist() == [1, -1, -1]
    assert batch.problems == {1: "the file is empty", 2: "the file is missing"}
    assert (batch.images[1:] == 128).all()


def test_threads_are_a_few_batches_ahead_and_no_more(tmp_path: Path) -> None:
    path = drawn(tmp_path, 1)[0]
    asked: list[int] = []

    def image_of(row: int) -> Path:
        asked.append(row)
        return path

    loader = load_images(image_of, np.zeros(100, int), SIZE, 2, 1)
    next(loader)
    deadline = time.monotonic() + 5
    while len(asked) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(asked) == list(range(6))
    loader.close()
    assert not any(t.name.startswith("images") for t in threading.enumerate())


def test_what_goes_wrong_in_a_thread_is_raised_where_it_is_asked_for() -> None:
    def image_of(row: int) -> Path:
        raise KeyError(row)

    with pytest.raises(KeyError, match="0"):
        next(load_images(image_of, np.zeros(2, int), SIZE, 2, 1))


def test_no_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    class Pool(image_loading.ThreadPoolExecutor):
        def __init__(self, workers: int, name: str) -> None:
            made.append(workers)
            super().__init__(workers, name)

    monkeypatch.setattr(image_loading, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(image_loading, "available_cores", lambda: 3)
    assert list(load_images([].__getitem__, np.zeros(0, int), SIZE, 2, 64)) == []
    assert made == [3]
