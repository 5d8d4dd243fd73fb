import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from visual_taxonomy.atomic import link_or_copy, write_atomically, write_text
from visual_taxonomy.errors import InputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half_and_raise(path: Path, error: BaseException) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text("half")
        raise error


def test_the_file_has_its_name_only_after_the_block(tmp_path):
    path = tmp_path / "weights.pt"
    with write_atomically(path) as temporary:
        temporary.write_bytes(b"new")
        assert not path.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".pt"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["weights.pt"]


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old\n")
    write_text(path, "new: आ\n")
    assert path.read_bytes() == "new: आ\n".encode()
    assert names(tmp_path) == ["a.txt"]


def test_the_folder_is_made(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


def test_the_file_is_as_readable_as_any_other(tmp_path):
    (tmp_path / "plain.txt").write_text("x")
    write_text(tmp_path / "atomic.txt", "x")
    modes = {(tmp_path / name).stat().st_mode for name in ("plain.txt", "atomic.txt")}
    assert len(modes) == 1


@pytest.mark.parametrize("stopped_by", [RuntimeError("boom"), KeyboardInterrupt("boom")])
def test_after_an_error_the_previous_file_stays_and_nothing_else(tmp_path, stopped_by):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(stopped_by), match="boom"):
        write_half_and_raise(path, stopped_by)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_and_the_previous_file_stays(tmp_path, number):
    path = tmp_path / "last.pt"
    path.write_text("old")
    with pytest.raises(InputError, match=r"last\.pt: no space left .* free some"):
        write_half_and_raise(path, OSError(number, os.strerror(number)))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["last.pt"]


def test_a_disk_that_fills_up_while_flushing_is_named(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match="no space left"):
        write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_torch_on_a_full_disk_is_named_although_it_hides_the_error_number(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with (
        pytest.raises(InputError, match="no space left"),
        write_atomically(tmp_path / "a.pt"),
    ):
        torch.save({"weight": torch.zeros(100_000)}, "/dev/full")


def test_other_errors_of_the_system_stay_what_they_are(tmp_path):
    with (
        pytest.raises(PermissionError, match="not yours"),
        write_atomically(tmp_path / "a.txt"),
    ):
        raise PermissionError(errno.EACCES, "not yours")


def test_a_second_name_takes_the_place_of_an_older_file(tmp_path):
    (tmp_path / "new").write_text("new")
    (tmp_path / "other").write_text("old")
    link_or_copy(tmp_path / "new", tmp_path / "other")
    assert (tmp_path / "other").read_text() == "new"
    assert (tmp_path / "other").stat().st_ino == (tmp_path / "new").stat().st_ino
    assert names(tmp_path) == ["new", "other"]
