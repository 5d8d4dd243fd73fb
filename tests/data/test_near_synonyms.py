import pytest

from visual_taxonomy.data.near_synonyms import near_synonyms


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Navy Blue", "navy blue"),
        ("Navy Blue", "navy-blue"),
        ("Navy Blue", "NavyBlue"),
        ("Navy Blue", "navy"),
        ("T-shirt", "Tshirts"),
        ("Crème", "creme"),
        ("sleeveless", "sleevless"),
    ],
)
def test_labels_that_may_mean_the_same_are_found(one, other):
    assert near_synonyms({one: 9, other: 2}) == [(one, (other,))]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Navy Blue", "Blue"),
        ("size 38", "size 39"),
        ("short sleeves", "long sleeves"),
        ("red", "rod"),
        ("-", "?"),
    ],
)
def test_other_labels_are_not(one, other):
    assert near_synonyms({one: 9, other: 2}) == []


def test_the_most_frequent_label_gives_the_name():
    assert near_synonyms({"navy": 1, "NAVY": 5, "red": 9}) == [("NAVY", ("navy",))]


def test_of_very_many_labels_only_the_most_frequent_are_compared():
    counts = {f"{i}x": 1000 - i for i in range(300)}
    assert near_synonyms({**counts, "0 X": 1}) == []
