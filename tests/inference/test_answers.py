import numpy as np
import pytest

from visual_taxonomy.inference.answers import (
    Answer,
    RowScores,
    label_texts,
    named_answers,
    probability_texts,
)
from visual_taxonomy.taxonomy import Taxonomy

SAREE, KURTI = 0, 1


@pytest.fixture
def scores() -> RowScores:
    """A Saree whose second attribute is not sure enough, a Kurti without image."""
    probabilities = np.zeros((2, 3, 3), dtype=np.float32)
    probabilities[0, 0] = (0.25, 0.125, 0.625)
    probabilities[0, 1, :2] = (0.5, 0.5)
    classes = np.array([[2, 0, -1], [-1, -1, -1]])
    runner_up = np.array([[0, 1, -1], [-1, -1, -1]])
    is_unknown = np.array([[False, True, True], [True, True, True]])
    return RowScores(np.array([4, 5]), probabilities, classes, runner_up, is_unknown, {5: "gone"})


def test_each_attribute_has_a_class_a_runner_up_and_a_status(
    taxonomy: Taxonomy, scores: RowScores
) -> None:
    saree, kurti = named_answers(taxonomy, np.array([SAREE, KURTI]), scores)
    assert saree == {
        "border": Answer("woven", 0.625, "zari", 0.25, "answered"),
        "color": Answer("red", 0.5, "blue", 0.5, "unknown"),
    }
    assert set(kurti) == {"color", "sleeve", "occasion"}
    assert set(kurti.values()) == {Answer(None, None, None, None, "no image")}


def test_a_head_of_one_class_has_no_runner_up(taxonomy: Taxonomy) -> None:
    shares = np.ones((1, 3, 3), dtype=np.float32)
    second = np.array([[1, 1, -1]])
    sure = np.zeros((1, 3), dtype=bool)
    scores = RowScores(np.array([0]), shares, np.zeros((1, 3), int), second, sure, {})
    (kurti,) = named_answers(taxonomy, np.array([KURTI]), scores)
    assert kurti["occasion"] == Answer("default", 1.0, None, None, "answered")


def test_what_is_published_hides_what_is_unsure(taxonomy: Taxonomy, scores: RowScores) -> None:
    rows = (taxonomy, np.array([SAREE, KURTI]), scores)
    assert list(label_texts(*rows)) == [["woven", ""], ["", "", ""]]
    assert list(label_texts(*rows, unknown="?")) == [["woven", "?"], ["", "", ""]]
    assert list(probability_texts(*rows)) == [["0.6250", ""], ["", "", ""]]
    assert scores.published.tolist() == [[2, -1, -1], [-1, -1, -1]]
