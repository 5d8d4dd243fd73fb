import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visual_taxonomy.data.split import (
    TEST,
    VALIDATION,
    read_groups,
    read_split,
    split_parts,
    split_rows,
    write_split,
)
from visual_taxonomy.errors import InputError

RATIOS = st.floats(0.01, 0.99)


def test_each_category_gives_its_share():
    categories = np.repeat([0, 1, 2], [1000, 50, 7])
    is_validation = split_rows(categories, 0.2, random_state=0)
    assert [is_validation[categories == k].sum() for k in range(3)] == [200, 10, 1]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), RATIOS, st.integers(0, 99))
@settings(deadline=None)
def test_without_groups_the_share_is_within_half_a_row(categories, ratio, seed):
    categories = np.array(categories)
    is_validation = split_rows(categories, ratio, seed)
    for category in np.unique(categories):
        rows = categories == category
        target = min(ratio * rows.sum(), rows.sum() - 1)
        assert abs(is_validation[rows].sum() - target) <= 0.5 + 1e-9


@st.composite
def grouped(draw):
    """Groups of 1 to 9 rows, each of one category."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=60))
    kinds = draw(st.lists(st.integers(0, 3), min_size=len(sizes), max_size=len(sizes)))
    names = draw(st.permutations(range(1000, 1000 + len(sizes))))
    order = np.random.default_rng(len(sizes)).permutation(sum(sizes))
    return np.repeat(kinds, sizes)[order], np.repeat(names, sizes)[order]


@given(grouped(), RATIOS, st.integers(0, 99))
@settings(deadline=None)
def test_a_group_is_on_one_side_and_the_share_is_within_a_group(rows, ratio, seed):
    categories, groups = rows
    is_validation = split_rows(categories, ratio, seed, groups)
    assert not set(groups[is_validation]) & set(groups[~is_validation])
    for category in np.unique(categories):
        rows = categories == category
        largest = np.unique(groups[rows], return_counts=True)[1].max()
        assert abs(is_validation[rows].sum() - ratio * rows.sum()) <= largest
        assert not is_validation[rows].all()


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=20)
def test_groups_that_span_categories_stay_together_and_nearly_keep_the_shares(seed):
    random = np.random.default_rng(seed)
    categories, groups = random.integers(0, 4, 600), random.integers(0, 250, 600)
    is_validation = split_rows(categories, 0.25, seed, groups)
    assert not set(groups[is_validation]) & set(groups[~is_validation])
    for category in range(4):
        assert abs(is_validation[categories == category].mean() - 0.25) < 0.1


def test_a_category_with_one_group_stays_in_training():
    categories, groups = np.array([0] * 8 + [1] * 3), np.array([*range(8), 9, 9, 9])
    for ratio in (0.2, 0.5, 0.95):
        assert not split_rows(categories, ratio, 0, groups)[8:].any()


def test_the_seed_decides():
    categories = np.repeat([0, 1], [80, 20])
    first, again, other = (split_rows(categories, 0.3, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_every_row_is_about_equally_likely_to_be_for_validation():
    categories = np.repeat([0, 1], [40, 10])
    share = np.mean([split_rows(categories, 0.3, seed) for seed in range(400)], axis=0)
    assert abs(share - 0.3).max() < 0.1  # 4.4 standard deviations


def test_group_names_do_not_matter():
    categories, groups = np.repeat([0, 1], [30, 30]), np.arange(60) // 3
    one, other = (split_rows(categories, 0.3, 0, each) for each in (groups, groups * 10**12))
    assert (one == other).all()


def test_no_rows_make_an_empty_split():
    assert split_rows(np.array([], dtype=np.int64), 0.2, 0).tolist() == []


@pytest.mark.parametrize("ratio", [0, 1, -0.1, 20, float("nan")])
def test_a_ratio_beyond_0_and_1_is_refused(ratio):
    with pytest.raises(InputError, match=rf"val_ratio: {ratio}, expected a share between 0 and 1"):
        split_rows(np.zeros(4, dtype=np.int64), ratio, 0)


def test_a_split_is_read_in_the_order_of_the_ids(tmp_path):
    path = tmp_path / "split.csv"
    write_split(path, np.array(["7", "007", 'a"b,c']), np.array([True, False, False]))
    assert path.read_text() == 'id,split\n7,validation\n007,train\n"a""b,c",train\n'
    assert read_split(path, ['a"b,c', "7", "007"]).tolist() == [False, True, False]


def test_a_split_written_by_hand_is_read(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("Split,ID\r\n train,1\r\nvalidation ,2\r\n")
    assert read_split(path, np.array(["2", "1"])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("id,part\n1,train\n", r"split\.csv: column 'split' is none of: id, part\. Add"),
        ("name,split\n1,train\n", r"column 'id' is none of"),
        (
            "id,split\n1,train\n2,val\n",
            r"row 3, column 'split': 'val', expected 'train', .* or 'test'",
        ),
        ("id,split\n1,train\n2,\n", r"row 3, column 'split': '', expected"),
        ("id,split\n1,train\n1,train\n", r"row 3, column 'id': '1' is there already; remove one"),
        (
            "id,split\n1,train\n8,train\n9,train\n",
            r"row 3, column 'id': '8' is not in the catalogue; use .* \(1 more row is wrong\)",
        ),
        (
            "id,split\n1,train\n",
            r"1 of 2 ids of the catalogue are missing, first '2'; add them, or",
        ),
    ],
)
def test_a_split_that_does_not_fit_says_so(tmp_path, content, expected):
    path = tmp_path / "split.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=expected):
        read_split(path, ["1", "2"])


def test_a_missing_split_says_so(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_split(tmp_path / "none.csv", ["1"])


@given(grouped(), st.integers(0, 99))
@settings(deadline=None)
def test_a_third_part_leaves_validation_as_it_is_and_no_group_is_cut(rows, seed):
    categories, groups = rows
    parts = split_parts(categories, 0.2, 0.3, seed, groups)
    assert ((parts == VALIDATION) == split_rows(categories, 0.2, seed, groups)).all()
    assert all(len(np.unique(parts[groups == group])) == 1 for group in np.unique(groups))


def test_each_part_has_its_share():
    parts = split_parts(np.repeat([0, 1], [1000, 100]), 0.2, 0.1, random_state=0)
    assert np.bincount(parts[:1000]).tolist() == [700, 200, 100]
    assert np.bincount(parts[1000:]).tolist() == [70, 20, 10]


def test_a_split_of_three_parts_is_read_back(tmp_path):
    path = tmp_path / "split.csv"
    write_split(path, np.array(["1", "2", "3"]), np.array([0, VALIDATION, TEST]))
    assert path.read_text() == "id,split\n1,train\n2,validation\n3,test\n"
    assert read_split(path, ["3", "1", "2"]).tolist() == [TEST, 0, VALIDATION]


def test_other_ids_can_be_accepted_and_new_ones_train(tmp_path):
    path = tmp_path / "split.csv"
    write_split(path, np.array(["1", "2"]), np.array([VALIDATION, VALIDATION]))
    assert read_split(path, ["2", "3"], accept_other_ids=True).tolist() == [VALIDATION, 0]


def test_groups_are_written_by_the_id_of_their_first_row_and_read_back(tmp_path):
    path = tmp_path / "split.csv"
    write_split(path, ["7", "007", "x", "y"], np.zeros(4), np.array([3, 1, 3, 2]))
    assert path.read_text() == "id,split,group\n7,train,7\n007,train,007\nx,train,7\ny,train,y\n"
    assert read_groups(path, ["7", "007", "x", "y"]).tolist() == [0, 1, 0, 3]
    assert read_groups(path, ["new", "x", "y", "7"]).tolist() == [0, 1, 2, 1]


def test_a_split_without_groups_has_none(tmp_path):
    path = tmp_path / "split.csv"
    write_split(path, ["1", "2"], np.array([0, 1]))
    assert read_groups(path, ["1", "2"]) is None
