"""Witnesses together: who answers a cell, with which powers, and by which decision."""

from dataclasses import replace

import numpy as np
import pytest

from visual_taxonomy.decision.decision import Answers, plain_answers
from visual_taxonomy.errors import InputError
from visual_taxonomy.witnesses.combination import (
    IMAGE,
    KNOWN_LABELS,
    WORDS,
    Combination,
    Witnesses,
    answers_from_words,
)
from visual_taxonomy.witnesses.combining import (
    fit_witnesses,
    fused_out_of_fold,
    heard_together,
    said_of,
)
from visual_taxonomy.witnesses.fusion import plain_product


def answer(probabilities, categories, decision) -> Answers:
    return decision.answer(probabilities, categories)


def test_each_cell_is_answered_by_all_who_speak_of_it(rows, heard, witnesses):
    said = witnesses.say(rows.texts, rows.targets, rows.categories)
    said[IMAGE] = heard.probabilities
    chosen = witnesses.choose(said)
    has_words = (rows.texts != "").any(axis=1)
    assert set(chosen[~has_words & (np.arange(300) != 7), 0]) <= {1, 5}
    assert chosen[7, 0] == WORDS
    assert not chosen[rows.categories == 0, 2].any()  # a slot that Sarees do not have
    del said[KNOWN_LABELS]
    assert set(witnesses.choose(said)[has_words, 0]) == {IMAGE | WORDS, WORDS}


def test_the_product_is_that_of_float64_by_hand(heard, witnesses, rows):
    said = said_of(heard, IMAGE | WORDS)
    fused = witnesses.fuse(said, heard.categories, IMAGE | WORDS)
    powers = witnesses.combinations[IMAGE | WORDS].powers
    row = 41  # Kurtis, with a title
    head = rows.taxonomy.slots[1][1]  # sleeve, of three classes
    prior = np.array([0.8, 0.15, 0.05])
    image, words = (said[bit][row, 1].astype(np.float64) for bit in (IMAGE, WORDS))
    expected = image ** powers[head, 0] * words ** powers[head, 1] * prior ** powers[head, 2]
    np.testing.assert_allclose(fused[row, 1], expected / expected.sum(), rtol=1e-6)


def test_a_row_without_other_witnesses_keeps_the_answer_of_the_image_bit_for_bit(
    rows, heard, witnesses
):
    image = plain_answers(rows.taxonomy, heard.probabilities, heard.categories)
    said = witnesses.say(rows.texts, None, rows.categories) | {IMAGE: heard.probabilities}
    both = witnesses.answer(image, said, rows.categories, answer)
    silent = ~(rows.texts != "").any(axis=1)
    for before, after in zip(image, both, strict=True):
        np.testing.assert_array_equal(after[silent], before[silent])
    assert not np.array_equal(both.probabilities, image.probabilities)


def test_words_answer_where_there_is_no_image(rows, heard, witnesses):
    image = plain_answers(rows.taxonomy, heard.probabilities, heard.categories)
    assert (image.classes[7] == -1).all()
    said = witnesses.say(rows.texts, None, rows.categories) | {IMAGE: heard.probabilities}
    both = witnesses.answer(image, said, rows.categories, answer)
    assert (both.classes[7] >= 0).all()  # Kurtis have all three slots
    assert not both.is_unknown[7].any()


def test_words_and_image_know_more_than_either(heard):
    both = fused_out_of_fold(heard, IMAGE | WORDS)
    kept = heard.take(np.isin(heard.ids, both.ids))

    def right(probabilities):
        labelled = (kept.targets != -1) & both.probabilities.any(axis=2)
        return (probabilities.argmax(axis=2) == kept.targets)[labelled].mean()

    assert right(both.probabilities) > right(kept.probabilities) + 0.05


def test_heard_together_each_cell_has_what_the_fullest_combination_says(heard):
    together = heard_together(heard)
    fullest = fused_out_of_fold(heard, IMAGE | WORDS | KNOWN_LABELS)
    place = {name: row for row, name in enumerate(heard.ids.tolist())}
    rows = [place[name] for name in fullest.ids.tolist()]
    cells = fullest.probabilities.any(axis=2)
    np.testing.assert_array_equal(together.probabilities[rows][cells], fullest.probabilities[cells])
    # Row 7 has no image; words answer it.
    assert together.probabilities[7].any()
    alone = np.logical_and.reduce([~each.any(axis=2) for each in heard.witnesses.values()])
    np.testing.assert_array_equal(together.probabilities[alone], heard.probabilities[alone])
    silent = replace(heard, witnesses={})
    np.testing.assert_array_equal(heard_together(silent).probabilities, heard.probabilities)


def test_a_combination_that_no_row_has_is_not_fitted(heard):
    silent = replace(heard, witnesses={})
    assert fit_witnesses(silent, None, None).combinations == {}
    assert said_of(silent, WORDS) is None
    with pytest.raises(InputError, match="no row has image and words"):
        fused_out_of_fold(silent, IMAGE | WORDS)
    one = np.zeros_like(heard.probabilities)
    one[8] = heard.witnesses["words"][8]
    found = fit_witnesses(replace(heard, witnesses={"words": one}), None, None)
    assert not answers_from_words(found)  # of one product nothing can be fitted


def test_they_come_back_from_their_arrays(rows, heard, witnesses):
    arrays = witnesses.to_arrays()
    assert all(array.dtype != object for array in arrays.values())
    again = Witnesses.from_arrays(rows.taxonomy, arrays)
    assert list(again.combinations) == list(witnesses.combinations) == [7, 3, 2, 5]
    image = plain_answers(rows.taxonomy, heard.probabilities, heard.categories)
    found, expected = (
        each.answer(
            image,
            each.say(rows.texts, rows.targets, rows.categories) | {IMAGE: heard.probabilities},
            rows.categories,
            answer,
        )
        for each in (again, witnesses)
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_damaged_arrays_are_refused(rows, witnesses):
    arrays = witnesses.to_arrays()
    wrong = arrays["powers 3"].copy()
    wrong[0, 0] = np.nan
    with pytest.raises(InputError, match="powers of their fusion"):
        Witnesses.from_arrays(rows.taxonomy, {**arrays, "powers 3": wrong})
    for name in ("decisions", "powers 2", "words idf", "known labels biases_1"):
        missing = {key: each for key, each in arrays.items() if key != name}
        with pytest.raises(InputError, match="damaged"):
            Witnesses.from_arrays(rows.taxonomy, missing)


def test_a_plain_product_counts_the_prior_once(rows, heard, witnesses):
    """Two witnesses that say the prior alone say the prior."""
    prior = np.exp(witnesses.log_prior[0])
    said = np.zeros((1, 3, 3))
    said[0, 0] = prior
    powers = np.tile(plain_product(2), (len(rows.taxonomy.tasks), 1))
    decision = witnesses.combinations[WORDS].decision
    plain = replace(witnesses, combinations={3: Combination(powers, decision)})
    fused = plain.fuse({IMAGE: said, WORDS: said}, np.zeros(1, int), 3)
    np.testing.assert_allclose(fused[0, 0], prior)
