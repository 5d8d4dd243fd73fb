"""Write the report of a run: `write_report`, for commands and for Python."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from visual_taxonomy.atomic import write_text
from visual_taxonomy.data.image_folder import ImageFolder
from visual_taxonomy.decision.held_out import HELD_OUT_NAME, HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.regular_file import require_regular
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.named_pictures import named_picture_finder
from visual_taxonomy.reporting.html.page import Page, Part, render
from visual_taxonomy.reporting.html.run_record import read_run
from visual_taxonomy.reporting.html.sections import SECTIONS
from visual_taxonomy.training.probing.record import find_probe, read_probe
from visual_taxonomy.version import __version__

REPORT_NAME = "report.html"
"""The file in a run folder."""

_AUDIT_NAME = "audit"
"""The folder of `vtax audit` in a run folder."""

_MARK = b'<meta name="generator" content="vtax report">'
_HEAD_BYTES = 1000
"""Within which the mark stands; the title, which may be long, comes behind it."""


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
    if not any(len(head.labels) for head in context.held_out.heads()):
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


def report_run(folder: Path) -> Path:
    """Write the report of a run into its folder, and say where it is.

    Raises:
        InputError: The folder has no held-out predictions, a file in it is damaged, or no
            held-out row has a label.
    """
    path = folder / REPORT_NAME
    write_report(context_of_run(folder), path)
    return path


def context_of_run(
    folder: Path,
    img_dir: Path | None = None,
    audit: Path | None = None,
    baselines: Path | None = None,
) -> Context:
    """What the files of a run folder give.

    Args:
        folder: Of the run.
        img_dir: Where the images are now; None takes the place in config.toml.
        audit: Folder of `vtax audit`; None takes `audit` in the run folder, if it is there.
        baselines: Run folder of `vtax probe`; None takes the newest of the same rows among the
            run folder and those beside it.

    Raises:
        InputError: It is no run folder, has no held-out predictions, a file is damaged, or
            `baselines` is of other rows.
    """
    run = read_run(folder)
    held_out = HeldOut.read(folder / HELD_OUT_NAME)
    lists = audit or (folder / _AUDIT_NAME if (folder / _AUDIT_NAME).is_dir() else None)
    settings, pictures = run.config.get("data", {}), img_dir or run.picture_folder
    probe = find_probe(folder, held_out) if baselines is None else read_probe(baselines, held_out)
    if settings.get("image_column") or settings.get("image_pattern"):
        image = named_picture_finder(settings, pictures)
    else:
        image = picture_finder(pictures)
    return Context(held_out, run, image, lists, probe=probe)


def is_report(path: Path) -> bool:
    """Whether a file is a report of this module, which may be replaced.

    Example:
        >>> is_report(Path("/dev/null"))
        False
    """
    try:
        require_regular(path)
        with path.open("rb") as file:
            return _MARK in file.read(_HEAD_BYTES)
    except (OSError, InputError):
        return False


def picture_finder(folder: Path | None) -> Callable[[str], Path | None] | None:
    """Where the image of an id is; None if there is no such folder (any more)."""
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
        f"{labels:,} labels of {_count(len(context.held_out), 'product', 'products')} in "
        f"{context.source} · "
        f"{_count(len(taxonomy.categories), 'category', 'categories')} · "
        f"{_count(len(taxonomy.tasks), 'attribute', 'attributes')}"
    )


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _footer() -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"Written by vtax {__version__} on {now}. This file needs no network."
