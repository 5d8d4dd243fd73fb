import numpy as np
import pytest

from visual_taxonomy.errors import InputError
from visual_taxonomy.synthetic.labels import draw_labels, synthetic_taxonomy
from visual_taxonomy.synthetic.products import draw_figure, draw_product
from visual_taxonomy.taxonomy import Task

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


def draw(category: str, labels: dict[str, str], seed: int = 7, size: int = SIZE):
    return np.asarray(draw_product(category, labels, np.random.default_rng(seed), size), np.float64)


def red(category: str, seed: int = 1, **changes: str) -> np.ndarray:
    """[H, W] where a plain red garment shows red cloth."""
    labels = plain_labels(category) | {
        "color": "red", "pattern": "solid", "print_or_pattern_type": "solid", **changes,
    }  # fmt: skip
    chance = np.random.default_rng(seed), np.random.default_rng(seed)
    pixels = np.asarray(draw_figure(category, labels, *chance, 120).image).astype(int)
    return (pixels[..., 0] > 150) & (pixels[..., 1] < 80) & (pixels[..., 2] < 80)


@pytest.mark.parametrize("category", TAXONOMY.categories)
@pytest.mark.parametrize("size", [32, 33, 160])
def test_an_image_is_rgb_of_the_asked_height_and_three_quarters_as_wide(category, size):
    drawn = draw_product(category, plain_labels(category), np.random.default_rng(0), size)
    assert drawn.mode == "RGB"
    assert drawn.size == (round(size * 3 / 4), size)


@pytest.mark.parametrize("category", TAXONOMY.categories)
def test_the_same_chance_draws_the_same_image(category):
    labels = plain_labels(category)
    assert (draw(category, labels) == draw(category, labels)).all()
    assert (draw(category, labels) != draw(category, labels, seed=8)).any()


@pytest.mark.parametrize("task", TAXONOMY.tasks, ids=lambda task: task.name)
def test_every_class_of_every_attribute_shows(task):
    """Whatever class takes the place of another, some spot of the image changes clearly."""
    seen = []
    for label in task.classes:
        labels = plain_labels(task.category)
        if task.attribute == "pattern":  # it is told by its print type
            implied = {"solid": "solid", "striped": "stripes", "default": "default"}
            labels["print_or_pattern_type"] = implied.get(label, "floral")
        if task.attribute == "sleeve_styling" and label == "sleeveless":
            labels["sleeve_length"] = "sleeveless"
        labels[task.attribute] = label
        seen.append(draw(task.category, labels))
    for i, one in enumerate(seen):
        for other in seen[:i]:
            # the camera is the same: a difference is one of the garment
            assert (np.abs(one - other).max(axis=2) > 24).sum() >= 12


def accuracy(task: Task, train: int = 24, test: int = 12) -> float:
    """How often ridge regression on thumbnails names the class, of so many images of each.

    All other labels are those of products of the catalogue.
    """
    products = [labels for c, labels in (draw_labels(5, row) for row in range(600))
                if c == task.category]  # fmt: skip
    count, classes = train + test, len(task.classes)
    thumbnails = np.array(
        [
            draw_product(
                task.category,
                products[(k * classes + i) % len(products)] | {task.attribute: label},
                np.random.default_rng((9, k, i)),
                48,
            ).resize((24, 32))
            for k in range(count)
            for i, label in enumerate(task.classes)
        ]
    ).reshape(count * classes, -1) / 255  # fmt: skip
    truth = np.tile(np.arange(classes), count)
    known, held_back = np.split(thumbnails - thumbnails.mean(axis=0), [train * classes])
    kernel = known @ known.T + 3 * np.eye(len(known))
    weights = np.linalg.solve(kernel, np.eye(classes)[truth[: len(known)]] - 1 / classes)
    guesses = (held_back @ known.T @ weights).argmax(axis=1)
    return float((guesses == truth[len(known) :]).mean())


@pytest.mark.parametrize(
    ("category", "attribute"),
    [
        ("Men Tshirts", "color"),
        ("Men Tshirts", "neck"),
        ("Kurtis", "color"),
        ("Sarees", "border"),
        ("Kurtis", "length"),
        ("Kurtis", "sleeve_length"),
        ("Kurtis", "ornamentation"),
        ("Women Tshirts", "fit_shape"),
        ("Women Tops & Tunics", "sleeve_length"),
        ("Women Tops & Tunics", "surface_styling"),
    ],
)
def test_a_linear_model_of_thumbnails_beats_guessing(category, attribute):
    task = TAXONOMY.task(category, attribute)
    assert accuracy(task) > 1.4 / len(task.classes)


@pytest.mark.parametrize("row", range(40))
def test_every_row_of_a_catalogue_can_be_drawn(row):
    category, labels = draw_labels(11, row)
    drawn = draw(category, labels, seed=row, size=48)
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
    chests = [draw("Kurtis", labels, seed)[40:56, 33:39].mean((0, 1)) for seed in range(40)]
    assert np.abs(np.median(chests, axis=0) - rgb).max() < 45


@pytest.mark.parametrize("category", TAXONOMY.categories)
def test_a_large_image_shows_what_a_small_one_shows(category):
    labels = plain_labels(category) | {"pattern": "solid", "print_or_pattern_type": "solid"}
    small = draw_product(category, labels, np.random.default_rng(1), 64)
    large = draw_product(category, labels, np.random.default_rng(1), 256).resize(small.size)
    difference = np.asarray(large, np.float64) - np.asarray(small, np.float64)
    assert np.abs(difference).mean() < 16


@pytest.mark.parametrize("category", set(TAXONOMY.categories) - {"Sarees", "Kurtis"})
def test_some_garments_are_worn_and_some_are_not(category):
    feet = []
    for seed in range(20):
        chance = np.random.default_rng(seed), np.random.default_rng(seed)
        figure = draw_figure(category, plain_labels(category), *chance, 60)
        feet.append(np.asarray(figure.image)[-1, :, 3].any())
    assert 0.3 < np.mean(feet) < 1


def test_a_pocket_lies_on_one_side_of_the_chest():
    plain, pocket = (red("Men Tshirts", pocket=label) for label in ("no pocket", "patch pocket"))
    _, columns = np.nonzero(plain != pocket)
    assert len(columns) > 20
    assert columns.min() > 90


@pytest.mark.parametrize(
    "surface", ["knitted", "ruffles", "tie-ups", "waist tie-ups", "applique", "default"]
)
def test_what_is_sewn_on_covers_some_cloth(surface):
    plain = red("Women Tops & Tunics", surface_styling="none")
    decorated = red("Women Tops & Tunics", surface_styling=surface)
    assert 30 < (plain & ~decorated).sum() < 0.6 * plain.sum()


def test_default_takes_several_looks():
    labels = plain_labels("Kurtis") | {"print_or_pattern_type": "default", "ornamentation": "none"}
    looks = set()
    for choice in range(8):
        chance = np.random.default_rng(1), np.random.default_rng(choice)
        looks.add(draw_figure("Kurtis", labels, *chance, 60).image.tobytes())
    assert len(looks) == 2


def test_an_unknown_category_names_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'Sarees'"):
        draw_product("Saree", {}, np.random.default_rng(0))
