"""What users named is printed as it is."""

import io
import sys
from pathlib import Path

import pytest
from rich.table import Table

from visual_taxonomy.commands.screen import STDOUT, Screen, make_streams_lenient


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Full(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


class Closed(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def printed(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, *objects: object) -> str:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "stdout", stream)
    Screen().print(*objects)
    return stream.getvalue()


@pytest.mark.parametrize("text", ["[/red]/[bold]x.csv", "a:smile:b", "[link=x]y"])
def test_brackets_and_colons_are_no_markup(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert printed(monkeypatch, io.StringIO(), text) == text + "\n"
    table = Table(box=None, show_header=False, padding=0)
    table.add_row(text)
    assert printed(monkeypatch, io.StringIO(), table).strip() == text


def test_no_line_is_broken_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "error: " + " ".join(["/a/path/of/a/user.csv"] * 20)
    assert printed(monkeypatch, io.StringIO(), text) == text + "\n"


def test_lines_in_a_terminal_end_at_words_and_a_long_path_stays_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = "/folder" * 20
    text = f"error: {path}: " + "there is no such file here " * 10
    lines = printed(monkeypatch, Terminal(), text).splitlines()
    assert path + ":" in [line.strip() for line in lines]
    assert [word for line in lines for word in line.split()] == text.split()
    assert max(len(line.rstrip()) for line in lines if path not in line) <= 100


@pytest.mark.parametrize("stream", [Full(), Closed()])
def test_output_that_cannot_be_written_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO
) -> None:
    with pytest.raises(OSError, match=r"No space|Broken pipe") as caught:
        printed(monkeypatch, stream, "text")
    assert caught.value.filename == STDOUT


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_what_a_terminal_cannot_show_is_printed_as_an_escape(
    monkeypatch: pytest.MonkeyPatch, encoding: str, tmp_path: Path
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    make_streams_lenient()
    Screen().print("zari é", "bad\udcff.csv")
    sys.stdout.flush()
    shown = "zari \\xe9" if encoding == "ascii" else "zari é"
    assert raw.getvalue().decode(encoding) == f"{shown} bad\\udcff.csv\n"
