import os
import pickle
import shutil
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from visual_taxonomy.data import transport
from visual_taxonomy.data.dataset import Batch, ImageDataset, batches_in_order, make_loader
from visual_taxonomy.data.transport import ThroughPipe, fits_shared_memory

SIZE = (16, 12)
NEEDED = 1.25 * (2 * 4 + 1) * 8 * (3 * 16 * 12 + 8 * (2 + 2))
"""Bytes for two processes that load batches of 8 images of `dataset`."""


@pytest.fixture(autouse=True)
def not_yet_warned(monkeypatch):
    monkeypatch.setattr(transport, "_warned", [])


@pytest.fixture
def free(monkeypatch):
    """Sets the room in shared memory."""

    def have(num_bytes: float) -> None:
        status = SimpleNamespace(f_bavail=int(num_bytes), f_frsize=1)
        monkeypatch.setattr(os, "statvfs", lambda path: status)

    return have


def dataset(num_rows: int) -> ImageDataset:
    pixels = np.random.default_rng(0).integers(0, 256, (num_rows, *SIZE, 3), dtype=np.uint8)
    labels = np.arange(num_rows), np.arange(2 * num_rows).reshape(num_rows, 2)
    return ImageDataset(pixels.__getitem__, *labels, lambda image: image, SIZE)


def test_batches_that_do_not_fit_come_through_pipes_with_one_note(free, monkeypatch):
    monkeypatch.setattr("visual_taxonomy.data.dataset.available_cores", lambda: 2)
    batches = batches_in_order(20, 8)
    free(NEEDED - 1)
    note = r"/dev/shm has 0 MB free, but loading ahead needs 0 MB: .* --shm-size=2g .* `batch_size`"
    with pytest.warns(UserWarning, match=note) as notes:
        through_pipes = make_loader(dataset(20), batches, workers=2)
    assert len(notes) == 1
    free(NEEDED)
    through_memory = make_loader(dataset(20), batches, workers=2)
    assert isinstance(through_pipes.collate_fn, ThroughPipe)
    assert not isinstance(through_memory.collate_fn, ThroughPipe)
    for one, other in zip(through_pipes, through_memory, strict=True):
        assert type(one) is Batch
        assert one.problems == other.problems
        for tensor, expected in zip(one[:4], other[:4], strict=True):
            assert torch.equal(tensor, expected)
            assert tensor.stride() == expected.stride()  # channels last, as decoded
            assert not tensor.is_shared()


def test_a_message_names_what_is_needed_and_free(free):
    free(64 * 2**20)
    with pytest.warns(UserWarning, match=r"has 64 MB free, but loading ahead needs 413 MB"):
        assert not fits_shared_memory(331 * 2**20)


def test_one_note_is_enough_for_all_loaders_of_a_run(free):
    free(0)
    with pytest.warns(UserWarning, match="has 0 MB free") as notes:
        fit = [fits_shared_memory(num_bytes) for num_bytes in (2**20, 2**21)]
    assert fit == [False, False]
    assert len(notes) == 1


def test_without_loading_processes_nothing_is_asked(free):
    free(0)
    loader = make_loader(dataset(3), batches_in_order(3, 2), workers=0)
    assert [len(batch.rows) for batch in loader] == [2, 1]


def test_processes_that_train_together_share_the_room(free, monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
    free(5 * 2**20)
    assert fits_shared_memory(2**20)
    with pytest.warns(UserWarning, match="needs 5 MB"):
        assert not fits_shared_memory(2**20 + 1)


def test_systems_without_such_a_folder_are_not_limited(monkeypatch, tmp_path):
    monkeypatch.setattr(transport, "SHARED_MEMORY", tmp_path / "none")
    with warnings.catch_warnings(action="error"):
        assert fits_shared_memory(2**60)


def test_what_is_no_tensor_goes_along():
    batch = Batch(torch.zeros(0, 3, 2, 2), *torch.zeros(3, 0, dtype=torch.int64), {3: "damaged"})
    again = pickle.loads(pickle.dumps(ThroughPipe(lambda parts: batch)([])))
    assert again.problems == {3: "damaged"}
    assert [each.shape for each in again[:4]] == [each.shape for each in batch[:4]]


SCRIPT = """
import numpy as np
from visual_taxonomy.data.dataset import ImageDataset, batches_in_order, make_loader

pixels = np.zeros((64, 64, 3), np.uint8)
labels = np.zeros(512, np.int64), np.zeros((512, 2), np.int64)
images = ImageDataset(lambda row: pixels, *labels, lambda image: image, (64, 64))
print(sum(len(batch.rows) for batch in make_loader(images, batches_in_order(512, 64), 1)))
"""


def test_loading_does_not_hang_where_a_batch_is_larger_than_shared_memory():
    """The default of a container, in small: 512 kB of shared memory and batches of 786 kB."""
    mount = "mount -t tmpfs -o size=512k tmpfs /dev/shm"
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-m", "sh", "-c", mount]).returncode:
        pytest.skip("needs the right to mount (unshare -m), which root has")
    run = [unshare, "-m", "sh", "-c", f'{mount} && exec "$0" -c "$1"', sys.executable, SCRIPT]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120)
    assert done.stdout == "512\n", done.stderr
    assert "UserWarning: /dev/shm has 0 MB free" in done.stderr
