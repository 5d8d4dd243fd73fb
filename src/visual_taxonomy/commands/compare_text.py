"""What `vtax compare` says of its results in the terminal."""

from rich.table import Table
from rich.text import Text

from visual_taxonomy.grid.results import Results, VariantResult


def result_table(found: Results) -> Table:
    """A line for each variant, the best first."""
    table = Table(title="Held-out rows, last epoch, mean over seeds", title_justify="left")
    table.add_column("variant")
    for column in ("HM", "95 %", "decided", "gain", "p", "s"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in sorted(found.variants, key=lambda each: -each.scores.hm.value):
        style = "bold" if each.name == found.baseline else ""
        table.add_row(Text(each.name), *_cells(each), style=style)
    return table


def _cells(each: VariantResult) -> list[str]:
    hm = each.scores.hm
    decided = "-" if each.decision is None else f"{each.decision:.3f}"
    gain = ["", ""]
    if each.against is not None:
        difference = each.against.comparison.overall.hm.difference
        gain = [f"{difference:+.3f}", f"{each.against.p_value:.3f}"]
    return [
        *(f"{hm.value:.3f}", f"{hm.low:.3f} to {hm.high:.3f}", decided, *gain),
        f"{each.seconds:.0f}",
    ]


def answered(found: Results) -> str:
    """What the scores are of."""
    return "the decisions, cross-fitted" if found.is_decided else "the most probable classes"


def lines(found: Results) -> list[str]:
    """What stands below the table, a line each."""
    said = [
        f"HM of {answered(found)}, with its range over {len(found.rows):,} products and "
        "the seeds; decided: HM of the decision, each row by a fit on the others; gain: HM less "
        f"that of {found.baseline}; p: of the randomization test over products, corrected for the "
        "number of variants (Holm); s: seconds of a run"
    ]
    if found.choice is not None:
        best = found.choice
        said.append(
            f"the best, {best.name}, has HM {best.flattering:.4f} on the rows that chose it; "
            f"chosen on other rows than it is scored on: {best.honest:.4f} "
            f"({', '.join(dict.fromkeys(best.chosen))})"
        )
    if found.ranks is not None:
        said.append(
            f"over {found.ranks.heads} heads mean ranks differ from "
            f"{found.ranks.critical_difference:.2f} on (Nemenyi, 5 %); all alike: p = "
            f"{found.ranks.p_value:.2g} (Friedman)"
        )
    said.append(f"no cheaper variant is as good: {', '.join(found.front)}")
    said += [f"{name}: no scores: {why}" for name, why in found.missing.items()]
    said += [
        f"{each.name}: {len(each.failures)} runs failed, such as: {each.failures[0]}"
        for each in found.variants
        if each.failures
    ]
    if len(found.codes) > 1:
        said.append(
            f"note: the rows are of {len(found.codes)} states of the code: {', '.join(found.codes)}"
        )
    return said
