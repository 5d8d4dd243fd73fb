"""Write the report of a run: `write_report`, for commands and for Python."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from visual_taxonomy.atomic import write_text
from visual_taxonomy.data.image_folder import ImageFolder
from visual_taxonomy.errors import InputError
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.page import Page, Part, render
from visual_taxonomy.reporting.html.sections import SECTIONS
from visual_taxonomy.version import __version__

REPORT_NAME = "report.html"
"""The file in a run folder."""


def write_report(context: Context, path: Path, title: str = "") -> None:
    """Write one HTML file that needs nothing but itself.

    Sections that lack their inputs are left out; the page says which and why.

    Args:
        context: Held-out rows, and what else is known.
        path: The file.
        title: Of the page; empty takes the name of the run.

    Raises:
        InputError: No held-out row has a label, or the disk is full.
    """
    if not any(len(answers.head.labels) for answers in context.heads):
        raise InputError(f"{path}: nothing to report: no held-out row has a label and an answer")
    parts, absent = [], []
    for key, section in SECTIONS.items():
        built = section.build(context)
        if isinstance(built, Absent):
            absent.append((section.title, built.reason))
        else:
            parts.append(Part(key, section.title, built))
    name = title or (context.run.name if context.run else path.stem)
    write_text(path, render(Page(name, _subtitle(context), parts, absent, _footer())))


def picture_finder(folder: Path | None) -> Callable[[str], Path | None] | None:
    """Where the picture of an id is; None if there is no such folder (any more)."""
    if folder is None:
        return None
    try:
        images = ImageFolder(folder)
    except InputError:
        return None

    def find(product_id: str) -> Path | None:
        name = images.find(product_id)
        return None if name is None else folder / name

    return find


def _subtitle(context: Context) -> str:
    taxonomy, labels = context.held_out.taxonomy, context.scores.support
    return (
        f"{labels:,} labels of {len(context.held_out):,} held-out products · "
        f"{_count(len(taxonomy.categories), 'category', 'categories')} · "
        f"{_count(len(taxonomy.tasks), 'attribute', 'attributes')}"
    )


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _footer() -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"Written by vtax {__version__} on {now}. This file needs no network."
