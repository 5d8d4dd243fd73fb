"""Images that cannot be read: counted once, named, listed; none at all is an error."""

import csv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.data.images import NO_IMAGE
from visual_taxonomy.data.sampler import FILLER
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.training.parallel import Parallel
from visual_taxonomy.training.unreadable import TRAINING, UNREADABLE_NAME, VALIDATION, Unreadable

ALONE = Parallel(SimpleNamespace(world_size=1, is_global_zero=True))


@pytest.fixture
def tables(table_of: Callable[[int], Table]) -> dict[str, Table]:
    table = table_of(8)
    return {TRAINING: table.take(torch.arange(5).numpy()), VALIDATION: table.take([5, 6, 7])}


def batch(rows: list[int], problems: dict[int, str]) -> Batch:
    categories = [NO_IMAGE if row in (FILLER, *problems) else 0 for row in rows]
    numbers = torch.tensor(rows)
    return Batch(numbers, torch.tensor(categories), numbers, numbers, problems)


def read(folder: Path) -> list[dict[str, str]]:
    with (folder / UNREADABLE_NAME).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_an_unreadable_row_that_comes_twice_in_a_batch_is_not_taken_for_a_readable_one() -> None:
    seen = Unreadable()
    seen.add(TRAINING, batch([3, 3, FILLER], {3: "empty"}))
    assert seen.readable == {TRAINING: 0}
    seen.add(TRAINING, batch([1, 3, 1], {3: "empty"}))
    assert seen.readable == {TRAINING: 2}


def test_each_image_counts_once_however_often_it_is_met(
    tables: dict[str, Table], tmp_path: Path
) -> None:
    seen = Unreadable()
    for _ in range(3):
        seen.add(TRAINING, batch([0, 1, 2], {1: "the file is empty"}))
        seen.add(VALIDATION, batch([0, 2], {2: 'damaged, "very"'}))
    expected = r"^2 images could not be read and were skipped: \S+000001\.png \(the file is empty"
    with pytest.warns(UserWarning, match=expected):
        seen.report(ALONE, tables, tmp_path)
    seen.report(ALONE, tables, tmp_path)  # nothing new: a second warning would be an error
    assert read(tmp_path) == [
        {"id": "1", "path": str(tables[TRAINING].path(1)), "reason": "the file is empty"},
        {"id": "7", "path": str(tables[VALIDATION].path(2)), "reason": 'damaged, "very"'},
    ]


def test_the_message_names_a_few_and_the_file_all(tables: dict[str, Table], tmp_path: Path) -> None:
    seen = Unreadable()
    seen.add(TRAINING, batch([0, 1, 2, 3, 4], dict.fromkeys([1, 2, 3, 4], "the file is missing")))
    with pytest.warns(UserWarning, match=r"000003\.png \(the file is missing\), \.\.\.; all are"):
        seen.report(ALONE, tables, tmp_path)
    assert len(read(tmp_path)) == 4


def test_without_any_there_is_neither_a_word_nor_a_file(
    tables: dict[str, Table], tmp_path: Path
) -> None:
    seen = Unreadable()
    seen.add(TRAINING, batch([0, 1, FILLER], {}))
    seen.report(ALONE, tables, tmp_path)
    assert not (tmp_path / UNREADABLE_NAME).exists()


@pytest.mark.parametrize("part", [TRAINING, VALIDATION])
def test_a_part_of_which_nothing_can_be_read_is_an_error(
    part: str, tables: dict[str, Table]
) -> None:
    seen = Unreadable()
    seen.add(VALIDATION if part == TRAINING else TRAINING, batch([0], {}))
    seen.add(part, batch([1, FILLER], {1: "the file is empty"}))
    message = rf"no image of the {part} rows can be read, first \S+\.png \(the file is empty\);"
    with pytest.raises(InputError, match=message):
        seen.check(ALONE, tables)
    seen.add(part, batch([0], {}))
    assert len(seen.check(ALONE, tables)) == 1


def test_a_resumed_run_knows_those_of_before(
    tables: dict[str, Table], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    first = Unreadable()
    first.add(TRAINING, batch([0, 1], {1: "the file is empty"}))
    with pytest.warns(UserWarning, match="1 image could not be read and was skipped"):
        first.report(ALONE, tables, tmp_path)
    resumed = Unreadable()
    resumed.load(tables, tmp_path)
    resumed.add(TRAINING, batch([0, 2], {}))
    resumed.report(ALONE, tables, tmp_path)
    assert not recwarn
    resumed.add(TRAINING, batch([0, 2], {2: "the file is missing"}))
    with pytest.warns(UserWarning, match="2 images could not be read"):
        resumed.report(ALONE, tables, tmp_path)
    assert [row["id"] for row in read(tmp_path)] == ["1", "2"]


def test_what_other_processes_have_found_counts(
    tables: dict[str, Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gather(gathered: list[object], own: object) -> None:
        gathered[:] = [own, ({(TRAINING, 3): "the file is missing"}, {TRAINING: 1})]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    seen = Unreadable()
    seen.add(TRAINING, batch([1], {1: "the file is empty"}))  # the other one could read an image
    with pytest.warns(UserWarning, match="2 images could not be read"):
        seen.report(Parallel(SimpleNamespace(world_size=2, is_global_zero=True)), tables, tmp_path)
    assert [row["id"] for row in read(tmp_path)] == ["1", "3"]
