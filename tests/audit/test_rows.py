from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visual_taxonomy.audit.rows import with_labels_of
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError

PATH = Path("held_out.npz")


@pytest.fixture
def rows(held_out):
    return held_out(
        (0, 0, {0: (0, [0.7, 0.2, 0.1])}),
        (0, 1, {0: (1, [0.7, 0.2, 0.1])}),
        (1, 2, {0: (1, [0.2, 0.8])}),
    )


def table_of(rows, ids, categories, targets):
    names = np.array([f"{product}.png" for product in ids])
    return Table(
        rows.taxonomy,
        np.array(ids),
        np.array(categories),
        np.array(targets),
        names,
        Path("images"),
    )


def test_labels_are_those_of_the_catalogue_now(rows):
    targets = [[1, -1], [-1, -1], [0, -1], [2, -1]]
    table = table_of(rows, ["p2", "new", "p0", "other"], [1, 1, 0, 0], targets)
    found = with_labels_of(table, rows, PATH)
    assert found.held_out.ids.tolist() == ["p0", "p2"]
    assert found.held_out.targets.tolist() == [[0, -1], [1, -1]]
    assert found[1:] == (3, 2, 1, 0)
    assert found.notes() == [
        "audited: 2 of 3 labelled rows (67%)",
        "the others were trained on; `vtax cross-validate` holds out every row once",
        "1 held-out rows are not in the catalogue any more; left out",
    ]


def test_changed_labels_are_counted(rows):
    table = table_of(rows, ["p0", "p1", "p2"], [0, 0, 1], [[0, -1], [2, -1], [-1, -1]])
    found = with_labels_of(table, rows, PATH)
    assert found.changed == 2
    assert found.notes() == [
        "audited: 2 of 2 labelled rows (100%)",
        "2 labels have changed since; audited as they are now",
    ]


def test_another_catalogue_is_refused(rows):
    table = table_of(rows, ["x"], [0], [[0, -1]])
    with pytest.raises(InputError, match=r"none of its 3 rows is in the catalogue .* 'p0'"):
        with_labels_of(table, rows, PATH)
    with pytest.raises(InputError, match="none of its 0 rows"):
        with_labels_of(table, rows.take(np.zeros(3, dtype=bool)), PATH)


def test_a_row_that_moved_to_another_category_is_refused(rows):
    table = table_of(rows, ["p0", "p1"], [0, 1], [[0, -1], [1, -1]])
    with pytest.raises(InputError, match=r"'p1' was one of 'Sarees', and is one of 'Kurtis' now"):
        with_labels_of(table, replace(rows), PATH)
