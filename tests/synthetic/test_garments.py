import numpy as np
import pytest

from visual_taxonomy.errors import InputError
from visual_taxonomy.synthetic.garments import draw_product
from visual_taxonomy.synthetic.labels import draw_labels, synthetic_taxonomy

TAXONOMY = synthetic_taxonomy()
SIZE = 96


def plain_labels(category: str) -> dict[str, str]:
    """A product on which every attribute can be seen: nothing sleeveless, multicoloured, plain."""
    labels = {
        name: TAXONOMY.task(category, name).classes[0] for name in TAXONOMY.attributes(category)
    }
    labels["color"] = "pink"
    labels["pattern"], labels["print_or_pattern_type"] = "printed", "floral"
    return labels


def picture(category: str, labels: dict[str, str], seed: int = 7, size: int = SIZE):
    return np.asarray(draw_product(category, labels, np.random.default_rng(seed), size), np.float64)


@pytest.mark.parametrize("category", TAXONOMY.categories)
@pytest.mark.parametrize("size", [32, 33, 160])
def test_a_picture_is_rgb_of_the_asked_height_and_three_quarters_as_wide(category, size):
    drawn = draw_product(category, plain_labels(category), np.random.default_rng(0), size)
    assert drawn.mode == "RGB"
    assert drawn.size == (round(size * 3 / 4), size)


@pytest.mark.parametrize("category", TAXONOMY.categories)
def test_the_same_chance_draws_the_same_picture(category):
    labels = plain_labels(category)
    assert (picture(category, labels) == picture(category, labels)).all()
    assert (picture(category, labels) != picture(category, labels, seed=8)).any()


@pytest.mark.parametrize("task", TAXONOMY.tasks, ids=lambda task: task.name)
def test_every_class_of_every_attribute_shows(task):
    """Whatever class takes the place of another, some spot of the picture changes clearly."""
    seen = []
    for label in task.classes:
        labels = plain_labels(task.category)
        if task.attribute == "pattern":  # it is told by its print type
            implied = {"solid": "solid", "striped": "stripes", "default": "default"}
            labels["print_or_pattern_type"] = implied.get(label, "floral")
        if task.attribute == "sleeve_styling" and label == "sleeveless":
            labels["sleeve_length"] = "sleeveless"
        labels[task.attribute] = label
        seen.append(picture(task.category, labels))
    for i, one in enumerate(seen):
        for other in seen[:i]:
            # the camera is the same: a difference is one of the garment
            assert (np.abs(one - other).max(axis=2) > 24).sum() >= 12


@pytest.mark.parametrize("row", range(60))
def test_every_row_of_a_catalogue_can_be_drawn(row):
    category, labels = draw_labels(11, row)
    drawn = picture(category, labels, seed=row, size=48)
    assert drawn.std() > 10


@pytest.mark.parametrize(
    ("label", "rgb"),
    [("red", (206, 32, 40)), ("white", (244, 244, 242)), ("navy blue", (28, 38, 88)),
     ("yellow", (240, 196, 44)), ("black", (32, 32, 36))],
)  # fmt: skip
def test_a_plain_kurti_has_its_colour_in_the_middle(label, rgb):
    labels = plain_labels("Kurtis") | {
        "color": label, "pattern": "solid", "print_or_pattern_type": "solid",
    }  # fmt: skip
    chests = [picture("Kurtis", labels, seed)[40:56, 33:39].mean((0, 1)) for seed in range(40)]
    assert np.abs(np.median(chests, axis=0) - rgb).max() < 45


@pytest.mark.parametrize("category", TAXONOMY.categories)
def test_a_large_picture_shows_what_a_small_one_shows(category):
    labels = plain_labels(category) | {"pattern": "solid", "print_or_pattern_type": "solid"}
    small = draw_product(category, labels, np.random.default_rng(1), 64)
    large = draw_product(category, labels, np.random.default_rng(1), 256).resize(small.size)
    difference = np.asarray(large, np.float64) - np.asarray(small, np.float64)
    assert np.abs(difference).mean() < 16


def test_an_unknown_category_names_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'Sarees'"):
        draw_product("Saree", {}, np.random.default_rng(0))
