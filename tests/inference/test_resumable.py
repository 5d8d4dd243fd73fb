import csv
import errno
import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from filelock import FileLock

from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.resumable import resumable

LINES = [["id", "label"], ["1", "a, b"], ["2", "two\nlines"], ["3", "साड़ी"]]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def lines(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def break_off(path: Path, count: int, request: str | None = "request") -> None:
    """A run that is stopped after some of the lines."""
    with suppress(KeyboardInterrupt), resumable(path, request) as file:
        for number, line in enumerate(LINES[:count]):
            file.append([line], 1, {"number": number})
        raise KeyboardInterrupt


def go_on(path: Path, request: str | None = "request") -> int:
    """Write the lines that are not there; how many were."""
    with resumable(path, request) as file:
        there = file.rows
        for line in LINES[there:]:
            file.append([line], 1)
    return there


def test_the_file_has_its_name_only_after_the_block(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.csv"
    with resumable(path, None) as file:
        file.append(LINES, 4)
        assert not path.exists()
    assert lines(path) == LINES
    assert names(path.parent) == ["out.csv"]


@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_a_run_goes_on_where_it_was_broken_off(tmp_path: Path, count: int) -> None:
    path = tmp_path / "out.csv"
    break_off(path, count)
    assert not path.exists()
    assert go_on(path) == count
    assert lines(path) == LINES
    assert names(tmp_path) == ["out.csv"]


def test_a_run_may_be_broken_off_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    for number, line in enumerate(LINES):
        with suppress(KeyboardInterrupt), resumable(path, "request") as file:
            assert (file.rows, file.notes) == (number, list(range(number)))
            file.append([line], 1, number)
            raise KeyboardInterrupt
    assert go_on(path) == 4
    assert lines(path) == LINES


def test_what_stands_behind_the_last_complete_line_is_cut_off(tmp_path: Path) -> None:
    """As if the process had been killed while it wrote a line, before the journal knew of it."""
    path = tmp_path / "out.csv"
    break_off(path, 2)
    with (tmp_path / ".out.csv.part").open("ab") as file:
        file.write(b"2,half a li")
    assert go_on(path) == 2
    assert lines(path) == LINES


@pytest.mark.parametrize("tail", [b"[3, ", b"[3, 99999, null]\n", b"\0\0\0\n", b"7\n"])
def test_a_line_of_the_journal_that_does_not_hold_counts_for_nothing(
    tmp_path: Path, tail: bytes
) -> None:
    path = tmp_path / "out.csv"
    break_off(path, 2)
    with (tmp_path / ".out.csv.part.jsonl").open("ab") as file:
        file.write(tail)
    assert go_on(path) == 2
    assert lines(path) == LINES


def test_another_request_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    break_off(path, 3)
    assert go_on(path, "other") == 0
    assert lines(path) == LINES


@pytest.mark.parametrize("gone", [".out.csv.part", ".out.csv.part.jsonl"])
def test_without_rows_or_journal_it_starts_anew(tmp_path: Path, gone: str) -> None:
    path = tmp_path / "out.csv"
    break_off(path, 3)
    (tmp_path / gone).unlink()
    assert go_on(path) == 0
    assert lines(path) == LINES


def test_an_empty_journal_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    break_off(path, 3)
    (tmp_path / ".out.csv.part.jsonl").write_bytes(b"")
    assert go_on(path) == 0


def test_notes_come_back(tmp_path: Path) -> None:
    break_off(tmp_path / "out.csv", 2)
    with resumable(tmp_path / "out.csv", "request") as file:
        assert file.notes == [{"number": 0}, {"number": 1}]


def test_the_journal_is_text_for_people_too(tmp_path: Path) -> None:
    break_off(tmp_path / "out.csv", 1)
    first, second = (tmp_path / ".out.csv.part.jsonl").read_text().splitlines()
    assert json.loads(first) == {"request": "request"}
    assert json.loads(second) == [1, 9, {"number": 0}]


def test_without_a_request_nothing_is_left_and_nothing_resumed(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    break_off(path, 2, None)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["out.csv"]
    assert go_on(path, None) == 0


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / ".out.csv.lock"),
        pytest.raises(InputError, match=r"out\.csv: another process is writing it"),
        resumable(tmp_path / "out.csv", "request"),
    ):
        pass


def test_a_full_disk_is_named_and_the_rows_stay(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "out.csv"

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(InputError, match=r"out\.csv: no space left on the disk"):
            go_on(path)
    assert go_on(path) == 4
