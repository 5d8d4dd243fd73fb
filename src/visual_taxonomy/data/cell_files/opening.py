"""Which reader of single cells a file has."""

from pathlib import Path

from visual_taxonomy.catalogue import Encoding
from visual_taxonomy.data.cell_files.base import CellFile
from visual_taxonomy.data.cell_files.csv_cells import CsvCells
from visual_taxonomy.data.cell_files.json_cells import JsonCells
from visual_taxonomy.data.cell_files.parquet_cells import ParquetCells
from visual_taxonomy.data.named_columns import is_json_lines, is_parquet


def open_cells(path: Path, encoding: Encoding = "utf-8") -> CellFile:
    """The cells of a file that `LabelFile` has read.

    Args:
        path: CSV, Parquet or JSON lines, told by the suffix.
        encoding: Of a CSV.
    """
    if is_parquet(path):
        return ParquetCells(path)
    return JsonCells(path) if is_json_lines(path) else CsvCells(path, encoding)
