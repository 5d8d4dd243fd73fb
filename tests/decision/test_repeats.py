import numpy as np
import pytest

from visual_taxonomy.decision.comparison import compare_answers, compare_repeats
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.decision.intervals import score_intervals
from visual_taxonomy.decision.repeats import cross_fitted_choice, hm, repeat_intervals
from visual_taxonomy.evaluation import evaluate
from visual_taxonomy.taxonomy import Taxonomy


def spoilt(rows: HeldOut, share: float, seed: int) -> np.ndarray:
    """The labels, a share of them replaced by class 0."""
    answers = rows.targets.copy()
    answers[np.random.default_rng(seed).random(answers.shape) < share] = 0
    return answers


def test_hm_is_that_of_the_evaluation(held_out: HeldOut) -> None:
    answers = held_out.most_probable()
    report = evaluate(held_out.taxonomy, answers, held_out.targets, held_out.categories)
    assert hm(held_out, answers) == pytest.approx(report.hm)


def test_one_seed_has_the_interval_of_its_products(held_out: HeldOut) -> None:
    answers = held_out.most_probable()
    rows = held_out.targets, held_out.categories, held_out.groups
    expected = score_intervals(held_out.taxonomy, answers, *rows, samples=200).overall
    found = repeat_intervals(held_out, [answers], samples=200)
    np.testing.assert_allclose(np.array(found), np.array(expected), rtol=1e-12)


def test_seeds_that_differ_make_the_interval_wider(held_out: HeldOut) -> None:
    good, bad = spoilt(held_out, 0.1, 0), spoilt(held_out, 0.5, 1)
    of_one = repeat_intervals(held_out, [good], samples=300).hm
    of_both = repeat_intervals(held_out, [good, bad], samples=300).hm
    assert of_both.value == pytest.approx((hm(held_out, good) + hm(held_out, bad)) / 2)
    assert of_both.high - of_both.low > 2 * (of_one.high - of_one.low)


def test_the_mean_difference_is_that_of_the_seeds(held_out: HeldOut) -> None:
    first = [spoilt(held_out, 0.5, seed) for seed in (0, 1)]
    second = [spoilt(held_out, 0.2, seed) for seed in (2, 3)]
    found = compare_repeats(held_out, first, second, samples=200).overall.hm
    expected = np.mean(
        [hm(held_out, b) - hm(held_out, a) for a, b in zip(first, second, strict=True)]
    )
    assert found.difference == pytest.approx(expected)
    assert found.low < found.difference < found.high
    assert found.p_value == pytest.approx(1 / 201)


def test_the_same_answers_in_every_seed_are_one_comparison(held_out: HeldOut) -> None:
    first, second = spoilt(held_out, 0.3, 0), spoilt(held_out, 0.2, 1)
    once = compare_answers(held_out, first, second, samples=100).overall.hm
    thrice = compare_repeats(held_out, [first] * 3, [second] * 3, samples=100).overall.hm
    np.testing.assert_allclose(thrice, once, rtol=1e-9)


def coin_tosses(variants: int) -> tuple[HeldOut, list[list[np.ndarray]]]:
    """200 rows of one head with two classes, and variants that guess."""
    taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "none"]}})
    random = np.random.default_rng(0)
    rows = np.arange(200)
    labels = random.integers(0, 2, (200, 1))
    shares = np.full((200, 1, 2), 0.5, dtype=np.float32)
    arrays = rows.astype(str), 0 * rows, rows, shares, labels
    guesses = [[random.integers(0, 2, (200, 1))] for _ in range(variants)]
    return HeldOut(taxonomy, {"Sarees/border": [1, 1]}, *arrays), guesses


def test_the_best_of_many_guesses_is_honestly_a_guess() -> None:
    rows, guesses = coin_tosses(60)
    flattering, honest, chosen = cross_fitted_choice(rows, guesses)
    assert flattering == max(hm(rows, each[0]) for each in guesses) > 0.57
    # Two standard errors of a share of 200 fair coins: 0.07.
    assert honest == pytest.approx(0.5, abs=0.07)
    assert len(chosen) == 5


def test_a_clear_winner_is_chosen_by_every_fold_and_keeps_its_score() -> None:
    rows, guesses = coin_tosses(3)
    guesses[1] = [rows.targets]
    assert cross_fitted_choice(rows, guesses) == (1.0, 1.0, [1] * 5)
