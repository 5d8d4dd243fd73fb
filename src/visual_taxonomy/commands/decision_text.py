"""What a decision is worth, in a line and as a table; always on rows it was not fitted on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from visual_taxonomy.decision.held_out import HeldOut

_SAMPLES = 1000
"""Bootstrap samples of a range; the report draws as many."""


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


def words_lines(held_out: "HeldOut") -> list[str]:
    """What words are worth beside the images, and a warning of labels that are copies of them.

    Args:
        held_out: Of a model with text columns.
    """
    from visual_taxonomy.decision.comparison import compare_answers
    from visual_taxonomy.errors import InputError
    from visual_taxonomy.evaluation import evaluate
    from visual_taxonomy.witnesses.worth import copied_labels, hear_both

    try:
        heard = hear_both(held_out)
        gain = compare_answers(heard.rows, heard.image, heard.both, _SAMPLES).overall.hm
    except InputError as error:
        return [f"words: too few held-out rows have an image and words to score them ({error})"]
    rows = heard.rows
    alone = evaluate(rows.taxonomy, heard.words, rows.targets, rows.categories).hm
    lines = [
        f"words: HM-F1 {gain.first:.3f} of the images, {alone:.3f} of the words, {gain.second:.3f} "
        f"of both ({gain.low:+.3f} to {gain.high:+.3f}), on the {len(rows):,} of "
        f"{len(held_out):,} rows that have words; before any decision"
    ]
    copied = [f"{name} ({share:.0%})" for name, (share, _) in copied_labels(heard).items()]
    if copied:
        lines.append(
            f"warning: words alone are right in {', '.join(copied)}; if such a label was copied "
            "from the text, its score says nothing of products whose text does not name it"
        )
    return lines


def _precision_line(measured: Mapping[str, Any]) -> str:
    found, start = measured["overall"], f"target precision {measured['target']:g}: "
    if not found["labels"]:
        return f"{start}no attribute has the 200 held-out labels it takes to say"
    if not found["accepted"]:
        return f"{start}not reached by any attribute; all are left open"
    return (
        f"{start}{found['precision']:.3f} reached, {found['coverage']:.1%} of the labels answered"
    )
