import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from visual_taxonomy.decision.intervals import score_intervals
from visual_taxonomy.decision.score_counts import LabelledCells, ScoreCounts
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import evaluate
from visual_taxonomy.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_dict(
    {
        "Sarees": {"border": ["zari", "none"], "color": ["red", "blue", "green", "never"]},
        "Kurtis": {"fit": ["a", "b"], "one": ["only"]},
        "Empty": {"fit": ["a", "b"]},
    }
)


def answers(rows=400, right=0.7, seed=0):
    """Categories, targets with holes, and predictions that are right so often."""
    generator = np.random.default_rng(seed)
    categories = generator.integers(0, 2, rows)
    sizes = np.array([[2, 3], [2, 1]])[categories]
    targets = (generator.random((rows, 2)) * sizes).astype(int)
    others = (generator.random((rows, 2)) * sizes).astype(int)
    predicted = np.where(generator.random((rows, 2)) < right, targets, others)
    targets[generator.random((rows, 2)) < 0.3] = -1
    predicted[generator.random((rows, 2)) < 0.02] = -1
    return categories, targets, predicted


def test_values_are_those_of_evaluate():
    categories, targets, predicted = answers()
    report = evaluate(TAXONOMY, predicted, targets, categories)
    found = score_intervals(TAXONOMY, predicted, targets, categories, np.arange(400), samples=50)
    for score in ("hm", "micro", "macro"):
        assert getattr(found.overall, score).value == pytest.approx(getattr(report, score))
        for category in report.categories:
            ours = getattr(found.categories[category.name], score)
            theirs = getattr(category, score)
            assert ours.value == pytest.approx(np.nan if theirs is None else theirs, nan_ok=True)
            for attribute in category.attributes:
                ours = getattr(found.attributes[f"{category.name}/{attribute.name}"], score)
                theirs = getattr(attribute, score)
                expected = np.nan if theirs is None else theirs
                assert ours.value == pytest.approx(expected, nan_ok=True)
    assert found.overall.hm.low < found.overall.hm.value < found.overall.hm.high
    assert np.isnan(found.categories["Empty"].hm).all()


def test_weighted_counts_are_the_weighted_f1_of_scikit_learn():
    _, targets, predicted = answers(200)
    targets, predicted = np.abs(targets[:, 1]), np.abs(predicted[:, 1])
    weights = np.random.default_rng(1).exponential(size=200)
    counts = ScoreCounts(Taxonomy.from_dict({"a": {"b": ["x", "y", "z"]}}))
    sums = (
        np.bincount(targets, weights, 3),
        np.bincount(predicted, weights, 3),
        np.bincount(targets, weights * (targets == predicted), 3),
    )
    for average in ("micro", "macro"):
        expected = f1_score(targets, predicted, average=average, sample_weight=weights)
        assert getattr(counts.scores(*sums), average)[0] == pytest.approx(expected)


def test_interval_of_an_accuracy_is_that_of_scipys_bootstrap():
    taxonomy = Taxonomy.from_dict({"a": {"b": ["x", "y"]}})
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 2, (500, 1))
    predicted = np.where(generator.random((500, 1)) < 0.8, targets, 1 - targets)
    zeros = np.zeros(500, dtype=int)
    found = score_intervals(taxonomy, predicted, targets, zeros, np.arange(500), samples=4000)
    is_right = (targets == predicted)[:, 0].astype(float)
    theirs = stats.bootstrap((is_right,), np.mean, n_resamples=4000, method="percentile", rng=1)
    assert found.overall.micro[1:] == pytest.approx(theirs.confidence_interval, abs=0.005)


def test_intervals_hold_the_score_of_the_population_as_often_as_they_say():
    taxonomy = Taxonomy.from_dict({"a": {"b": ["x", "y", "z"]}})
    confusion = np.array([[0.5, 0.06, 0.04], [0.1, 0.15, 0.05], [0.04, 0.02, 0.04]])
    f1 = 2 * confusion.diagonal() / (confusion.sum(0) + confusion.sum(1))
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(100):
        pairs = generator.choice(9, size=300, p=confusion.ravel())
        targets, predicted = np.divmod(pairs[:, None], 3)
        zeros = np.zeros(300, dtype=int)
        found = score_intervals(
            taxonomy, predicted, targets, zeros, np.arange(300), samples=100, level=0.9
        )
        held += found.overall.macro.low <= f1.mean() <= found.overall.macro.high
    assert stats.binomtest(held, 100, 0.9).pvalue > 0.01


def test_groups_are_weighted_together():
    categories, targets, predicted = answers(100)
    copies = [np.repeat(array, 4, axis=0) for array in (predicted, targets, categories)]
    alone = score_intervals(TAXONOMY, predicted, targets, categories, np.arange(100), samples=200)
    grouped = score_intervals(TAXONOMY, *copies, np.repeat(np.arange(100), 4), samples=200)
    torn = score_intervals(TAXONOMY, *copies, np.arange(400), samples=200)
    assert grouped.overall.hm == pytest.approx(alone.overall.hm)
    widths = [found.overall.hm.high - found.overall.hm.low for found in (torn, grouped)]
    assert widths[0] < 0.7 * widths[1]


def test_rows_without_any_label_are_refused():
    categories, targets, predicted = answers(10)
    nothing = np.full_like(targets, -1)
    with pytest.raises(InputError, match="nothing to score"):
        score_intervals(TAXONOMY, predicted, nothing, categories, categories)


def test_cells_are_those_with_slot_and_label():
    targets = np.array([[0, -1], [1, 0], [1, 1]])
    cells = LabelledCells.of(TAXONOMY, targets, np.array([0, 1, 2]))
    assert cells.rows.tolist() == [0, 1, 1, 2]  # the second slot of Empty does not exist
    assert [TAXONOMY.task_names[head] for head in cells.heads] == [
        "Sarees/border",
        "Kurtis/fit",
        "Kurtis/one",
        "Empty/fit",
    ]
