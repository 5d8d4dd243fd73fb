"""The values of a file of JSON lines as they stand in it, byte for byte."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import override

from visual_taxonomy.data.cell_files.base import CellFile, Fill
from visual_taxonomy.data.json_lines import json_rows, json_text
from visual_taxonomy.data.named_columns import plain_name

_SPACE = re.compile(r"[ \t\r\n]*")
# As text, because Python refuses to make a number of thousands of digits.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)


class _Span(NamedTuple):
    start: int
    end: int


class JsonCells(CellFile):
    """A file of JSON lines.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with path.open("rb") as file:
            keys = {key: None for row in json_rows(path, file) for key in row}
        self.names = list(dict.fromkeys(map(plain_name, keys)))

    @override
    def texts(self, id_column: str, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
        for _, values in self._lines():
            product = _text(values.get(id_column))
            if product:
                yield product, [_text(values.get(name)) for name in columns]

    @override
    def write(self, out: Path, id_column: str, fills: Iterable[Fill]) -> None:
        rest = iter(fills)
        with out.open("wb") as file:
            for line, values in self._lines():
                fill = next(rest) if _text(values.get(id_column)) else {}
                file.write(_filled(line, fill) if fill else line)

    def _lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Each line, and its values by the name of the column."""
        with self.path.open("rb") as lines, self.path.open("rb") as file:
            for line, row in zip(lines, json_rows(self.path, file), strict=True):
                yield line, {plain_name(key): value for key, value in row.items()}


def _filled(line: bytes, fill: Fill) -> bytes:
    r"""A line with other values; keys that it does not have stand behind the others.

    Example:
        >>> _filled(b'{"id": 7, "color": null }\n', {"color": "red", "size": "M"})
        b'{"id": 7, "color": "red", "size": "M" }\n'
    """
    text = line.decode()
    spans = _spans(text)
    parts, done = [], 0
    for name in sorted(fill.keys() & spans, key=lambda name: spans[name]):
        parts += [text[done : spans[name].start], _json(fill[name])]
        done = spans[name].end
    behind = max(span.end for span in spans.values())
    new = "".join(
        f", {_json(name)}: {_json(text)}" for name, text in fill.items() if name not in spans
    )
    parts += [text[done:behind], new, text[behind:]]
    return "".join(parts).encode()


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _spans(text: str) -> dict[str, _Span]:
    """Name of each column -> where its value stands in a line, which is known to be an object."""
    spans: dict[str, _Span] = {}
    position = text.index("{") + 1
    while True:
        key, position = _DECODER.raw_decode(text, _after_space(text, position))
        start = _after_space(text, _after_space(text, position) + 1)
        _, end = _DECODER.raw_decode(text, start)
        spans[plain_name(key)] = _Span(start, end)
        position = _after_space(text, end) + 1
        if text[position - 1] == "}":
            return spans


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    assert match is not None  # the pattern matches the empty text
    return match.end()


def _text(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    return (json_text(value) or "").strip()
