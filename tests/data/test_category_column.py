import pytest

from visual_taxonomy.data.category_column import are_categories
from visual_taxonomy.data.table import build_taxonomy
from visual_taxonomy.errors import InputError


@pytest.mark.parametrize(
    ("count", "rows", "expected"),
    [(1000, 1000, True), (1001, 10_009, False), (1001, 10_010, True), (10_000, 20_000, False)],
)
def test_of_many_categories_each_has_rows_on_average(count, rows, expected):
    assert are_categories(count, rows) is expected


def test_nothing_is_trained_on_ten_thousand_categories(tmp_path):
    path = tmp_path / "a.csv"
    rows = "".join(f"{i},k{i % 10_000},{'rb'[i % 2]}\n" for i in range(20_000))
    path.write_text("id,Category,color\n" + rows)
    with pytest.raises(InputError, match=r"column 'Category': 10,000 values .*`category_column`"):
        build_taxonomy(path)
