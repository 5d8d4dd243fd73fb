"""The scores of a report as a chart and as a table for the terminal."""

from pathlib import Path
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from rich.table import Table
from rich.text import Text

from visual_taxonomy.evaluation import CategoryScores, Report
from visual_taxonomy.reporting.style import (
    BLUE,
    FAINT,
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

# Inches a line of the chart takes.
_ROW = 0.235

_NAMES, _CHART, _COUNTS = 2.7, 6.0, 1.0
"""Inches the three columns of the chart take."""


class _Line(NamedTuple):
    name: str
    hm: float | None
    baseline: float | None
    support: int
    is_category: bool


def plot_scores(report: Report, baseline: Report | None, path: Path, title: str = "") -> None:
    """Draw the F1 (HM) of every attribute against a baseline, the best of a category first.

    Args:
        report: The scores to draw.
        baseline: Scores of the majority class on the same rows; None to draw the report alone.
        path: The PNG to write.
        title: Of the figure; made from the scores if empty.

    Raises:
        OSError: The folder cannot be written to.
    """
    lines = _lines(report, baseline)
    gaps = len(report.categories) - 1
    height = _ROW * (len(lines) + 0.7 * gaps + 1)
    figure = new_figure(
        _NAMES + _CHART + _COUNTS + 2 * MARGIN,
        height + HEAD + 0.75,
        title or _title(report, lines),
        _subtitle(report, baseline, lines),
    )
    axes = add_axes(figure, MARGIN + _NAMES, HEAD + 0.3, _CHART, height)
    bottom = height / _ROW
    axes.set_xlim(0, 1)
    # Downwards, as lines are read; one unit is one line.
    axes.set_ylim(bottom, 0)
    axes.set_yticks([])
    axes.set_xticks([tick / 5 for tick in range(6)])
    axes.tick_params(top=True, labeltop=True)
    axes.grid(axis="x", color=GRID, linewidth=0.9)
    write(axes, -_NAMES / _CHART, -0.45, "attribute", MUTED, 8.5)
    write(axes, 1 + _COUNTS / _CHART, -0.45, "labels", MUTED, 8.5, ha="right")
    place = 0.0
    for i, line in enumerate(lines):
        place += 1.7 if line.is_category and i else 1
        _draw_line(axes, place, line)
    save_figure(figure, path)


def score_table(report: Report, baseline: Report | None = None) -> Table:
    """The scores of every category and overall, for the terminal.

    Args:
        report: The scores to show.
        baseline: Scores of the majority class on the same rows; None leaves their column out.

    Example:
        >>> from rich.console import Console
        >>> from visual_taxonomy.evaluation import AttributeScores, ClassScores
        >>> border = AttributeScores("border", (ClassScores("zari", 4, 4, 3),))
        >>> report = Report((CategoryScores("Sarees", (border,)),))
        >>> [str(cell) for cell in score_table(report).columns[1].cells]
        ['0.750', '0.750']
    """
    table = Table(title="F1 on labelled rows", title_justify="left")
    table.add_column("Category")
    columns = ["HM", "micro", "macro", *(["majority HM"] if baseline else []), "labels"]
    for column in columns:
        table.add_column(column, justify="right")
    references = _category_scores(baseline)
    for category in report.categories:
        reference = references.get(category.name)
        table.add_row(Text(category.name), *_cells(category, reference, baseline is not None))
    table.add_section()
    table.add_row("overall", *_cells(report, baseline, baseline is not None), style="bold")
    return table


def _cells(
    scores: CategoryScores | Report,
    reference: CategoryScores | Report | None,
    has_baseline: bool,
) -> list[str]:
    values = [scores.hm, scores.micro, scores.macro]
    if has_baseline:
        values.append(reference.hm if reference else None)
    shown = ["-" if value is None else f"{value:.3f}" for value in values]
    return [*shown, f"{scores.support:,}"]


def _category_scores(report: Report | None) -> dict[str, CategoryScores]:
    return {scores.name: scores for scores in report.categories} if report else {}


def _lines(report: Report, baseline: Report | None) -> list[_Line]:
    """A line for each category, then its attributes, the best first, those without labels last."""
    references = _category_scores(baseline)
    lines = []
    for category in report.categories:
        reference = references.get(category.name)
        hm = {scores.name: scores.hm for scores in reference.attributes} if reference else {}
        mean = reference.hm if reference else None
        lines.append(_Line(category.name, category.hm, mean, category.support, is_category=True))
        attributes = [
            _Line(scores.name, scores.hm, hm.get(scores.name), scores.support, is_category=False)
            for scores in category.attributes
        ]
        lines += sorted(attributes, key=lambda line: -1.0 if line.hm is None else line.hm)[::-1]
    return lines


def _title(report: Report, lines: list[_Line]) -> str:
    pairs = [
        (line.hm, line.baseline)
        for line in lines
        if line.hm is not None and line.baseline is not None and not line.is_category
    ]
    if not pairs:
        return f"HM-F1 is {report.hm:.3f} over all categories"
    ahead = sum(hm > reference for hm, reference in pairs)
    which = f"all {ahead}" if ahead == len(pairs) else f"{ahead} of {len(pairs)}"
    return f"The model beats the majority class in {which} attributes"


def _is_behind(line: _Line) -> bool:
    return line.hm is not None and line.baseline is not None and line.hm < line.baseline


def _subtitle(report: Report, baseline: Report | None, lines: list[_Line]) -> str:
    if baseline is None:
        return "F1 (harmonic mean of micro and macro)"
    return (
        f"F1 (harmonic mean of micro and macro): model ● {report.hm:.3f} overall, "
        f"majority class ○ {baseline.hm:.3f}"
        + ("; red where the model is behind" if any(map(_is_behind, lines)) else "")
    )


def _draw_line(axes: Axes, y: float, line: _Line) -> None:
    weight: Literal["bold", "normal"] = "bold" if line.is_category else "normal"
    size = 10.0 if line.is_category else 9.0
    indent = 0.0 if line.is_category else 0.15
    colour = INK if line.support else FAINT
    write(axes, (indent - _NAMES) / _CHART, y, shorten(line.name, 34), colour, size, weight=weight)
    write(axes, 1 + _COUNTS / _CHART, y, f"{line.support:,}", MUTED, 8.5, ha="right")
    if line.hm is None:
        write(axes, 0.008, y, "no labelled row", FAINT, 8.5)
        return
    colour = RED if _is_behind(line) else BLUE
    width, radius = (4.0, 9) if line.is_category else (2.4, 6.5)
    if line.baseline is not None:
        axes.plot([line.baseline, line.hm], [y, y], color=colour, alpha=0.35, linewidth=width)
        axes.plot(
            line.baseline, y, "o", markersize=radius - 1, color="white", markeredgecolor=MUTED
        )
    axes.plot(line.hm, y, "o", markersize=radius, color=colour, clip_on=False)
    x = max(line.hm, line.baseline or 0.0) + 0.018
    write(axes, x, y, f"{line.hm:.2f}", colour, 8.5, weight=weight)
