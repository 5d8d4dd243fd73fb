import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from visual_taxonomy.atomic import write_atomically, write_text
from visual_taxonomy.leftovers import (
    remove_leftovers_in,
    remove_leftovers_of,
    temporary_beside,
)

FORK = multiprocessing.get_context("fork")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_slowly(path: Path) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text("half")
        time.sleep(60)


@pytest.fixture
def writer(tmp_path):
    """A process that is writing last.pt."""
    process = FORK.Process(target=write_slowly, args=(tmp_path / "last.pt",))
    process.start()
    while not any(path.stat().st_size for path in tmp_path.iterdir()):
        assert process.is_alive()
        time.sleep(0.005)
    yield process
    process.kill()
    process.join()


def test_what_a_killed_writer_left_is_removed_by_the_next_one(tmp_path, writer):
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    (left,) = names(tmp_path)
    assert left.startswith(".last.")
    assert left.endswith(".pt")
    write_text(tmp_path / "last.pt", "new")
    assert names(tmp_path) == ["last.pt"]


def test_what_a_killed_writer_left_is_removed_from_its_folder(tmp_path, writer):
    writer.kill()
    writer.join()
    remove_leftovers_in(tmp_path)
    assert names(tmp_path) == []


def test_the_file_of_a_writer_that_lives_stays(tmp_path, writer):
    before = names(tmp_path)
    remove_leftovers_of(tmp_path / "last.pt")
    remove_leftovers_in(tmp_path)
    assert names(tmp_path) == before
    write_text(tmp_path / "last.pt", "new")
    assert names(tmp_path) == [*before, "last.pt"]


def test_a_folder_in_use_stays_and_a_left_over_one_goes(tmp_path):
    left = tmp_path / ".model.0123456789ab"
    left.mkdir()
    (left / "model.onnx").touch()
    with temporary_beside(tmp_path / "model", Path.mkdir) as folder:
        assert names(tmp_path) == [folder.name] != [left.name]
        remove_leftovers_in(tmp_path)
        assert folder.is_dir()
    remove_leftovers_in(tmp_path)
    assert names(tmp_path) == []


def test_only_the_files_of_the_same_name_go_beside_those_of_others(tmp_path):
    others = [".a.0123456789ab.csv", ".last.0123456789ab.csv", ".last.x.pt", ".last.pt", "x"]
    for name in (*others, ".last.0123456789ab.pt"):
        (tmp_path / name).touch()
    remove_leftovers_of(tmp_path / "last.pt")
    assert names(tmp_path) == sorted(others)


def test_a_folder_loses_no_file_that_is_named_otherwise(tmp_path):
    kept = [
        "last.pt",
        ".hidden",
        ".last.pt",
        ".git.0123456789abc",
        "a.0123456789ab.pt",
        ".gitignore",
    ]
    for name in kept:
        (tmp_path / name).touch()
    remove_leftovers_in(tmp_path)
    assert names(tmp_path) == sorted(kept)


def test_a_link_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".last.0123456789ab.pt").symlink_to(tmp_path / "mine")
    remove_leftovers_in(tmp_path)
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_folder_that_is_not_there_has_no_left_overs(tmp_path):
    remove_leftovers_in(tmp_path / "none")
    remove_leftovers_of(tmp_path / "none" / "last.pt")
