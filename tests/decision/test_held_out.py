from dataclasses import replace

import numpy as np
import pytest

from visual_taxonomy.decision.held_out import HeldOut, pool
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_dict(
    {
        "Sarees": {"border": ["zari", "none"], "color": ["red", "blue", "green"]},
        "Kurtis": {"fit": ["a", "b"]},
    }
)
COUNTS = {"Sarees/border": [8, 2], "Sarees/color": [5, 4, 1], "Kurtis/fit": [3, 3]}


def held_out(ids=("1", "2", "3")):
    probabilities = np.zeros((3, 2, 3), dtype=np.float32)
    probabilities[0, 0, :2] = 0.75, 0.25
    probabilities[0, 1] = 0.5, 0.25, 0.25
    probabilities[1, 0, :2] = np.nan, 0.5  # no number, no answer
    probabilities[2, 0, :2] = 0.5, 0.5
    targets = np.array([[0, -1], [1, 2], [1, -1]])
    categories, groups = np.array([0, 0, 1]), np.array([0, 1, 1])
    return HeldOut(TAXONOMY, COUNTS, np.array(ids), categories, groups, probabilities, targets)


def test_heads_hold_only_rows_with_label_and_answer():
    border, color, fit = held_out().heads()
    assert (border.task.name, border.rows.tolist(), border.labels.tolist()) == (
        "Sarees/border",
        [0],
        [0],
    )
    assert border.probabilities.tolist() == [[0.75, 0.25]]
    assert border.class_counts.tolist() == [8, 2]
    assert color.rows.size == 0
    assert (fit.category, fit.slot, fit.rows.tolist()) == (1, 0, [2])


def test_a_file_gives_back_what_was_written(tmp_path):
    written = held_out()
    written.write(tmp_path / "held_out.npz")
    read = HeldOut.read(tmp_path / "held_out.npz")
    assert read.taxonomy == TAXONOMY
    assert read.class_counts == COUNTS
    for name in ("ids", "categories", "groups", "probabilities", "targets"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))


def test_a_missing_or_damaged_file_is_refused_in_words(tmp_path):
    with pytest.raises(InputError, match="no held-out predictions"):
        HeldOut.read(tmp_path / "none.npz")
    path = tmp_path / "held_out.npz"
    held_out().write(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="damaged"):
        HeldOut.read(path)
    path.write_text("no archive")
    with pytest.raises(InputError, match="damaged"):
        HeldOut.read(path)


def test_shapes_must_fit_the_taxonomy():
    good = held_out()
    with pytest.raises(InputError, match="'targets' has shape"):
        HeldOut(
            TAXONOMY,
            COUNTS,
            good.ids,
            good.categories,
            good.groups,
            good.probabilities,
            good.targets[:, :1],
        )


def test_folds_are_pooled_and_may_not_overlap():
    pooled = pool([held_out(), held_out(("4", "5", "6"))])
    assert len(pooled) == 6
    assert pooled.class_counts["Sarees/color"] == [5, 4, 1]
    with pytest.raises(InputError, match="row '3' is held out twice"):
        pool([held_out(), held_out(("3", "5", "6"))])


def test_rows_can_be_taken_by_mask():
    some = held_out().take(np.array([True, False, True]))
    assert some.ids.tolist() == ["1", "3"]
    assert some.groups.tolist() == [0, 1]


def test_what_other_witnesses_say_goes_with_the_rows(held_out, tmp_path):
    said = np.roll(held_out.probabilities, 1, axis=0)
    both = replace(held_out, witnesses={"words": said})
    both.write(tmp_path / "a.npz")
    np.testing.assert_array_equal(HeldOut.read(tmp_path / "a.npz").witnesses["words"], said)
    np.testing.assert_array_equal(both.take(np.array([7])).witnesses["words"], said[[7]])
    first, second = both.take(np.arange(5)), held_out.take(np.arange(5, 9))
    pooled = pool([first, second]).witnesses["words"]
    np.testing.assert_array_equal(pooled[:5], said[:5])
    assert not pooled[5:].any()  # the fold without words
    with pytest.raises(InputError, match="a witness does not fit"):
        replace(held_out, witnesses={"words": said[1:]})
