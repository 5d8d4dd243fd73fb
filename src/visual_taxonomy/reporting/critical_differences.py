"""The critical-difference plot: mean ranks of variants over heads, and which do not differ."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes

from visual_taxonomy.decision.many import Ranks
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
    write,
)

_ROW = 0.24
"""Inches a variant takes."""
_NAMES, _CHART = 2.6, 6.0
_LETTERS = 34


def plot_ranks(names: Sequence[str], ranks: Ranks, baseline: str, path: Path) -> None:
    """Draw the mean rank of every variant, the best first.

    From each dot a bar goes as far as the critical difference: variants whose dots it does not
    reach are worse.

    Args:
        names: [V] variants.
        ranks: Of them.
        baseline: One of them, which stands out.
        path: The PNG to write.

    Raises:
        OSError: The folder cannot be written to.
    """
    order = sorted(range(len(names)), key=lambda i: ranks.means[i])
    height = _ROW * (len(names) + 1)
    figure = new_figure(
        _NAMES + _CHART + 2 * MARGIN, HEAD + height + 0.9, _title(names, ranks, order), _said(ranks)
    )
    axes = add_axes(figure, MARGIN + _NAMES, HEAD + 0.3, _CHART, height)
    axes.set_xlim(1, max(len(names), ranks.means[order[-1]]))
    axes.set_ylim(len(names) + 0.5, 0.2)
    axes.set_yticks([])
    axes.tick_params(top=True, labeltop=True)
    axes.grid(axis="x", color=GRID, linewidth=0.9)
    for line, i in enumerate(order, 1):
        _draw(axes, line, names[i], ranks.means[i], ranks.critical_difference, names[i] == baseline)
    save_figure(figure, path)


def _draw(axes: Axes, y: float, name: str, rank: float, critical: float, stands_out: bool) -> None:
    low, high = axes.get_xlim()
    colour = INK if stands_out else MUTED
    left = low - (high - low) * _NAMES / _CHART
    weight: Literal["bold", "normal"] = "bold" if stands_out else "normal"
    write(axes, left, y, shorten(name, _LETTERS), colour, 9, weight=weight)
    axes.plot([rank, min(rank + critical, high)], [y, y], color=FAINT, linewidth=2.4)
    axes.plot(rank, y, "o", markersize=6, color=INK if stands_out else BLUE, clip_on=False)


def _title(names: Sequence[str], ranks: Ranks, order: Sequence[int]) -> str:
    best = ranks.means[order[0]]
    alike = sum(mean <= best + ranks.critical_difference for mean in ranks.means)
    if alike == len(names):
        return "No variant ranks significantly below the best"
    name = shorten(names[order[0]], _LETTERS)
    return f"{name} ranks best; {len(names) - alike} of {len(names)} variants are worse"


def _said(ranks: Ranks) -> str:
    return (
        f"mean rank of HM over {ranks.heads} heads, 1 is best; bars: critical difference "
        f"{ranks.critical_difference:.2f} (Nemenyi, 5 %); Friedman p = {ranks.p_value:.2g}"
    )
