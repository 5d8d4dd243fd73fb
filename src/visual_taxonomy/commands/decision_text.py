"""What a decision is worth, in a line and as a table; always on rows it was not fitted on."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def gain_line(figures: Mapping[str, Any]) -> str:
    """One line: HM-F1 and calibration error, before and after.

    Args:
        figures: Of `CrossFitted.to_dict`.

    Example:
        >>> scores = {"argmax": {"hm": [0.577, 0.56, 0.59]}, "chosen": {"hm": [0.593, 0.57, 0.61]}}
        >>> gain = {"hm": {"difference": 0.016, "low": 0.004, "high": 0.028}}
        >>> ece = {"before": {"ece": [0.107, 0.1, 0.12]}, "after": {"ece": [0.027, 0.02, 0.04]}}
        >>> gain_line({"rule": "one tau", "scores": scores, "gain": gain, **ece})
        'decision (one tau): HM-F1 0.577 -> 0.593 (+0.004 to +0.028), calibration error 0.107 -> ...
    """
    hm, gain = {name: each["hm"][0] for name, each in figures["scores"].items()}, figures["gain"]
    before, after = figures["before"]["ece"][0], figures["after"]["ece"][0]
    return (
        f"decision ({figures['rule']}): HM-F1 {hm['argmax']:.3f} -> {hm['chosen']:.3f} "
        f"({gain['hm']['low']:+.3f} to {gain['hm']['high']:+.3f}), calibration error "
        f"{before:.3f} -> {after:.3f}; each row by a fit on the others"
    )


def decision_table(figures: Mapping[str, Any]) -> Table:
    """The rules beside each other, with intervals, and what is left open at target precisions.

    Args:
        figures: Of `CrossFitted.to_dict`.
    """
    table = Table("rule", "HM", "95 % interval", "micro", "macro", title="Decision, cross-fitted")
    for name, scores in figures["scores"].items():
        hm, low, high = scores["hm"]
        micro, macro = scores["micro"][0], scores["macro"][0]
        table.add_row(
            name, f"{hm:.4f}", f"{low:.4f} ... {high:.4f}", f"{micro:.4f}", f"{macro:.4f}"
        )
    return table


def precision_lines(figures: Mapping[str, Any]) -> list[str]:
    """A line for each target precision: what was reached, and the share that is answered."""
    return [_precision_line(each) for each in figures["precision"]]


def _precision_line(measured: Mapping[str, Any]) -> str:
    found, start = measured["overall"], f"target precision {measured['target']:g}: "
    if not found["labels"]:
        return f"{start}no attribute has the 200 held-out labels it takes to say"
    if not found["accepted"]:
        return f"{start}not reached by any attribute; all are left open"
    return (
        f"{start}{found['precision']:.3f} reached, {found['coverage']:.1%} of the labels answered"
    )
