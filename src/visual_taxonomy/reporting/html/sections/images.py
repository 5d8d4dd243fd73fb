"""Products to look at: where the model is wrong and sure, and where it is least sure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from visual_taxonomy.data.images import UnreadableImage
from visual_taxonomy.reporting.html.blocks import Block, Gallery, Picture, Text
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.thumbnails import thumbnail
from visual_taxonomy.reporting.style import shorten

MOST = 12
"""Images of a section: 36 thumbnails of 10 kB in all."""
_TRIES = 3
"""Times as many images are tried; if most cannot be read, the section is left out."""
_OF_A_TASK = 2
"""Answers of one attribute before those of the others, so that a bad one does not fill the page."""
_LETTERS = 60

_NO_FOLDER = "the images are not where the run had them; give `img_dir`"
_UNREADABLE = "none of the images could be read"


class Case(NamedTuple):
    """An answer to look at."""

    row: int
    task: str
    lines: list[tuple[str, str]]


def confident_errors(context: Context) -> Sequence[Block] | Absent:
    """Wrong answers of the highest probability: often a wrong label."""
    note = (
        "Wrong answers that the model is surest of. Some are wrong labels; some show what it has "
        "learnt amiss."
    )
    cases = _cases(context, lambda confidence, is_wrong: np.where(is_wrong, -confidence, np.inf))
    return _gallery(context, cases, note, "no answer is wrong")


def uncertain(context: Context) -> Sequence[Block] | Absent:
    """Answers of the lowest probability for their number of classes."""
    note = "Answers of the lowest probability; a label here teaches the model most."
    cases = _cases(context, lambda confidence, is_wrong: confidence)
    return _gallery(context, cases, note, "no attribute has two classes and a label")


def show_cases(context: Context, cases: Iterable[Case], note: str) -> Sequence[Block] | Absent:
    """A gallery of cases, those first whose image can be read."""
    if context.image is None:
        return Absent(_NO_FOLDER)
    shown: list[Picture] = []
    for case in _of_different_products(context, cases):
        if len(shown) == MOST:
            break
        name = str(context.held_out.ids[case.row])
        image = context.image(name)
        if image is not None:
            with suppress(UnreadableImage):
                lines = [(key, shorten(value, _LETTERS)) for key, value in case.lines]
                shown.append(Picture(thumbnail(image), shorten(case.task, _LETTERS), lines))
    return [Text(note), Gallery(shown)] if shown else Absent(_UNREADABLE)


def _of_different_products(context: Context, cases: Iterable[Case]) -> Iterator[Case]:
    """Cases of which no two show the same product, or a near-duplicate of it."""
    seen: set[int] = set()
    for case in cases:
        group = int(context.held_out.groups[case.row])
        if group not in seen:
            seen.add(group)
            yield case
        if len(seen) == MOST * _TRIES:
            break


def _gallery(
    context: Context, cases: Iterator[Case], note: str, if_none: str
) -> Sequence[Block] | Absent:
    listed = list(cases)
    return show_cases(context, listed, note) if listed else Absent(if_none)


def _cases(
    context: Context, rank: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Iterator[Case]:
    """Answers by rank, the lowest first, few of each attribute; those of rank inf are left out."""
    found = []
    for answers in context.heads:
        head, classes, confidence = answers
        if len(head.task.classes) < 2 or not len(head.rows):
            continue
        ranks = rank(confidence, classes != head.labels)
        best = np.argsort(ranks, kind="stable")[: _OF_A_TASK * _TRIES]
        kept = [index for index in best if np.isfinite(ranks[index])]
        found += [
            (float(ranks[index]), number, answers, index) for number, index in enumerate(kept)
        ]
    # First the best two of each attribute, then the next two.
    found.sort(key=lambda case: (case[1] // _OF_A_TASK, case[0]))
    for _, _, (head, classes, confidence), index in found:
        task, label, answer = head.task, head.labels[index], classes[index]
        lines = [("answer", task.classes[answer]), ("probability", f"{confidence[index]:.1%}")]
        lines += [("label", task.classes[label])] if label != answer else [("label", "the same")]
        lines += [("id", str(context.held_out.ids[head.rows[index]]))]
        yield Case(int(head.rows[index]), f"{task.category} · {task.attribute}", lines)
