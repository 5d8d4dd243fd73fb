"""What an audit found, as a grid of images and as a table for the terminal."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from PIL import Image
from rich.table import Table
from rich.text import Text

from visual_taxonomy.audit.finding import Finding
from visual_taxonomy.audit.lists import Lists
from visual_taxonomy.data.images import ImageSource, UnreadableImage, read_image
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.reporting.sheet import LINE, TEXT_SIZE, WIDTH, draw_sheet
from visual_taxonomy.reporting.style import (
    BLUE,
    INK,
    MUTED,
    RED,
    save_figure,
    shorten,
    write,
)
from visual_taxonomy.taxonomy import UNKNOWN

_VALUE = 0.75
"""Inches from the left of an image to the classes below it."""

_MOST_LETTERS = 34


def pick_images(
    findings: Sequence[Finding], image_of: Callable[[Finding], ImageSource], most: int = 24
) -> list[tuple[Finding, Image.Image]]:
    """The first findings with their images; those whose image cannot be read are left out."""
    picked: list[tuple[Finding, Image.Image]] = []
    for finding in findings:
        if len(picked) == most:
            break
        try:
            picked.append((finding, read_image(image_of(finding))))
        except UnreadableImage:
            continue
    return picked


def plot_findings(
    images: Sequence[tuple[Finding, Image.Image]], path: Path, title: str, columns: int = 6
) -> None:
    """Draw findings in a grid: the image, the label that stands there, the class suggested for it.

    Args:
        images: Findings and images in any mode of Pillow, row by row.
        path: The PNG to write.
        title: Of the figure.
        columns: Images side by side, >= 1.

    Raises:
        InputError: There is no image to draw.
        OSError: The folder cannot be written to.
    """
    if not images:
        raise InputError(f"{path}: no image to draw; none of the findings has one that is readable")
    figure = draw_sheet(
        [image for _, image in images],
        [4] * len(images),
        lambda axes, i: _write_lines(axes, images[i][0]),
        title,
        "Red: the label.  Blue: what the model suggests.  %: probability of each",
        columns,
    )
    save_figure(figure, path)


def _write_lines(axes: Axes, finding: Finding) -> None:
    y = LINE / 2
    write(axes, 0, y, shorten(finding.task.name, 48), INK, TEXT_SIZE, weight="bold")
    write(axes, 0, y + LINE, "id", MUTED, TEXT_SIZE)
    write(axes, _VALUE, y + LINE, shorten(finding.id, _MOST_LETTERS), MUTED, TEXT_SIZE)
    label, suggested = finding.label, finding.suggested
    lines = (
        ("label", label or "unknown", finding.probability_of_label, RED if label else MUTED),
        ("suggested", suggested, finding.probability, BLUE),
    )
    for number, (name, value, probability, colour) in enumerate(lines, start=2):
        at = y + number * LINE
        write(axes, 0, at, name, MUTED, TEXT_SIZE)
        if value == label == suggested:  # of near-duplicates, one that has the suggested label
            colour = BLUE
        write(axes, _VALUE, at, shorten(value, _MOST_LETTERS), colour, TEXT_SIZE, weight="bold")
        if probability is not None:
            write(axes, WIDTH, at, f"{probability:.0%}", MUTED, TEXT_SIZE, ha="right")


def audit_table(lists: Lists, held_out: HeldOut) -> Table:
    """How many labels and holes each category has, and how many of them are listed.

    Args:
        lists: What was found.
        held_out: The rows that were audited.
    """
    table = Table(title="Labels worth a second look", title_justify="left")
    table.add_column("Category")
    for column in ("labels", "likely wrong", "contradicting", "unknown", "fillable"):
        table.add_column(column, justify="right")
    listed = [Counter(each.task.category for each in found) for found in lists.by_name().values()]
    totals = [0] * 5
    for category, slots in enumerate(held_out.taxonomy.slots):
        name = held_out.taxonomy.categories[category]
        targets = held_out.targets[held_out.categories == category][:, : len(slots)]
        known = int((targets != UNKNOWN).sum())
        wrong, contradicting, fillable = (counts[name] for counts in listed)
        values = [known, wrong, contradicting, targets.size - known, fillable]
        totals = [total + value for total, value in zip(totals, values, strict=True)]
        table.add_row(Text(name), *(f"{value:,}" for value in values))
    table.add_section()
    table.add_row("overall", *(f"{total:,}" for total in totals), style="bold")
    return table
