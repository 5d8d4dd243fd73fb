"""What the end of a run says of words."""

from dataclasses import replace

import numpy as np

from visual_taxonomy.commands.decision_text import words_lines
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.evaluation import evaluate
from visual_taxonomy.witnesses.worth import hear_both


def test_words_are_scored_beside_the_images_and_copies_are_warned_of(heard: HeldOut) -> None:
    line, warning = words_lines(heard)
    found = hear_both(heard)
    rows = found.rows
    scores = (
        f"{evaluate(rows.taxonomy, answers, rows.targets, rows.categories).hm:.3f} of "
        for answers in (found.image, found.words, found.both)
    )
    for score in scores:
        assert score in line
    assert f"on the {len(rows)} of 300 rows that have words" in line
    assert warning.startswith("warning: words alone are right in Sarees/border (100%)")


def test_words_that_no_row_shares_with_the_training_are_said_to_be_missing(heard: HeldOut) -> None:
    silent = {"words": np.zeros_like(heard.probabilities)}
    for witnesses in ({}, silent):
        (line,) = words_lines(replace(heard, witnesses=witnesses))
        assert line.startswith("words: too few held-out rows have an image and words")
