"""The cells of a Parquet file: a copy with the same schema, all other columns as they are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl
from typing_extensions import override

from visual_taxonomy.data.cell_files.base import CellFile, Fill
from visual_taxonomy.data.named_columns import plain_name
from visual_taxonomy.data.parquet_text import as_text
from visual_taxonomy.errors import InputError, shown

_SLICE_ROWS = 100_000
"""Rows that are Python objects at a time."""


class ParquetCells(CellFile):
    """A Parquet file; its copy has the same schema, but not what other programs note in the file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._given = {plain_name(name): name for name in pl.read_parquet_schema(path)}
        self.names = list(self._given)

    @override
    def texts(self, id_column: str, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
        names = [self._given[name] for name in (id_column, *columns)]
        cells = _stripped(self._read(dict.fromkeys(names)))
        for part in cells.iter_slices(_SLICE_ROWS):
            for product, *row in part.select(names).iter_rows():
                if product:
                    yield product, row

    @override
    def write(self, out: Path, id_column: str, fills: Iterable[Fill]) -> None:
        ids = _stripped(self._read([self._given[id_column]])).to_series()
        rows = (ids != "").arg_true().to_list()
        changes: dict[str, dict[int, str]] = {}
        for row, fill in zip(rows, fills, strict=True):
            for name, text in fill.items():
                changes.setdefault(self._given[name], {})[row] = text
        cells = self._read(changes)
        filled = [
            cells[name].scatter(list(texts), _as_type(list(texts.values()), cells.schema[name]))
            for name, texts in changes.items()
        ]
        # All other columns a part at a time: images may be larger than the memory.
        pl.scan_parquet(self.path, glob=False).with_columns(filled).sink_parquet(out)

    def _read(self, columns: Iterable[str]) -> pl.DataFrame:
        return pl.read_parquet(self.path, columns=list(columns), glob=False)

    @override
    def check_writable(self, labels: Mapping[str, Iterable[str]]) -> None:
        schema = pl.read_parquet_schema(self.path)
        for name, texts in labels.items():
            kind = schema[self._given[name]]
            for text in texts:
                try:
                    _as_type([text], kind)
                except pl.exceptions.PolarsError:
                    raise InputError(
                        f"{self.path}, column '{shown(name)}': holds {kind}, which cannot hold the "
                        f"class '{shown(text)}'; write the column as text"
                    ) from None


def _as_type(texts: list[str], kind: pl.DataType) -> pl.Series:
    return pl.Series(texts, dtype=pl.String).cast(kind)


def _stripped(frame: pl.DataFrame) -> pl.DataFrame:
    texts, _ = as_text(frame.to_dict())
    return texts.select(pl.all().fill_null("").str.strip_chars())
