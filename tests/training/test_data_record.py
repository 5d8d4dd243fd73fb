"""What a resumed run is told of data that have changed."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.data_record import (
    DATA_NAME,
    changes,
    digest_labels,
    record,
    refuse_changes,
    write_record,
)


@pytest.fixture
def table(table_of: Callable[[int], Table], tmp_path: Path) -> Table:
    table = table_of(8)
    write_record(tmp_path / DATA_NAME, record(table))
    return table


def with_label(table: Table, row: int, label: int) -> Table:
    targets = table.targets.copy()
    targets[row, 1] = label
    return replace(table, targets=targets)


def test_nothing_has_changed_when_nothing_has(table: Table, tmp_path: Path) -> None:
    assert changes(tmp_path / DATA_NAME, record(table)) == []


def test_a_run_without_a_record_is_not_compared(table: Table, tmp_path: Path) -> None:
    assert changes(tmp_path / "none.parquet", record(table)) == []


def test_other_labels_are_counted_and_the_first_id_is_named(table: Table, tmp_path: Path) -> None:
    one = with_label(table, 3, 1)
    assert changes(tmp_path / DATA_NAME, record(one)) == ["1 row has other labels (id 3)"]
    two = with_label(one, 6, -1)
    assert changes(tmp_path / DATA_NAME, record(two)) == ["2 rows have other labels (first id 3)"]


def test_another_category_is_another_label(table: Table) -> None:
    other = replace(table, categories=1 - table.categories)
    assert (digest_labels(table) != digest_labels(other)).all()


def test_the_order_of_the_taxonomy_does_not_matter(table: Table) -> None:
    plain = table.taxonomy.to_dict()
    turned = {
        category: {name: classes[::-1] for name, classes in attributes.items()}
        for category, attributes in plain.items()
    }
    taxonomy = Taxonomy.from_dict(turned)
    targets = table.targets.copy()
    for row, category in enumerate(table.categories):
        for slot, task in enumerate(taxonomy.slots[category]):
            if targets[row, slot] >= 0:
                last = len(taxonomy.tasks[task].classes) - 1
                targets[row, slot] = last - targets[row, slot]
    other = replace(table, taxonomy=taxonomy, targets=targets)
    assert np.array_equal(digest_labels(table), digest_labels(other))


def test_another_image_under_an_id_is_told_by_size_or_time(table: Table, tmp_path: Path) -> None:
    larger = table.path(2)
    larger.write_bytes(larger.read_bytes() + b"more")
    state = table.path(5).stat()
    os.utime(table.path(5), ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert changes(tmp_path / DATA_NAME, record(table)) == [
        "1 image has another size in bytes (id 2)",
        "1 image has another time of change (id 5)",
    ]


def test_rows_that_are_gone_new_or_moved_are_named(table: Table, tmp_path: Path) -> None:
    path = tmp_path / DATA_NAME
    assert changes(path, record(table.take(np.arange(1, 8)))) == ["1 row is missing (id 0)"]
    assert changes(path, record(table.take(np.arange(8)[::-1]))) == [
        "the rows stand in another order"
    ]
    write_record(path, record(table.take(np.arange(6))))
    assert changes(path, record(table)) == ["2 rows are new (first id 6)"]


def test_changes_are_refused_unless_they_are_accepted(table: Table, tmp_path: Path) -> None:
    now = record(with_label(table, 0, 0))
    refused = r"^`resume`: the data have changed .* 1 row has other labels \(id 0\); use .*accept"
    with pytest.raises(InputError, match=refused):
        refuse_changes(tmp_path, now, is_accepted=False)
    with pytest.warns(UserWarning, match="^the data have changed since the run in"):
        refuse_changes(tmp_path, now, is_accepted=True)


def test_a_damaged_record_is_named(table: Table, tmp_path: Path) -> None:
    (tmp_path / DATA_NAME).write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"data\.parquet: damaged .*; delete it to resume"):
        changes(tmp_path / DATA_NAME, record(table))


def test_an_image_that_is_not_there_is_recorded_as_such(table: Table, tmp_path: Path) -> None:
    table.path(1).unlink()
    assert changes(tmp_path / DATA_NAME, record(table)) == [
        "1 image has another size in bytes (id 1)"
    ]
