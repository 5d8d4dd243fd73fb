from pathlib import Path

import pytest

from visual_taxonomy.inference.receipt import read_receipt, receipt_path, write_receipt


@pytest.fixture
def path(tmp_path: Path) -> Path:
    finished = tmp_path / ".out.csv.part"
    finished.write_text("id\n1\n")
    write_receipt(tmp_path / "out.csv", finished, "request", "stamp", 3)
    return tmp_path / "out.csv"


def test_a_file_is_known_by_request_and_content(path: Path) -> None:
    assert read_receipt(path, "request") is None  # not there yet
    path.write_text("id\n1\n")
    assert read_receipt(path, "request") == ("stamp", 3)
    assert read_receipt(path, "other") is None
    path.write_text("id\n2\n")
    assert read_receipt(path, "request") is None


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b"{}", b"\xff", b'{"request": "request"}'])
def test_a_damaged_receipt_counts_for_nothing(path: Path, content: bytes) -> None:
    path.write_text("id\n1\n")
    receipt_path(path).write_bytes(content)
    assert read_receipt(path, "request") is None
