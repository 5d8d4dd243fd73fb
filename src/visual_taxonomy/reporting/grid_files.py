"""The files of a comparison: CSV, plots and a page."""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from visual_taxonomy.atomic import write_atomically, write_text
from visual_taxonomy.decision.intervals import Interval
from visual_taxonomy.grid.results import Results, VariantResult
from visual_taxonomy.reporting.critical_differences import plot_ranks
from visual_taxonomy.reporting.html.blocks import Block, Drawing, Span, Table, Text, Tile, Tiles
from visual_taxonomy.reporting.html.page import Page, Part, render
from visual_taxonomy.reporting.pareto import Point, plot_pareto
from visual_taxonomy.version import __version__


def write_files(found: Results, rows: pl.DataFrame, folder: Path, name: str) -> Path:
    """Write NAME.csv, NAME_ranks.png, NAME_pareto.png and NAME.html, and say where the page is.

    Args:
        found: The results.
        rows: Rows of the ledger that they are of.
        folder: Where the files go.
        name: Of the grid.

    Raises:
        InputError: The disk is full.
    """
    with write_atomically(folder / f"{name}.csv") as temporary:
        pl.DataFrame([_line(found, each) for each in found.variants]).write_csv(temporary)
    names = [each.name for each in found.variants]
    drawings = {}
    if found.ranks is not None:
        drawings["ranks"] = folder / f"{name}_ranks.png"
        plot_ranks(names, found.ranks, found.baseline, drawings["ranks"])
    drawings["pareto"] = folder / f"{name}_pareto.png"
    points = [Point(e.name, e.seconds, e.scores.hm.value) for e in found.variants]
    plot_pareto(points, found.front, drawings["pareto"])
    path = folder / f"{name}.html"
    write_text(path, render(_page(found, rows, name, drawings)))
    return path


def _line(found: Results, each: VariantResult) -> dict[str, object]:
    """A line of the CSV."""
    line: dict[str, object] = {"variant": each.name, "seeds": len(each.answers)}
    for score, interval in each.scores._asdict().items():
        line |= {
            score: interval.value,
            f"{score}_low": interval.low,
            f"{score}_high": interval.high,
        }
    line |= {"hm_decision": each.decision, "hm_best_epoch": each.best_epoch}
    line |= dict.fromkeys(("difference", "difference_low", "difference_high"))
    line |= dict.fromkeys(("p_holm", "wilcoxon_holm"))
    if each.against is not None:
        gain = each.against.comparison.overall.hm
        line |= {"difference": gain.difference, "difference_low": gain.low}
        line |= {"difference_high": gain.high, "p_holm": each.against.p_value}
        line |= {"wilcoxon_holm": each.against.wilcoxon}
    place = [other.name for other in found.variants].index(each.name)
    line |= {"mean_rank": found.ranks.means[place] if found.ranks else None}
    line |= {"seconds": each.seconds, "is_on_front": each.name in found.front}
    return line | {"failed_runs": len(each.failures)}


def _page(found: Results, rows: pl.DataFrame, name: str, drawings: Mapping[str, Path]) -> Page:
    parts = [
        Part("best", "The best", _best(found)),
        Part("variants", "Variants", [_table(found), *_notes(found)]),
        Part("heads", "Heads", [_drawing(drawings["ranks"], "mean ranks")])
        if "ranks" in drawings
        else None,
        Part("price", "Price", [_drawing(drawings["pareto"], "HM by seconds")]),
        Part("failed", "Failed runs", [_failures(rows)]) if rows["reason"].count() else None,
    ]
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Page(
        name,
        f"{len(found.variants)} variants, {len(rows)} runs, {len(found.rows):,} held-out products",
        [part for part in parts if part is not None],
        [(variant, why) for variant, why in found.missing.items()],
        f"Written by vtax {__version__} on {now}. This file needs no network.",
    )


def _best(found: Results) -> list[Block]:
    baseline = next(each for each in found.variants if each.name == found.baseline)
    tiles = [Tile("baseline", f"{baseline.scores.hm.value:.3f}", [found.baseline])]
    if found.choice is None:
        return [Tiles(tiles)]
    best = found.choice
    tiles += [
        Tile("best, on rows that chose it", f"{best.flattering:.3f}", [best.name]),
        Tile("best, on other rows", f"{best.honest:.3f}", list(dict.fromkeys(best.chosen))),
    ]
    note = (
        "The highest of many scores is a little too high, because luck is a part of it. The last "
        "figure has none of that: the rows are cut into five folds, and each is answered by the "
        "variant that was best on the other four."
    )
    return [Tiles(tiles), Text(note, is_note=True)]


def _table(found: Results) -> Table:
    ordered = sorted(found.variants, key=lambda each: -each.scores.hm.value)
    columns = (
        *("variant", "HM", "", "95 %", "micro", "macro", "decided", "- baseline", "95 %"),
        *("p (Holm)", "heads p", "s", "seeds"),
    )
    reference = next(e.scores.hm.value for e in found.variants if e.name == found.baseline)
    strong = {i for i, each in enumerate(ordered) if each.name == found.baseline}
    return Table(columns, [_cells(each, reference) for each in ordered], frozenset(strong))


def _cells(each: VariantResult, reference: float) -> list[str | int | float | Span | None]:
    hm = each.scores.hm
    cells: list[str | int | float | Span | None] = [
        *(each.name, hm.value, Span(hm.value, hm.low, hm.high, reference), _range(hm)),
        *(each.scores.micro.value, each.scores.macro.value, each.decision),
    ]
    if each.against is None:
        cells += [None] * 4
    else:
        gain = each.against.comparison.overall.hm
        cells += [f"{gain.difference:+.3f}", f"{gain.low:+.3f} to {gain.high:+.3f}"]
        cells += [each.against.p_value, each.against.wilcoxon]
    return [*cells, f"{each.seconds:.0f}", len(each.answers)]


def _notes(found: Results) -> list[Block]:
    kind = "decisions, cross-fitted" if found.is_decided else "most probable classes"
    return [
        Text(
            f"Scores of the last epoch, of the {kind}, means over the seeds; decided: HM of the "
            "decision, each product by a fit on the others. Ranges hold 95 % of the bootstrap "
            "samples over products (near-duplicates together) and seeds. p: randomization test "
            "over products; heads p: Wilcoxon signed-rank test over heads; both corrected for the "
            "number of variants (Holm).",
            is_note=True,
        )
    ]


def _range(interval: Interval) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}"


def _failures(rows: pl.DataFrame) -> Table:
    failed: Sequence[tuple[str, str]] = (
        rows.filter(pl.col("reason").is_not_null()).select("name", "reason").rows()
    )
    return Table(("run", "reason"), failed)


def _drawing(path: Path, text: str) -> Drawing:
    content = base64.b64encode(path.read_bytes()).decode()
    return Drawing(f"data:image/png;base64,{content}", text)
