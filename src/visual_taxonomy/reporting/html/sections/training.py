"""Losses and scores by epoch."""

import math
from collections.abc import Mapping, Sequence

from visual_taxonomy.reporting.html.blocks import Beside, Block, Text
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.plots import Curve, Plot

_PLOTS = (
    ("Loss", "loss", {"train_loss": ("training", 0), "val_loss": ("validation", 2)}),
    (
        "F1 on the validation rows",
        "F1",
        {"micro": ("micro", 3), "hm": ("HM", 1), "macro": ("macro", 2)},
    ),
)


def training(context: Context) -> Sequence[Block] | Absent:
    """Curves of the epochs, where a run is given."""
    metrics = context.run.metrics if context.run else ()
    plots = [
        (title, Plot("epoch", name, curves))
        for title, name, columns in _PLOTS
        if (curves := _curves(metrics, columns))
    ]
    if not plots:
        return Absent("no epoch in metrics.csv" if context.run else "no run folder was given")
    return [Text(_summary(metrics)), Beside(plots)]


def _curves(
    metrics: Sequence[Mapping[str, float]], columns: Mapping[str, tuple[str, int]]
) -> list[Curve]:
    curves = []
    for column, (name, colour) in columns.items():
        points = [(row.get("epoch", math.nan) + 1, row.get(column, math.nan)) for row in metrics]
        if any(math.isfinite(x) and math.isfinite(y) for x, y in points):
            curves.append(Curve(name, points, colour))
    return curves


def _summary(metrics: Sequence[Mapping[str, float]]) -> str:
    """The best epoch, and how long it all took."""
    scored = [row for row in metrics if math.isfinite(row.get("hm", math.nan))]
    epochs = f"{len(metrics)} epoch{'s' if len(metrics) != 1 else ''}"
    seconds = sum(s for row in metrics if math.isfinite(s := row.get("seconds", math.nan)))
    took = f" in {duration(seconds)}" if seconds else ""
    if not scored:
        return f"{epochs}{took}; none has a finite score."
    best = max(scored, key=lambda row: row["hm"])
    number = best.get("epoch", math.nan) + 1
    return f"{epochs}{took}. HM was highest in epoch {number:.0f}: {best['hm']:.3f}."


def duration(seconds: float) -> str:
    """Seconds as people read them.

    Example:
        >>> duration(48.2), duration(600), duration(9000)
        ('48 seconds', '10.0 minutes', '2.5 hours')
    """
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
