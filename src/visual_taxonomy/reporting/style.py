"""How all plots look: colours that colour-blind people can tell apart, and little ink.

Figures are laid out in inches from their top left corner. Nothing here touches pyplot or rcParams,
so plots may be drawn from any thread.
"""

from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from visual_taxonomy.atomic import write_atomically

INK = "#1f2933"
MUTED = "#6b7785"
FAINT = "#b4bcc6"
GRID = "#e6e9ed"
BLUE = "#0072b2"  # this and the next three: Okabe and Ito, Color Universal Design, 2008
GREEN = "#00875f"  # a shade darker than theirs (#009e73), for text
RED = "#c44e00"  # a shade darker than theirs (#d55e00), for text
SKY = "#56b4e9"

MARGIN = 0.45
"""Inches between the edge of a figure and what is in it."""

HEAD = 1.1
"""Inches at the top of a figure that its title and subtitle take."""

_DPI = 150
_MOST_PIXELS = 2**16 - 1  # of a side, a limit of Agg


def new_figure(width: float, height: float, title: str, subtitle: str) -> Figure:
    """An empty figure of `width` x `height` inches with what one sees as its title."""
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
    left = MARGIN / width
    for text, size, weight, colour, top in (
        (title, 14, "bold", INK, MARGIN),
        (subtitle, 9.5, "normal", MUTED, MARGIN + 0.3),
    ):
        y = 1 - top / height
        figure.text(
            left, y, text, size=size, weight=weight, color=colour, va="center", parse_math=False
        )
    return figure


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes whose place is given in inches from the top left corner of the figure; no frame."""
    total_width, total_height = figure.get_size_inches()
    axes = figure.add_axes(
        (
            left / total_width,
            1 - (top + height) / total_height,
            width / total_width,
            height / total_height,
        )
    )
    axes.set_frame_on(False)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=MUTED, labelsize=8.5)
    return axes


def write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    colour: str,
    size: float,
    *,
    ha: Literal["left", "right"] = "left",
    weight: Literal["normal", "bold"] = "normal",
) -> None:
    """Put text at a point of the axes as it is: a name with dollar signs is no formula."""
    axes.text(
        x, y, text, color=colour, size=size, ha=ha, va="center", weight=weight, parse_math=False
    )


def shorten(text: str, most: int) -> str:
    """The text on one line, cut to at most `most` characters.

    Example:
        >>> shorten("a three-quarter sleeve", 16), shorten("short", 16)
        ('a three-quarter…', 'short')
    """
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def spread(positions: list[float], gap: float) -> list[float]:
    """Move positions apart until neighbours are at least `gap` from each other, about in place.

    Example:
        >>> [round(y, 2) for y in spread([0.5, 0.9, 0.52], gap=0.1)]
        [0.46, 0.9, 0.56]
    """
    groups: list[list[int]] = []
    centres: list[float] = []
    for i in sorted(range(len(positions)), key=positions.__getitem__):
        groups.append([i])
        centres.append(positions[i])
        while len(groups) > 1 and (
            # Less a rounding error: labels that just touch would be merged and moved without need.
            centres[-1] - centres[-2] < gap * (len(groups[-1]) + len(groups[-2])) / 2 - 1e-9
        ):
            last, _ = groups.pop(), centres.pop()
            groups[-1] += last
            centres[-1] = sum(positions[j] for j in groups[-1]) / len(groups[-1])
    placed = [0.0] * len(positions)
    for group, centre in zip(groups, centres, strict=True):
        for rank, i in enumerate(group):
            placed[i] = centre + gap * (rank - (len(group) - 1) / 2)
    return placed


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG whole or not at all: under a temporary name first, then renamed.

    Makes the folder if it does not exist. A figure too large for the renderer is drawn coarser.

    Raises:
        InputError: The disk is full.
        OSError: The folder cannot be written to.
    """
    dpi = min(_DPI, _MOST_PIXELS / max(figure.get_size_inches()))
    with write_atomically(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi)
