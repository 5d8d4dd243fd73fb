"""What images, words and both together know of each attribute."""

from collections.abc import Sequence

import numpy as np

from visual_taxonomy.decision.comparison import Difference, compare_answers
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.decision.intervals import ReportIntervals, ScoreIntervals, score_intervals
from visual_taxonomy.errors import InputError
from visual_taxonomy.reporting.html.blocks import Block, Cell, Fold, Span, Table, Text
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.sections.overall import bracket
from visual_taxonomy.witnesses.combination import NAMES, WORDS
from visual_taxonomy.witnesses.worth import Heard, copied_labels, hear_both

_COLUMNS = ("", "image", "words", "both", "", "range of both", "labels")
_NOTE = (
    "HM of the most probable classes, on products that have an image and words. Both: the product "
    "of the two with powers fitted on other products; the mark is the image alone."
)
_LOUDEST = (
    "N-grams of two to five characters (a space is the end of a word) that speak most for a class."
)


def words(context: Context) -> Sequence[Block] | Absent:
    """Image, words and both for each attribute, and what speaks loudest."""
    if NAMES[WORDS] not in context.held_out.witnesses:
        return Absent("the run has no text columns (`text_columns`)")
    try:
        heard = hear_both(context.held_out)
        kept = heard.rows
        found = [_intervals(kept, each) for each in (heard.image, heard.words, heard.both)]
        gain = compare_answers(kept, heard.image, heard.both, 1000).overall.hm
    except InputError as error:
        return Absent(f"too few products have an image and words ({error})")
    blocks: list[Block] = [Text(_gain(gain, len(kept), len(context.held_out)))]
    blocks += [Text(text) for text in _copies(heard)]
    blocks += [Text(_NOTE, is_note=True), _categories(found), _attributes(found, kept)]
    return blocks + _loudest(context)


def _intervals(rows: HeldOut, classes: np.ndarray) -> ReportIntervals:
    return score_intervals(rows.taxonomy, classes, rows.targets, rows.categories, rows.groups)


def _gain(gain: Difference, rows: int, every: int) -> str:
    return (
        f"{rows:,} of {every:,} products have words. On these the HM of the image is "
        f"{gain.first:.3f}, and {gain.second:.3f} with the words: {gain.difference:+.3f}, with a "
        f"range from {gain.low:+.3f} to {gain.high:+.3f}."
    )


def _copies(heard: Heard) -> list[str]:
    """Which labels the words alone spell."""
    copied = [
        f"{name} ({share:.1%} of {labels:,} labels)"
        for name, (share, labels) in copied_labels(heard).items()
    ]
    if not copied:
        return []
    return [
        f"Warning: the words alone are right in {', '.join(copied)}. If such a label was copied "
        "from the text, its score says nothing of products whose text does not name it."
    ]


def _categories(found: Sequence[ReportIntervals]) -> Table:
    rows = [_row("mean of the categories", [each.overall for each in found], None)]
    rows += [
        _row(name, [each.categories[name] for each in found], None) for name in found[0].categories
    ]
    return Table(_COLUMNS[:-1], [row[:-1] for row in rows], frozenset({0}), "Categories")


def _attributes(found: Sequence[ReportIntervals], kept: HeldOut) -> Fold:
    rows = [
        _row(
            head.task.name,
            [each.attributes[head.task.name] for each in found],
            len(head.labels),
        )
        for head in kept.heads()
        if len(head.labels)
    ]
    return Fold("Every attribute", f"{len(rows)} rows", [Table(_COLUMNS, rows)], is_open=True)


def _row(name: str, scores: Sequence[ScoreIntervals], labels: int | None) -> list[Cell]:
    image, of_words, both = (each.hm for each in scores)
    if np.isnan(both.value):
        return [name, None, None, None, Span(None), None, labels]
    span = Span(both.value, both.low, both.high, image.value)
    return [name, image.value, of_words.value, both.value, span, bracket(both), labels]


def _loudest(context: Context) -> list[Block]:
    found = context.run.loudest if context.run else ()
    # `get`: a file of that name may be another's.
    rows: list[list[Cell]] = [
        [f"{row.get('category')}/{row.get('attribute')}", row.get("class"), row.get("loudest")]
        for row in found
    ]
    if not rows:
        return []
    table = Table(("attribute", "class", "n-grams"), rows)
    detail = f"{len(rows)} classes"
    return [Fold("What speaks loudest", detail, [Text(_LOUDEST, is_note=True), table])]
