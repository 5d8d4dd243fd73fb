"""Training, validation and test rows out of several files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visual_taxonomy.config import DataConfig
from visual_taxonomy.data.split import TEST, TRAIN, VALIDATION, write_split
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.preparation import (
    choose_split,
    cut_table,
    read_labelled_table,
)
from visual_taxonomy.training.row_files import Rows, add_files

HEADER = "id,Category,color\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for number in range(12):
        coarse = random.integers(0, 256, (5, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((40, 50)).save(tmp_path / f"{number:06d}.png")
    write(tmp_path / "train.csv", range(8))
    write(tmp_path / "val.csv", (8, 9))
    write(tmp_path / "test.csv", (10, 11))
    (tmp_path / "attrs.json").write_text(
        Taxonomy.from_dict({"Sarees": {"color": ["red", "blue"]}}).to_json()
    )
    return tmp_path


def write(path: Path, ids: object) -> None:
    rows = [f"{each},Sarees,{'red' if int(each) % 2 else 'blue'}\n" for each in ids]
    path.write_text(HEADER + "".join(rows))


def config(folder: Path, **more: object) -> DataConfig:
    return DataConfig(folder, folder / "train.csv", folder / "attrs.json", train_workers=0, **more)


def read(data: DataConfig) -> Rows:
    table = read_labelled_table(data.csv_path, data.img_dir, data.attributes_config, None)
    return add_files(table, data)


def parts(data: DataConfig) -> dict[str, list[str]]:
    rows = read(data)
    tables = cut_table(rows.table, choose_split(rows, data, None), data)
    return {name: getattr(tables, name).ids.tolist() for name in ("training", "validation", "test")}


def test_files_are_the_parts(folder: Path) -> None:
    data = config(folder, val_csv_path=folder / "val.csv", test_csv_path=folder / "test.csv")
    assert parts(data) == {
        "training": [str(each) for each in range(8)],
        "validation": ["8", "9"],
        "test": ["10", "11"],
    }


def test_what_no_file_gives_is_drawn_from_the_first(folder: Path) -> None:
    found = parts(config(folder, val_csv_path=folder / "val.csv", test_ratio=0.25))
    assert found["validation"] == ["8", "9"]
    assert len(found["test"]) == 2
    assert {*found["test"], *found["training"]} == {str(each) for each in range(8)}
    found = parts(config(folder, test_csv_path=folder / "test.csv", val_ratio=0.25))
    assert found["test"] == ["10", "11"]
    assert len(found["validation"]) == 2


def test_a_split_of_the_first_file_goes_with_a_test_file(folder: Path) -> None:
    is_validation = np.arange(8) < 3
    write_split(folder / "split.csv", [str(each) for each in range(8)], is_validation)
    more = {"split_path": folder / "split.csv", "test_csv_path": folder / "test.csv"}
    found = parts(config(folder, **more))
    assert (found["validation"], found["test"]) == (["0", "1", "2"], ["10", "11"])


def test_labels_of_all_files_keep_their_rows(folder: Path) -> None:
    rows = read(config(folder, val_csv_path=folder / "val.csv"))
    assert rows.parts.tolist() == [TRAIN] * 8 + [VALIDATION] * 2
    assert rows.table.targets[:, 0].tolist() == [1 - int(each) % 2 for each in rows.table.ids]
    assert rows.table.path(9).name == "000009.png"


@pytest.mark.parametrize("name", ["val", "test"])
def test_an_id_in_two_files_is_refused_with_file_and_row(name: str, folder: Path) -> None:
    write(folder / f"{name}.csv", (9, "000003", 4))
    message = rf"{name}\.csv, row 3, column 'id': '000003' is in .*train\.csv, too; .*\(1 more row"
    with pytest.raises(InputError, match=message):
        read(config(folder, **{f"{name}_csv_path": folder / f"{name}.csv"}))


def test_validation_and_test_may_not_share_rows_either(folder: Path) -> None:
    write(folder / "test.csv", (9, 11))
    data = config(folder, val_csv_path=folder / "val.csv", test_csv_path=folder / "test.csv")
    with pytest.raises(InputError, match=r"test\.csv, row 2, .* '9' is in .*val\.csv, too"):
        read(data)


def test_near_duplicates_across_files_are_counted(folder: Path) -> None:
    (folder / "000009.png").write_bytes((folder / "000000.png").read_bytes())
    data = config(folder, val_csv_path=folder / "val.csv", test_csv_path=folder / "test.csv")
    message = r"val\.csv: 1 of 2 pictures are near-duplicates of pictures of .*train\.csv; scores"
    with pytest.warns(UserWarning, match=message) as caught:
        assert choose_split(read(data), data, None).parts.tolist().count(TEST) == 2
    assert len(caught) == 1


def test_near_duplicates_are_not_looked_for_when_nobody_wants_to_know(folder: Path) -> None:
    (folder / "000009.png").write_bytes((folder / "000000.png").read_bytes())
    data = config(folder, val_csv_path=folder / "val.csv", group_duplicates=False)
    choose_split(read(data), data, None)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"split_path": Path("a"), "val_csv_path": Path("b")}, "--split_path and --val_csv_path"),
        ({"split_path": Path("a"), "test_ratio": 0.1}, "--split_path and --test_ratio both say"),
        ({"test_csv_path": Path("a"), "test_ratio": 0.1}, "--test_csv_path and --test_ratio both"),
        ({"test_ratio": 0.8}, "--test_ratio must be 0 or more and leave rows to train on"),
        ({"split_seed": -1}, "--split_seed must be 0 or more"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(
    more: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        DataConfig(Path("images"), Path("train.csv"), **more)
