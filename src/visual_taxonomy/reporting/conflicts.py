"""Which tasks pull the shared parameters apart: the cosines of their gradients as a heat map.

Shapes: T tasks.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from visual_taxonomy.errors import InputError
from visual_taxonomy.reporting.style import (
    BLUE,
    GRID,
    HEAD,
    INK,
    MARGIN,
    MUTED,
    RED,
    add_axes,
    new_figure,
    save_figure,
    shorten,
    write,
)
from visual_taxonomy.taxonomy import Task

_COLOURS = LinearSegmentedColormap.from_list("conflict", [RED, GRID, BLUE])
# Inches left of and above the map for the names of the tasks.
_NAMES = 1.75
_LEGEND = 0.75
_LEAST_WIDTH = 9.5
# Inches a letter of the subtitle takes at most.
_LETTER = 0.07
# Most tasks with a number in each cell.
_NUMBERED = 16
# Most tasks drawn: names are readable, and the figure stays below 25 inches.
_MOST_TASKS = 48


class _Line(NamedTuple):
    """A row and a column of the map: a task, or the name of a category before its tasks."""

    name: str
    task: int | None


def plot_conflicts(cosines: np.ndarray, tasks: Sequence[Task], path: Path) -> None:
    """Draw the mean cosine of the gradients of every two tasks, grouped by category.

    Red is conflict, blue agreement, grey neither; pairs that never met stay white. Of more than
    48 tasks, those with the strongest conflicts are drawn; the title counts the pairs of all.

    Args:
        cosines: [T, T] symmetric, in [-1, 1]; NaN for tasks that never met. The diagonal is not
            drawn.
        tasks: [T] the tasks, those of one category next to each other.
        path: The PNG to write.

    Raises:
        InputError: No two tasks have met.
        OSError: The folder cannot be written to.
    """
    pairs = _pairs(cosines)
    if np.isnan(pairs).all():
        raise InputError(f"{path}: no two tasks have had a label in the same watched step")
    title, subtitle = _title(pairs), _subtitle(pairs, tasks)
    shown = _most_apart(pairs)
    tasks, pairs = [tasks[index] for index in shown], pairs[np.ix_(shown, shown)]
    lines = _lines(tasks)
    cell = 0.42 if len(tasks) <= _NUMBERED else 0.235
    size = cell * len(lines)
    width = max(_LEAST_WIDTH, 2 * MARGIN + _NAMES + size + _LEGEND + 0.35)
    height = HEAD + _NAMES + size + 2 * MARGIN
    subtitle = shorten(subtitle, int((width - 2 * MARGIN) / _LETTER))
    figure = new_figure(width, height, title, subtitle)
    axes = add_axes(figure, MARGIN + _NAMES, HEAD + _NAMES, size, size)
    axes.set(xlim=(0, len(lines)), ylim=(len(lines), 0), xticks=[], yticks=[])
    # At least 0.1: cosines that are all near 0 would look like conflicts.
    most = max(0.1, float(np.nanmax(np.abs(pairs))))
    _draw_cells(axes, lines, pairs, most)
    _draw_names(axes, lines, 9.0 if len(tasks) <= _NUMBERED else 8.0)
    length = min(size, 2.4)
    left, bottom = MARGIN + _NAMES + size + 0.3, HEAD + _NAMES + size
    _draw_legend(add_axes(figure, left, bottom - length, 0.14, length), most)
    _draw_never_met(add_axes(figure, left, bottom + 0.25, 0.14, 0.14))
    save_figure(figure, path)


def has_pairs(cosines: np.ndarray) -> bool:
    """Whether any two tasks have met, so that there is something to draw.

    Example:
        >>> has_pairs(np.array([[1.0, np.nan], [np.nan, 1.0]]))
        False
    """
    return not bool(np.isnan(_pairs(cosines)).all())


def _pairs(cosines: np.ndarray) -> np.ndarray:
    pairs = cosines.astype(np.float32)
    np.fill_diagonal(pairs, np.nan)
    return pairs


def _most_apart(pairs: np.ndarray) -> np.ndarray:
    """The tasks to draw, in their order: those whose worst pair is worst.

    Both tasks of a pair have it as their worst, or a worse one, so the worst pairs are complete.
    """
    worst = np.where(np.isnan(pairs), np.inf, pairs).min(1)
    return np.sort(np.argsort(worst, kind="stable")[:_MOST_TASKS])


def _lines(tasks: Sequence[Task]) -> list[_Line]:
    lines = []
    for category, group in groupby(range(len(tasks)), key=lambda index: tasks[index].category):
        lines.append(_Line(category, None))
        lines += [_Line(tasks[index].attribute, index) for index in group]
    return lines


def _draw_cells(axes: Axes, lines: list[_Line], pairs: np.ndarray, most: float) -> None:
    """Cells of tasks that met; a number in each while there are few."""
    places = [place for place, line in enumerate(lines) if line.task is not None]
    spaced = np.full((len(lines), len(lines)), np.nan)
    spaced[np.ix_(places, places)] = pairs
    axes.pcolormesh(
        np.ma.masked_invalid(spaced),
        cmap=_COLOURS,
        vmin=-most,
        vmax=most,
        edgecolors="white",
        linewidth=0.8,
    )
    if len(pairs) > _NUMBERED:
        return
    for row, column in zip(*np.nonzero(~np.isnan(spaced)), strict=True):
        value = float(spaced[row, column])
        # Ink cannot be read on the darkest cells.
        colour = "white" if abs(value) > 0.6 * most else INK
        text = f"{value:+.2f}".replace("0.", ".")
        axes.text(column + 0.5, row + 0.5, text, color=colour, size=7, ha="center", va="center")


def _draw_names(axes: Axes, lines: list[_Line], size: float) -> None:
    for place, line in enumerate(lines):
        is_category = line.task is None
        colour, weight = (INK, "bold") if is_category else (MUTED, "normal")
        name = shorten(line.name, 24)
        axes.text(
            place + 0.5,
            -0.15,
            name,
            color=colour,
            size=size,
            weight=weight,
            rotation=90,
            ha="center",
            va="bottom",
            parse_math=False,
        )
        axes.text(
            -0.15,
            place + 0.5,
            name,
            color=colour,
            size=size,
            weight=weight,
            ha="right",
            va="center",
            parse_math=False,
        )


def _draw_legend(axes: Axes, most: float) -> None:
    scale = np.linspace(-most, most, 101)[:, None]
    axes.imshow(scale, cmap=_COLOURS, aspect="auto", origin="lower", extent=(0, 1, -most, most))
    axes.set_xticks([])
    axes.set_yticks([])
    for value in (-most, 0.0, most):
        text = f"{value:+.2f}" if value else "0"
        write(axes, 1.5, value, text, MUTED, 8.5)


def _draw_never_met(axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
    axes.add_patch(Rectangle((0, 0), 1, 1, facecolor="white", edgecolor=MUTED, linewidth=0.8))
    write(axes, 1.5, 0.5, "never met", MUTED, 8.5)


def _title(pairs: np.ndarray) -> str:
    met = int((~np.isnan(pairs)).sum()) // 2  # each pair stands there twice
    apart = int((pairs < 0).sum()) // 2
    which = f"{apart:,} of {met:,} pairs" if apart else "No pair"
    return f"{which} of tasks that met pull{'' if apart > 1 else 's'} apart"


def _subtitle(pairs: np.ndarray, tasks: Sequence[Task]) -> str:
    text = "Mean cosine of gradients: red apart, blue alike, grey neither"
    if len(tasks) > _MOST_TASKS:
        text = f"The {_MOST_TASKS} of {len(tasks):,} tasks that pull apart most. {text}"
    first, second = divmod(int(np.nanargmin(pairs)), len(pairs))
    if pairs[first, second] >= 0:
        return text
    one, other = tasks[first], tasks[second]
    names = f"{one.name} and {other.name}"
    if one.category == other.category:
        names = f"{one.attribute} and {other.attribute} of {one.category}"
    return f"{text}; most apart: {names}"
