import polars as pl
import pytest

from visual_taxonomy.data.label_candidates import why_no_attribute, why_not_learnable

KINDS = pl.Series(["a", "b"] * 30)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["red", "blue", "blue"] * 20, None),
        ([""] * 60, None),
        (["x"] * 59 + [""], "one value"),
        (["1", "2.5", "-3", "1e5", "1,000", "20%"] * 10, "numbers"),
        (["38", "40", "M"] * 20, None),
        ([f"P-{i}" for i in range(60)], "60 values in 60 rows"),
        ([f"P-{i}" for i in range(10)] + [""] * 50, "10 values in 10 rows"),
        ([f"P-{i}" for i in range(9)] + [""] * 51, None),
        ([f"t{i % 31}" for i in range(60)], "31 values in 60 rows"),
        (["up", "down"] * 30, "one value in each category"),
    ],
)
def test_columns_of_numbers_names_and_single_values_are_no_attributes(labels, reason):
    assert why_no_attribute(pl.Series(labels), KINDS) == reason


def test_more_than_1000_classes_are_left_out_however_often_they_occur():
    labels = pl.Series([f"b{i % 1001}" for i in range(3003)])
    kinds = pl.Series(["a"] * 3003)
    assert why_no_attribute(labels, kinds) == "1,001 values"
    assert why_no_attribute(labels.replace("b1000", "b999"), kinds) is None


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["x", "", "x"], "one value in 2 rows"),
        ([f"P-{i}" for i in range(12)], "another value in each of 12 rows"),
        (["x", "y"], None),
        (["", "dummy_value"], None),
    ],
)
def test_nothing_can_be_learnt_of_one_value_or_of_one_a_row(labels, reason):
    assert why_not_learnable(pl.Series(labels)) == reason
