"""`vtax inspect`: what a catalogue holds, before anything runs.

The guess is written into a file that other commands take as `--catalogue FILE`; what flags say is
not guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.table import Table

from visual_taxonomy.catalogue import columns_named
from visual_taxonomy.commands.outputs import check_output
from visual_taxonomy.commands.terminal import console, errors, terminal
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.errors import InputError

if TYPE_CHECKING:
    from visual_taxonomy.data.inspection import Inspection

# Of a long list the first few; all are in the file itself.
_MOST_NAMED = 6

_BY_ID = "image: named by the id"


@dataclass(frozen=True)
class Inspect:
    """Show what a catalogue holds, and guess which column is what."""

    csv: tyro.conf.Positional[Path | None] = None
    """CSV, Parquet or JSON lines."""
    csv_path: Path | None = None
    """The same as a flag, as in train and predict."""
    img_dir: Path | None = None
    """Folder of the images, to count those that are there."""
    out: Path = Path("catalogue.toml")
    """TOML file to write, for --catalogue of the other commands."""
    overwrite: bool = False
    """Replace an existing file that differs."""
    labels: LabelReading = field(default_factory=LabelReading)

    @property
    def path(self) -> Path:
        """The catalogue, from either argument."""
        path = self.csv or self.csv_path
        assert path is not None
        return path

    def __post_init__(self) -> None:
        if (self.csv is None) == (self.csv_path is None):
            raise InputError("give one catalogue: `vtax inspect FILE`, or --csv_path FILE")


def inspect(options: Inspect) -> int:
    """Show what a catalogue holds, and guess which column is what."""
    from visual_taxonomy.atomic import write_text
    from visual_taxonomy.data.inspection import inspect_catalogue

    check_output("--out", options.out, [options.path], overwrite=True)
    found = inspect_catalogue(options.path, options.labels, options.img_dir)
    for note in found.notes:
        terminal.note(note)
    _show(found)
    text = found.to_toml()
    if not (options.out.is_file() and options.out.read_bytes() == text.encode()):
        check_output("--out", options.out, [options.path], options.overwrite)
        write_text(options.out, text)
    console.print(f"use it: --catalogue {options.out}")
    return 0


def _show(found: "Inspection") -> None:
    console.print(f"{found.path}: {found.rows:,} rows")
    console.print(_roles(found))
    console.print(f"{len(found.categories):,} categories: {_named(found.categories)}")
    console.print(_attributes(found))
    for each in found.attributes:
        for first, others in each.synonyms:
            console.print(f"{each.column}: may mean the same: {', '.join((first, *others))}")
    images = found.images
    if images is None:
        console.print("images: not looked for (give --img_dir)")
    elif images.problem:
        errors.print(f"images: {images.problem}")
    else:
        first = f", first '{images.first_missing}'" if images.missing else ""
        console.print(f"images: {images.found:,} found, {images.missing:,} missing{first}")


def _roles(found: "Inspection") -> Table:
    reading = found.reading
    table = Table(title="columns", title_justify="left")
    table.add_column("column")
    table.add_column("role")
    table.add_row(reading.id_column or "id", "id")
    if reading.category_name is not None:
        table.add_row("(none)", f"category: all rows are {reading.category_name}")
    for name in reading.category_column or (() if reading.category_name else ("Category",)):
        table.add_row(name, "category")
    for name in columns_named(reading.image_column):
        table.add_row(name, "image")
    if not reading.image_column:
        table.add_row("(none)", _BY_ID)
    for each in found.attributes:
        table.add_row(each.column, "attribute")
    for name, why in found.left_out.items():
        table.add_row(name, f"left out: {why}")
    return table


def _attributes(found: "Inspection") -> Table:
    table = Table(title="attributes", title_justify="left")
    table.add_column("attribute")
    for name in ("classes", "holes", "rare"):
        table.add_column(name, justify="right")
    table.add_column("most frequent")
    for each in found.attributes:
        holes = f"{each.holes:,} ({each.holes / found.rows:.0%})"
        counts = _named(each.classes)
        table.add_row(each.column, str(len(each.classes)), holes, str(len(each.rare)), counts)
    return table


def _named(counts: Mapping[str, int]) -> str:
    names = [f"{name} {count:,}" for name, count in list(counts.items())[:_MOST_NAMED]]
    more = len(counts) - _MOST_NAMED
    return ", ".join(names) + (f", and {more:,} more" if more > 0 else "")
