from pathlib import Path

import numpy as np
import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.training import feature_file
from visual_taxonomy.training.feature_file import add_checksums, open_features


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of five blocks, the last of them short."""
    monkeypatch.setattr(feature_file, "BLOCK_BYTES", 100)
    path = tmp_path / "key.npy"
    np.save(path, np.arange(74, dtype=np.float32).reshape(1, 37, 2))
    add_checksums(path)
    return path


def test_features_survive_the_file(path: Path) -> None:
    assert torch.equal(open_features(path), torch.arange(74.0).view(1, 37, 2))


def test_the_file_is_an_npy_file_that_numpy_reads(path: Path) -> None:
    assert np.load(path).ravel().tolist() == list(range(74))


def test_what_is_written_to_the_features_stays_out_of_the_file(path: Path) -> None:
    open_features(path).zero_()
    assert open_features(path).max() == 73


def test_a_flipped_bit_is_named_with_its_block(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[250] ^= 4
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"key\.npy: damaged \(a checksum .* byte 200\);"):
        open_features(path)


@pytest.mark.parametrize("kept", [0, 10, 100, 300, -1])
def test_a_file_that_is_cut_off_is_refused(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"key\.npy: damaged .*delete it, and the next start comp"):
        open_features(path)


def test_a_file_that_has_grown_is_refused(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:150] + content[100:])
    with pytest.raises(InputError, match="its size is not the one it was written with"):
        open_features(path)


def test_zeros_in_place_of_a_block_are_refused(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:200] + bytes(100) + content[300:])
    with pytest.raises(InputError, match="a checksum differs near byte 200"):
        open_features(path)


def test_a_file_without_checksums_is_refused(path: Path) -> None:
    np.save(path, np.zeros((1, 2, 3), np.float32))
    with pytest.raises(InputError, match=r"no checksums at its end: cut off, or of an earlier ver"):
        open_features(path)


def test_a_file_of_something_else_with_checksums_is_refused(path: Path) -> None:
    path.write_bytes(b"no array, but long enough")
    add_checksums(path)
    with pytest.raises(InputError, match=r"key\.npy: damaged"):
        open_features(path)
