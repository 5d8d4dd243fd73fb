import os

import numpy as np

from visual_taxonomy.inference import image_stamps
from visual_taxonomy.inference.image_stamps import ImageStamps


def test_a_stamp_changes_with_size_and_time_of_its_own_rows_only(table_of) -> None:
    table = table_of(4)
    before = [ImageStamps(table)(row, row + 1) for row in range(4)]
    assert ImageStamps(table)(0, 4) == ImageStamps(table)(0, 4)
    os.utime(table.path(1), ns=(0, 1_700_000_000_000_000_001))
    times = table.path(2).stat()
    with table.path(2).open("ab") as file:
        file.write(b"x")
    os.utime(table.path(2), ns=(times.st_atime_ns, times.st_mtime_ns))
    after = [ImageStamps(table)(row, row + 1) for row in range(4)]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, False, True]


def test_many_rows_are_stamped_in_order(table_of, monkeypatch) -> None:
    table = table_of(5)
    expected = [ImageStamps(table)(row, row + 1) for row in range(5)]
    monkeypatch.setattr(image_stamps, "_CHUNK", 2)
    stamps = ImageStamps(table)
    assert [stamps(row, row + 1) for row in range(5)] == expected


def test_a_missing_image_has_a_stamp_and_so_has_no_row_at_all(table_of) -> None:
    table = table_of(1)
    there = ImageStamps(table)(0, 1)
    table.path(0).unlink()
    assert ImageStamps(table)(0, 1) != there
    assert ImageStamps(table.take(np.arange(0)))(0, 0)
