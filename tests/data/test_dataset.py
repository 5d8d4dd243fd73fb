import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from visual_taxonomy.data import dataset as dataset_module
from visual_taxonomy.data.dataset import (
    Batch,
    ImageDataset,
    batches_in_order,
    collate,
    make_loader,
)
from visual_taxonomy.data.images import NO_IMAGE, UnreadableImage, decode_image
from visual_taxonomy.data.sampler import FILLER, BatchSampler, Draw
from visual_taxonomy.data.table import Table
from visual_taxonomy.data.transforms import evaluation_transform, training_transform

SIZE = (16, 12)


def augmented(table: Table, seed: int = 0) -> ImageDataset:
    transform = training_transform(SIZE)
    return ImageDataset(table.path, table.categories, table.targets, transform, SIZE, seed)


def plain(image: object, num_rows: int = 1) -> ImageDataset:
    categories, targets = np.zeros(num_rows, np.int64), np.zeros((num_rows, 2), np.int64)
    transform = evaluation_transform(SIZE)
    return ImageDataset(lambda row: image, categories, targets, transform, SIZE)


def images_by_row(dataset: ImageDataset, batches: object, workers: int) -> dict[int, Tensor]:
    found = {}
    for batch in make_loader(dataset, batches, workers):
        found |= dict(zip(batch.rows.tolist(), batch.images, strict=True))
    return found


def same(one: Batch, other: Batch) -> bool:
    tensors = zip(one[:4], other[:4], strict=True)
    return all(torch.equal(*pair) for pair in tensors) and one.problems == other.problems


def test_a_row_becomes_a_batch_of_one(table_of):
    table = table_of(4)
    batch = augmented(table)[Draw(1, 0)]
    assert (batch.images.shape, batch.images.dtype) == ((1, 3, *SIZE), torch.uint8)
    assert (batch.categories.tolist(), batch.rows.tolist()) == ([1], [1])
    assert batch.targets.tolist() == [table.targets[1].tolist()]
    assert batch.targets.dtype == batch.categories.dtype == torch.int64
    assert batch.problems == {}
    assert len(augmented(table)) == 4


def test_an_image_is_augmented_alike_whenever_it_is_loaded(table_of):
    dataset = augmented(table_of(3))
    first = dataset[Draw(2, 5)]
    dataset[Draw(0, 5)]
    torch.manual_seed(99)
    assert same(dataset[Draw(2, 5)], first)


def test_epoch_row_and_seed_each_change_the_augmentation(table_of):
    table = table_of(3)
    table.image_names[:] = table.image_names[0]  # the same image in every row
    reference = augmented(table)[Draw(1, 5)].images
    assert not torch.equal(augmented(table)[Draw(1, 6)].images, reference)
    assert not torch.equal(augmented(table)[Draw(2, 5)].images, reference)
    assert not torch.equal(augmented(table, seed=1)[Draw(1, 5)].images, reference)


def test_loading_leaves_the_random_state_of_the_process(table_of):
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    augmented(table_of(1))[Draw(0, 0)]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


def test_a_transform_that_fails_leaves_the_random_state_of_the_process(table_of):
    def fail(image: Tensor) -> Tensor:
        raise RuntimeError(f"no room after {torch.rand(1)}")

    dataset = augmented(table_of(1))
    dataset.transform = fail
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="no room"):
        dataset[Draw(0, 0)]
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_seed_a_transform_draws_from_the_process():
    dataset = plain(np.zeros((30, 30, 3), np.uint8))
    dataset.transform = lambda image: torch.randint(256, (3, *SIZE)).to(torch.uint8)
    images = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        images.append(dataset[Draw(0, 0)].images)
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


def test_loading_leaves_the_random_state_of_the_gpu(table_of, monkeypatch):
    def fail(seed: int) -> None:
        raise AssertionError(f"seeded the GPU with {seed}")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", fail)
    augmented(table_of(1))[Draw(0, 0)]


def test_iterating_over_a_loader_leaves_the_random_state_of_the_process(table_of):
    loader = make_loader(augmented(table_of(2)), [[Draw(0, 0)], [Draw(1, 0)]], workers=0)
    before = torch.get_rng_state()
    assert len(list(loader)) == 2
    assert torch.equal(torch.get_rng_state(), before)


def test_another_process_and_another_order_load_the_same_images(table_of):
    dataset = augmented(table_of(6))
    here = images_by_row(dataset, [[Draw(row, 1) for row in range(6)]], workers=0)
    backwards = [[Draw(row, 1)] for row in reversed(range(6))]
    there = images_by_row(dataset, backwards, workers=1)
    assert here.keys() == there.keys()
    assert all(torch.equal(here[row], there[row]) for row in here)


def test_with_and_without_a_worker_the_batches_are_equal(table_of):
    table = table_of(5)
    (table.img_dir / table.image_names[3]).write_bytes(b"")
    sampler = BatchSampler(table.categories, 2, "mixed", seed=0)
    alone = list(make_loader(augmented(table), sampler, workers=0))
    helped = list(make_loader(augmented(table), sampler, workers=1))
    assert len(alone) == len(sampler)
    assert all(same(*pair) for pair in zip(alone, helped, strict=True))


