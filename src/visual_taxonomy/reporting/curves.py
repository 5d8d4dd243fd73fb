"""The training curve of a run: losses and F1 by epoch."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from visual_taxonomy.errors import InputError
from visual_taxonomy.reporting.style import (
    BLUE,
    FAINT,
    GRID,
    HEAD,
    INK,
    MARGIN,
    MUTED,
    RED,
    SKY,
    add_axes,
    new_figure,
    save_figure,
    spread,
)

Row = Mapping[str, float]

_LOSSES = {"train_loss": ("training", FAINT, 1.8), "val_loss": ("validation", RED, 2.2)}
_F1 = {"micro": ("micro", FAINT, 1.8), "hm": ("HM", BLUE, 2.6), "macro": ("macro", SKY, 1.8)}
_PANEL = (4.2, 3.1)
# Inches right of a panel for the names of its curves.
_NAMES = 1.3


def plot_training(metrics: Sequence[Row], path: Path) -> None:
    """Draw the losses and the validation F1 of every epoch, the best epoch of each marked.

    Args:
        metrics: A row an epoch, in order: epoch (from 0), train_loss, val_loss, hm, micro, macro,
            images_per_second, seconds. A value that is not there or not finite leaves a gap. The
            figure counts epochs from 1.
        path: The PNG to write.

    Raises:
        InputError: There is no epoch to draw.
        OSError: The folder cannot be written to.
    """
    if not metrics:
        raise InputError(f"{path}: no epoch to draw; metrics.csv has no row yet")
    width, height = _PANEL
    figure = new_figure(
        2 * (MARGIN + 0.3 + width + _NAMES),
        HEAD + height + 1.1,
        _title(metrics),
        _subtitle(metrics),
    )
    for column, (heading, curves, best) in enumerate(
        (("Loss", _LOSSES, "val_loss"), ("F1 on validation rows", _F1, "hm"))
    ):
        left = MARGIN + 0.35 + column * (MARGIN + 0.3 + width + _NAMES)
        axes = add_axes(figure, left, HEAD + 0.45, width, height)
        axes.set_title(heading, loc="left", size=10.5, weight="bold", color=INK, pad=24, x=-0.08)
        axes.set_xlabel("epoch", size=9, color=MUTED)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
        axes.grid(axis="y", color=GRID, linewidth=0.9)
        _draw_curves(axes, metrics, curves)
        _mark_best(axes, metrics, best)
    save_figure(figure, path)


def _value(row: Row, key: str) -> float:
    return float(row.get(key, math.nan))


def _best(metrics: Sequence[Row], key: str) -> Row | None:
    """The row of the highest (of a loss: lowest) finite value; the first of those that tie."""
    sign = -1 if key.endswith("loss") else 1
    finite = [row for row in metrics if math.isfinite(_value(row, key))]
    return max(finite, key=lambda row: sign * row[key], default=None)


def _title(metrics: Sequence[Row]) -> str:
    best = _best(metrics, "hm")
    if best is None:
        return "No epoch has a finite score yet"
    if len(metrics) == 1:
        return f"HM-F1 is {best['hm']:.3f} after one epoch"
    when = "in the last epoch" if best is metrics[-1] else f"in epoch {best['epoch'] + 1:.0f}"
    return f"HM-F1 is highest {when}: {best['hm']:.3f}"


def _subtitle(metrics: Sequence[Row]) -> str:
    parts = [f"{len(metrics)} epoch{'s' if len(metrics) > 1 else ''}"]
    seconds = sum(s for row in metrics if math.isfinite(s := _value(row, "seconds")))
    if seconds:
        parts.append(f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.0f} seconds")
    speed = [s for row in metrics if math.isfinite(s := _value(row, "images_per_second"))]
    if speed:
        parts.append(f"{sum(speed) / len(speed):,.0f} images a second")
    return "  ·  ".join(parts)


def _draw_curves(
    axes: Axes, metrics: Sequence[Row], curves: Mapping[str, tuple[str, str, float]]
) -> None:
    """Lines with their names at the end of each, so that no legend is needed."""
    epochs = [_value(row, "epoch") + 1 for row in metrics]
    drawn = []
    for key, (name, colour, width) in curves.items():
        values = [v if math.isfinite(v) else math.nan for v in (_value(r, key) for r in metrics)]
        finite = [value for value in values if math.isfinite(value)]
        if finite:
            marker = "o" if len(metrics) == 1 else ""
            axes.plot(epochs, values, color=colour, linewidth=width, marker=marker, clip_on=False)
            drawn.append((finite[-1], name, colour))
    if len(metrics) > 1:
        axes.set_xlim(epochs[0], epochs[-1])
    low, high = axes.get_ylim()
    places = spread([value for value, _, _ in drawn], gap=0.06 * (high - low))
    for place, (value, name, colour) in zip(places, drawn, strict=True):
        axes.annotate(
            f"{name} {value:.3f}",
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            size=9,
            weight="bold" if colour in (BLUE, RED) else "normal",
            color=MUTED if colour in (FAINT, SKY) else colour,
            annotation_clip=False,
        )
    axes.set_ylim(low, high)


def _mark_best(axes: Axes, metrics: Sequence[Row], key: str) -> None:
    best = _best(metrics, key)
    if best is None or len(metrics) == 1:
        return
    colour, word = (BLUE, "highest") if key == "hm" else (RED, "lowest")
    place = (best["epoch"] + 1, best[key])
    axes.axvline(place[0], color=colour, linewidth=0.9, linestyle=(0, (2, 3)), alpha=0.7)
    axes.plot(
        *place, marker="o", markersize=8, color=colour, markeredgecolor="white", clip_on=False
    )
    late = metrics.index(best) >= len(metrics) / 2
    axes.annotate(
        f"{word} {best[key]:.3f}, epoch {best['epoch'] + 1:.0f}",
        (place[0], 1),
        xycoords=("data", "axes fraction"),
        xytext=(-6 if late else 6, 2),
        textcoords="offset points",
        ha="right" if late else "left",
        size=8.5,
        color=colour,
    )
