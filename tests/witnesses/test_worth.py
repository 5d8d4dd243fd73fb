"""What words are worth: which rows are scored, and which labels they spell."""

from dataclasses import replace

import numpy as np
import pytest

from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.witnesses.worth import copied_labels, hear_both


def test_rows_with_an_image_and_words_are_heard(heard: HeldOut) -> None:
    found = hear_both(heard)
    has_words = heard.witnesses["words"].any(axis=(1, 2))
    has_image = heard.probabilities.any(axis=(1, 2))
    rows = np.flatnonzero(has_words & has_image)
    assert found.rows.ids.tolist() == heard.ids[rows].tolist()
    for answers, said in (
        (found.image, heard.probabilities),
        (found.words, heard.witnesses["words"]),
    ):
        expected = np.where(said.any(axis=2), said.argmax(axis=2), -1)[rows]
        np.testing.assert_array_equal(answers, expected)
    known = found.rows.targets >= 0
    shares = [
        (each == found.rows.targets)[known].mean()
        for each in (found.image, found.words, found.both)
    ]
    assert shares[2] > shares[0]


def test_labels_that_the_words_spell_are_named_with_their_share(heard: HeldOut) -> None:
    found = hear_both(heard)
    of_task = np.flatnonzero((found.rows.categories == 0) & (found.rows.targets[:, 0] >= 0))
    said = found.rows.witnesses["words"][of_task, 0].argmax(axis=1)
    right = (said == found.rows.targets[of_task, 0]).mean()
    assert copied_labels(found)["Sarees/border"] == (pytest.approx(right), len(of_task))
    # One more error than 3 % is too many.
    words = found.words.copy()
    wrong = of_task[: int(0.03 * len(of_task)) + 1]
    words[wrong, 0] = (found.rows.targets[wrong, 0] + 1) % 3
    assert "Sarees/border" not in copied_labels(found._replace(words=words))


def test_labels_that_are_nearly_all_of_one_class_are_no_copies(heard: HeldOut) -> None:
    found = hear_both(heard)
    rows = replace(found.rows, targets=np.where(found.rows.targets < 0, -1, 0))
    right = found._replace(rows=rows, words=np.zeros_like(found.words))
    assert copied_labels(right) == {}


def test_few_labels_are_no_copies(heard: HeldOut) -> None:
    found = hear_both(heard)
    few = found._replace(rows=found.rows.take(np.arange(30)), words=found.words[:30])
    assert all(labels >= 20 for _, labels in copied_labels(few).values())
    assert "Sarees/border" not in copied_labels(few)


def test_without_words_there_is_nothing_to_hear(heard: HeldOut) -> None:
    with pytest.raises(InputError, match="no row has words that are known from the training"):
        hear_both(replace(heard, witnesses={}))
