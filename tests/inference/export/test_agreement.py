import numpy as np
import pytest
from sklearn.metrics import f1_score

from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.export.agreement import Agreement, check_gate, compare, measure
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.taxonomy import Taxonomy

CONFIG = InferenceConfig(batch_size=4, workers=0, precision="32", accelerator="cpu")
SAREES = np.zeros(4, int)


@pytest.fixture
def one_task() -> Taxonomy:
    return Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"]}})


def column(*values: int) -> np.ndarray:
    return np.array(values)[:, None]


def test_shares_are_counted_by_hand(taxonomy) -> None:
    """Sarees: 2 rows, Kurtis: 1; the third slot of a Saree is no label."""
    categories = np.array([0, 0, 1])
    expected = np.array([[0, 1, -1], [2, 1, -1], [1, 2, 0]])
    found = np.array([[0, 0, -1], [2, 1, -1], [0, 2, 0]])
    result = compare(taxonomy, expected, found, np.maximum(expected, -1), categories)
    assert (result.rows, result.labels) == (3, 7)
    assert result.agreement == pytest.approx(5 / 7)
    assert result.heads == {
        "Sarees/border": 1.0,
        "Sarees/color": 0.5,
        "Kurtis/color": 0.0,
        "Kurtis/sleeve": 1.0,
        "Kurtis/occasion": 1.0,
    }


def test_scores_are_those_of_sklearn(one_task: Taxonomy) -> None:
    expected, found, truth = [0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 1, 1]
    result = compare(one_task, column(*expected), column(*found), column(*truth), SAREES)
    for predicted, hm in ((expected, result.hm_checkpoint), (found, result.hm_export)):
        micro = f1_score(truth, predicted, average="micro")
        macro = f1_score(truth, predicted, average="macro")
        assert hm == pytest.approx(2 * micro * macro / (micro + macro))


def test_what_neither_could_answer_is_left_out_and_what_one_could_is_not(
    one_task: Taxonomy,
) -> None:
    result = compare(
        one_task, column(0, -1, 1, -1), column(0, -1, -1, -1), column(0, 0, 1, 1), SAREES
    )
    assert (result.rows, result.labels, result.agreement) == (2, 2, 0.5)


def test_without_any_answer_there_is_nothing_to_compare(one_task: Taxonomy) -> None:
    nothing = column(-1, -1, -1, -1)
    with pytest.raises(InputError, match="nothing to compare: no image of the CSV can be read"):
        compare(one_task, nothing, nothing, column(0, 0, 0, 0), SAREES)


def test_a_model_agrees_with_itself_and_progress_counts_both_passes(checkpoint, table_of) -> None:
    predictor, done = Predictor(checkpoint, CONFIG), []
    result = measure(predictor, predictor, table_of(6), done.append)
    assert (result.agreement, result.rows) == (1.0, 6)
    assert result.hm_checkpoint == result.hm_export
    assert done == [4, 6, 10, 12]


def agreement(share: float, **heads: float) -> Agreement:
    return Agreement(10, 20, share, heads, 0.5, 0.4)


def test_the_gate_is_open_from_the_least_share_on() -> None:
    check_gate(agreement(0.99), 0.99)
    check_gate(agreement(1.0), 1.0)


def test_below_the_gate_the_heads_that_moved_are_named_the_worst_first() -> None:
    moved = agreement(0.9, a=0.95, b=1.0, c=0.7)
    with pytest.raises(InputError, match=r"90\.00%, below .* 99\.00% .*: c 70\.00%, a 95\.00%; n"):
        check_gate(moved, 0.99)
