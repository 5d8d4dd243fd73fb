import csv
import errno
import io
import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from filelock import FileLock

from visual_taxonomy.errors import InputError
from visual_taxonomy.inference import resumable as module
from visual_taxonomy.inference.journal import CHANGED, DAMAGED, OTHER_REQUEST
from visual_taxonomy.inference.resumable import resumable

LINES = [["id", "label"], ["1", "a, b"], ["2", "two\nlines"], ["3", "साड़ी"]]


def encoded(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def lines(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def break_off(path: Path, count: int, request: str | None = "request") -> None:
    """A run that is stopped after some of the lines."""
    with suppress(KeyboardInterrupt), resumable(path, request) as file:
        for number, line in enumerate(LINES[:count]):
            file.append(encoded([line]), 1, {"number": number})
        raise KeyboardInterrupt


def go_on(path: Path, request: str | None = "request") -> int:
    """Write the lines that are not there; how many were."""
    with resumable(path, request) as file:
        there = file.rows
        for line in LINES[there:]:
            file.append(encoded([line]), 1)
    return there


def test_the_file_has_its_name_only_after_the_block(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.csv"
    with resumable(path, None) as file:
        file.append(encoded(LINES), 4)
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
            file.append(encoded([line]), 1, number)
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


TAILS = [
    b"[3, ",
    b'[3, 99999, "", null, "0"]\n',
    b'[3, 19, "", null, "0"]\n',
    b'["3", [], "", null, "0"]\n',
    b"[3, 99999, null]\n",
    b"\0\0\0\n",
    b"7\n",
    b"[" * 100_000 + b"\n",
]


@pytest.mark.parametrize("tail", TAILS, ids=range(len(TAILS)))
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
    assert json.loads(second)[:4] == [1, 9, "", {"number": 0}]


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


def overwrite(path: Path, position: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        file.write(content)


def test_zeroed_bytes_behind_a_valid_journal_are_cut_off(tmp_path: Path) -> None:
    """As after a power failure: the file has its length, but a page never reached the disk."""
    path, partial = tmp_path / "out.csv", tmp_path / ".out.csv.part"
    break_off(path, 3)
    size = partial.stat().st_size
    overwrite(partial, size - 4, b"\0" * 4)
    with suppress(KeyboardInterrupt), resumable(path, "request") as file:
        assert (file.rows, file.dropped, file.reason) == (2, 1, DAMAGED)
        raise KeyboardInterrupt
    assert go_on(path) == 2
    assert lines(path) == LINES


def test_any_flipped_bit_costs_the_rows_behind_it_only(tmp_path: Path) -> None:
    for name in (".out.csv.part", ".out.csv.part.jsonl"):
        path = tmp_path / "out.csv"
        break_off(path, 4)
        for position in range((tmp_path / name).stat().st_size):
            content = (tmp_path / name).read_bytes()
            overwrite(tmp_path / name, position, bytes([content[position] ^ 4]))
            with suppress(KeyboardInterrupt), resumable(path, "request") as file:
                for line in LINES[file.rows :]:
                    file.append(encoded([line]), 1, {"number": LINES.index(line)})
                assert file.notes == [{"number": number} for number in range(len(file.notes))]
                raise KeyboardInterrupt
            csv_text = (tmp_path / ".out.csv.part").read_text(encoding="utf-8")
            assert list(csv.reader(csv_text.splitlines(keepends=True))) == LINES
        assert go_on(path) == 4
        assert lines(path) == LINES


def test_rows_whose_source_has_changed_are_cut_off_with_all_that_follow(tmp_path: Path) -> None:
    path, sources = tmp_path / "out.csv", list("abcd")

    def stamp(first: int, last: int) -> str:
        return "".join(sources[first:last])

    with suppress(KeyboardInterrupt), resumable(path, "request", stamp) as file:
        file.append(encoded(LINES[:2]), 2)
        file.append(encoded(LINES[2:3]), 1)
        file.append(encoded(LINES[3:]), 1)
        raise KeyboardInterrupt
    sources[2] = "new"
    with resumable(path, "request", stamp) as file:
        assert (file.rows, file.dropped, file.reason) == (2, 2, CHANGED)
        file.append(encoded(LINES[2:]), 2)
    assert lines(path) == LINES


def test_another_request_says_how_many_rows_it_discards(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    break_off(path, 3)
    with resumable(path, "other") as file:
        assert (file.rows, file.dropped, file.reason) == (0, 3, OTHER_REQUEST)


def test_a_run_killed_twice_before_its_first_row_can_still_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    break_off(path, 0)
    break_off(path, 0)
    break_off(path, 3)
    with resumable(path, "request") as file:
        assert (file.rows, file.dropped, file.reason) == (3, 0, "")


def test_rows_reach_the_disk_at_a_bounded_rate(tmp_path: Path, monkeypatch) -> None:
    clock, synced = [0.0], []
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    with resumable(tmp_path / "out.csv", "request") as file:
        monkeypatch.setattr(os, "fsync", synced.append)
        for seconds in (0.4, 0.9, 1.1, 1.2, 2.3):
            clock[0] = seconds
            file.append(encoded([["x"]]), 1)
            expected = {0.4: 0, 0.9: 0, 1.1: 2, 1.2: 2, 2.3: 4}[seconds]
            assert len(synced) == expected  # the rows and the journal
    assert len(synced) == 5
