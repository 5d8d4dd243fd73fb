"""Several drawn photographs of one product."""

from pathlib import Path

import numpy as np
import pytest

from visual_taxonomy.data.images import decode_image
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.table import read_table
from visual_taxonomy.errors import InputError
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.synthetic.products import draw_product
from visual_taxonomy.synthetic.views import VIEWS, WHOLE, View, seen
from visual_taxonomy.taxonomy import Taxonomy

LABELS = {
    "color": "red", "neck": "round", "pattern": "printed", "pocket": "no pocket",
    "print_or_pattern_type": "stripes", "sleeve_length": "short sleeves",
}  # fmt: skip


def drawn(view: View, **changes: str) -> np.ndarray:
    rng, camera = np.random.default_rng(1), np.random.default_rng(2)
    image = draw_product("Men Tshirts", LABELS | changes, rng, 64, view, camera)
    return np.asarray(image, dtype=int)


@pytest.mark.parametrize(
    "change", [{"neck": "polo"}, {"pocket": "patch pocket"}, {"print_or_pattern_type": "graphic"}]
)
def test_the_back_hides_what_is_on_the_front(change: dict[str, str]) -> None:
    front, back = VIEWS[:2]
    assert np.abs(drawn(front) - drawn(front, **change)).max() > 20
    hidden = {"print_or_pattern_type": "solid"} if "print_or_pattern_type" in change else {}
    assert (drawn(back, **hidden) == drawn(back, **change)).all()


def test_the_back_shows_what_is_all_over() -> None:
    back = VIEWS[1]
    for change in ({"color": "black"}, {"sleeve_length": "long sleeves"}):
        assert np.abs(drawn(back) - drawn(back, **change)).max() > 20


def test_the_front_hides_the_hem() -> None:
    shown = {"neck_collar": "high", "length": "crop", "fit_shape": "regular"}
    assert seen(shown, VIEWS[0]) == seen(shown, WHOLE) == shown
    assert all(view.top + view.height <= 1 for view in VIEWS)
    assert VIEWS[0].height < 1


def test_views_are_files_that_a_pattern_finds(tmp_path: Path) -> None:
    synthesize(tmp_path / "a", 6, seed=2, image_size=32, workers=1, views=3)
    synthesize(tmp_path / "b", 6, seed=2, image_size=32, workers=1)
    images = sorted(path.name for path in (tmp_path / "a" / "images").iterdir())
    assert images == [f"{row:06d}_{view}.jpg" for row in range(6) for view in (1, 2, 3)]
    assert (tmp_path / "a/train.csv").read_bytes() == (tmp_path / "b/train.csv").read_bytes()
    table = read_table(
        tmp_path / "a" / "train.csv",
        tmp_path / "a" / "images",
        Taxonomy.read(tmp_path / "a" / "attrs_config.json"),
        reading=LabelReading(image_pattern="{id}_*.jpg"),
    )
    assert table.starts is not None
    assert set(np.diff(table.starts)) == {3}
    one, other = (decode_image(table.images[number]) for number in table.numbers(0)[:2])
    assert one.shape == other.shape
    assert (one != other).any()


@pytest.mark.parametrize("views", [0, 5])
def test_no_more_views_are_drawn_than_there_are(tmp_path: Path, views: int) -> None:
    with pytest.raises(InputError, match=f"views: {views}, expected 1 to 4"):
        synthesize(tmp_path / "a", 6, views=views)
