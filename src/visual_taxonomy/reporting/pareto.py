"""Score against price: which variants no cheaper one beats."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from visual_taxonomy.reporting.style import (
    BLUE,
    FAINT,
    GRID,
    HEAD,
    INK,
    MARGIN,
    MUTED,
    add_axes,
    new_figure,
    save_figure,
    shorten,
    spread,
)

_WIDTH, _HEIGHT, _NAMES = 5.6, 3.8, 2.2
_LETTERS = 28


class Point(NamedTuple):
    """A variant with its price."""

    name: str
    seconds: float
    score: float


def plot_pareto(points: Sequence[Point], front: Sequence[str], path: Path) -> None:
    """Draw HM against the seconds of a run, the front as a line.

    Args:
        points: The variants; at least one.
        front: Names of those on the front.
        path: The PNG to write.

    Raises:
        OSError: The folder cannot be written to.
    """
    figure = new_figure(
        _WIDTH + _NAMES + 2 * MARGIN + 0.4,
        HEAD + _HEIGHT + 1.0,
        f"{len(front)} of {len(points)} variants are worth their price",
        "HM on held-out rows by seconds of a run; each of the others is beaten by a cheaper one",
    )
    axes = add_axes(figure, MARGIN + 0.4, HEAD + 0.2, _WIDTH, _HEIGHT)
    axes.grid(color=GRID, linewidth=0.9)
    axes.set_xlabel("seconds of a run", size=9, color=MUTED)
    axes.set_ylabel("HM", size=9, color=MUTED)
    by_name = {point.name: point for point in points}
    best = sorted((by_name[name] for name in front), key=lambda point: point.seconds)
    rest = [point for point in points if point.name not in front]
    axes.plot([p.seconds for p in rest], [p.score for p in rest], "o", color=FAINT, markersize=5)
    axes.plot(
        [p.seconds for p in best],
        [p.score for p in best],
        "o-",
        color=BLUE,
        markersize=7,
        drawstyle="steps-post",
    )
    low, high = axes.get_ylim()
    places = spread([point.score for point in best], gap=0.055 * (high - low))
    for point, place in zip(best, places, strict=True):
        axes.annotate(
            f"{shorten(point.name, _LETTERS)} {point.score:.3f}",
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            size=8.5,
            color=INK,
            annotation_clip=False,
            parse_math=False,
        )
    axes.set_ylim(low, high)
    save_figure(figure, path)