def test_there_are_no_more_workers_than_cores(table_of, monkeypatch):
    monkeypatch.setattr("visual_taxonomy.data.dataset.available_cores", lambda: 1)
    assert make_loader(augmented(table_of(1)), [], workers=64).num_workers == 1


def test_a_filler_is_grey_without_category_and_labels(table_of):
    batch = augmented(table_of(1))[Draw(FILLER, 0)]
    assert (batch.images == 128).all()
    assert batch.images.shape == (1, 3, *SIZE)
    assert (batch.categories.tolist(), batch.rows.tolist()) == ([NO_IMAGE], [FILLER])
    assert batch.targets.tolist() == [[-1, -1, -1]]
    assert batch.problems == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "the file is empty"), (b"%PDF-1.7", "not a JPEG"), (None, "the file is missing")],
)
def test_an_unreadable_image_keeps_its_row_and_the_reason_but_no_label(table_of, content, reason):
    table = table_of(2)
    path = table.path(1)
    path.unlink() if content is None else path.write_bytes(content)
    batch = augmented(table)[Draw(1, 0)]
    assert (batch.categories.tolist(), batch.rows.tolist()) == ([NO_IMAGE], [1])
    assert batch.targets.tolist() == [[-1, -1, -1]]
    assert reason in batch.problems[1]


def test_joined_batches_keep_order_and_problems(table_of):
    table = table_of(3)
    table.path(1).write_bytes(b"")
    dataset = augmented(table)
    draws = [Draw(2, 0), Draw(1, 0), Draw(FILLER, 0), Draw(0, 0)]
    batch = collate([dataset[draw] for draw in draws])
    assert batch.rows.tolist() == [2, 1, -1, 0]
    assert batch.categories.tolist() == [0, -1, -1, 0]
    assert batch.images.shape == (4, 3, *SIZE)
    assert list(batch.problems) == [1]


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA", "RGBA", "I;16"])
def test_a_decoded_image_of_any_mode_equals_its_file(mode):
    levels = np.linspace(0, 255, SIZE[0] * SIZE[1]).reshape(SIZE)
    if mode == "I;16":
        image = Image.fromarray((levels * 257).astype(np.uint16))
    else:
        image = Image.fromarray(levels.astype(np.uint8)).convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(levels.astype(np.uint8).T.copy()).resize(image.size))
    file = io.BytesIO()
    image.save(file, "TIFF" if mode == "CMYK" else "PNG")
    batch = plain(image)[Draw(0, 0)]
    source = image.convert("RGB") if mode == "CMYK" else file.getvalue()
    expected = plain(source)[Draw(0, 0)].images
    assert torch.equal(batch.images, expected)


def test_an_image_that_pillow_opened_but_cannot_decode_is_a_problem_of_its_row():
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(
        file, "PNG"
    )
    opened = Image.open(io.BytesIO(file.getvalue()[:2000]))
    batch = plain(opened)[Draw(0, 0)]
    assert batch.categories.tolist() == [NO_IMAGE]
    assert "truncated or damaged" in batch.problems[0]


def test_pixels_are_taken_as_they_are():
    pixels = np.full((30, 30, 3), 7, np.uint8)
    assert (plain(pixels)[Draw(0, 0)].images == 7).all()


def test_a_source_without_an_image_says_why():
    def refuse(row: int) -> np.ndarray:
        raise UnreadableImage(f"row {row} is empty")

    dataset = plain(None)
    dataset.image_of = refuse
    batch = dataset[Draw(0, 0)]
    assert batch.categories.tolist() == [NO_IMAGE]
    assert batch.problems == {0: "row 0 is empty"}


def test_a_large_jpeg_is_decoded_at_twice_the_size_or_more(monkeypatch):
    decoded = []

    def note(*arguments: object, **options: object) -> np.ndarray:
        decoded.append(decode_image(*arguments, **options))
        return decoded[-1]

    monkeypatch.setattr(dataset_module, "decode_image", note)
    file = io.BytesIO()
    Image.new("RGB", (210, 130)).save(file, "JPEG")
    assert plain(file.getvalue())[Draw(0, 0)].images.shape == (1, 3, *SIZE)
    assert decoded[0].shape == (33, 53, 3)  # a quarter; an eighth is less than 32 x 24


def test_all_parts_of_a_batch_are_laid_out_alike(table_of):
    dataset = augmented(table_of(2))
    for draws in ([Draw(0, 0)], [Draw(1, 0), Draw(0, 0)], [Draw(FILLER, 0), Draw(0, 0)]):
        images = collate([dataset[draw] for draw in draws]).images
        assert images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize(("num_rows", "batch_size"), [(7, 3), (6, 3), (1, 4), (0, 4)])
def test_the_shares_of_all_processes_make_the_batches_in_order(num_rows, batch_size, world_size):
    shares = [
        batches_in_order(num_rows, batch_size, rank, world_size) for rank in range(world_size)
    ]
    rows = []
    for parts in zip(*shares, strict=True):
        assert len({len(part) for part in parts}) == 1
        whole = [draw.row for each in zip(*parts, strict=True) for draw in each]
        kept = [row for row in whole if row != FILLER]
        assert len(kept) <= batch_size
        assert whole == kept + [FILLER] * (len(whole) - len(kept))
        rows += kept
    assert rows == list(range(num_rows))
