"""What `vtax inspect` found, as a page of the same kind as the report of a run."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from visual_taxonomy.atomic import write_text
from visual_taxonomy.data.images import UnreadableImage
from visual_taxonomy.data.inspection import RARE_ROWS, AttributeSummary, Inspection
from visual_taxonomy.reporting.html.blocks import (
    Block,
    Fold,
    Gallery,
    Picture,
    Share,
    Table,
    Text,
    Tile,
    Tiles,
)
from visual_taxonomy.reporting.html.page import Page, Part, render
from visual_taxonomy.reporting.html.thumbnails import thumbnail
from visual_taxonomy.reporting.style import shorten
from visual_taxonomy.version import __version__

_MOST_CLASSES = 200
"""Of an attribute, and of the list of broken images; a page of a million rows would not open."""
_LETTERS = 60


def write_catalogue_page(found: Inspection, img_dir: Path | None, path: Path) -> None:
    """Write one HTML file that needs nothing but itself.

    Args:
        found: What the catalogue holds.
        img_dir: Folder of its images; None where the file holds them.
        path: The file.

    Raises:
        InputError: The disk is full.
    """
    parts = [
        Part("categories", "Categories", list(_counts("category", found.categories, found.rows))),
        Part("attributes", "Attributes", list(_attributes(found))),
    ]
    absent = []
    images = found.images
    if images is None or images.problem:
        reason = images.problem if images is not None else "no folder was given (`img_dir`)"
        absent.append(("Images", reason))
    else:
        parts.append(Part("images", "Images", list(_images(found))))
        parts.append(Part("examples", "Examples", list(_examples(found, img_dir))))
    if found.left_out:
        rows = [(shorten(name, _LETTERS), why) for name, why in found.left_out.items()]
        parts.append(Part("left-out", "Columns left out", [Table(("column", "why"), rows)]))
    kinds = len(found.categories)
    subtitle = (
        f"{found.rows:,} rows · {kinds:,} {'category' if kinds == 1 else 'categories'} · "
        f"{len(found.attributes):,} {'attribute' if len(found.attributes) == 1 else 'attributes'}"
    )
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    footer = f"Written by vtax {__version__} on {now}. This file needs no network."
    write_text(path, render(Page(found.path.name, subtitle, parts, absent, footer)))


def _counts(heading: str, counts: Mapping[str, int], rows: int) -> Iterator[Block]:
    listed = list(counts.items())[:_MOST_CLASSES]
    more = len(counts) - len(listed)
    cells = [(shorten(name, _LETTERS), count, Share(count / rows)) for name, count in listed]
    yield Table((heading, "rows", "share"), cells)
    if more:
        yield Text(f"and {more:,} more", is_note=True)


def _attributes(found: Inspection) -> Iterator[Block]:
    if not found.attributes:
        yield Text("No column holds labels.")
    for each in found.attributes:
        detail = f"{len(each.classes):,} classes, {each.holes / found.rows:.0%} holes"
        blocks = [*_counts("class", each.classes, found.rows), *_remarks(each)]
        yield Fold(shorten(each.column, _LETTERS), detail, blocks)


def _remarks(each: AttributeSummary) -> Iterator[Text]:
    if each.rare:
        names = ", ".join(shorten(name, _LETTERS) for name in each.rare[:_MOST_CLASSES])
        yield Text(f"Rare, of fewer than {RARE_ROWS} rows: {names}")
    for first, others in each.synonyms:
        yield Text(f"May mean the same: {', '.join((first, *others))}")


def _images(found: Inspection) -> Iterator[Block]:
    images = found.images
    assert images is not None
    check, first = images.check, shorten(images.first_missing, _LETTERS)
    looked = f"{check.files:,} files opened, {check.decoded:,} of them decoded"
    yield Tiles(
        [
            Tile("found", f"{images.found:,}", (f"of {images.rows:,} rows",)),
            Tile("missing", f"{images.missing:,}", [f"first '{first}'"] if images.missing else ()),
            Tile("broken", f"{len(check.broken):,}", (looked,)),
        ]
    )
    if check.shared:
        rows = [(s.name, s.products, s.files) for s in check.shared[:_MOST_CLASSES]]
        yield Text("One image of many products: if it is a placeholder, it teaches nothing.")
        yield Table(("image", "products", "files"), rows)
    if check.broken:
        yield Table(("broken image", "why"), list(check.broken.items())[:_MOST_CLASSES])


def _examples(found: Inspection, img_dir: Path | None) -> Iterator[Block]:
    images = found.images
    assert images is not None
    for category, rows in groupby(found.examples, key=lambda row: row.category):
        pictures = []
        for row in rows:
            with suppress(UnreadableImage):
                lines = [(shorten(k, _LETTERS), shorten(v, _LETTERS)) for k, v in row.labels]
                source = thumbnail(images.source(row.image, img_dir))
                pictures.append(Picture(source, shorten(row.product, _LETTERS), lines))
        if pictures:
            yield Fold(
                shorten(category, _LETTERS),
                f"{found.categories[category]:,} rows",
                [Gallery(pictures)],
                is_open=True,
            )
