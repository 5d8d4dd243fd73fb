from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visual_taxonomy.config import DataConfig, TrainConfig
from visual_taxonomy.config_values import from_dict, to_dict
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.split import (
    PARTS,
    TEST,
    TRAIN,
    VALIDATION,
    read_split,
    split_rows,
    write_split,
)
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.data_record import DATA_NAME, record
from visual_taxonomy.training.preparation import (
    CLASS_COUNTS_NAME,
    Split,
    choose_split,
    count_classes,
    cut_table,
    named_class_counts,
    read_labelled_table,
    split_table,
    with_rare_labels,
    write_class_counts,
    write_rows,
)
from visual_taxonomy.training.row_files import Rows
from visual_taxonomy.training.run_folder import SPLIT_NAME
from visual_taxonomy.training.train import read_rows

CSV = "id,Category,len,attr_1,attr_2\n1,Sarees,2,zari,red\n2,Sarees,2,no,\n"


def config(**changes: object) -> DataConfig:
    plain = {"img_dir": Path("images"), "csv_path": Path("train.csv"), "group_duplicates": False}
    return DataConfig(**{**plain, **changes}, train_workers=0)


def ids(table: Table) -> list[str]:
    return table.ids.tolist()


@pytest.fixture
def csv_path(tmp_path) -> Path:
    for number in (1, 2):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{number:06d}.png")
    path = tmp_path / "train.csv"
    path.write_text(CSV)
    return path


def test_without_a_taxonomy_the_csv_makes_it(csv_path):
    table = read_labelled_table(csv_path, csv_path.parent, None, None)
    assert table.taxonomy.to_dict() == {"Sarees": {"attr_1": ["no", "zari"], "attr_2": ["red"]}}
    assert table.targets.tolist() == [[1, 0], [0, -1]]


def test_a_given_taxonomy_decides_names_and_order(csv_path):
    taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"], "color": ["blue", "red"]}})
    path = csv_path.parent / "attrs.json"
    path.write_text(taxonomy.to_json())
    table = read_labelled_table(csv_path, csv_path.parent, path, None)
    assert table.taxonomy == taxonomy
    assert table.targets.tolist() == [[0, 1], [1, -1]]


def test_a_row_with_a_wrong_label_is_refused(csv_path):
    csv_path.write_text(CSV.replace("zari", "zarri"))
    path = csv_path.parent / "attrs.json"
    path.write_text('{"Sarees": {"border": ["zari", "no"], "color": ["red"]}}')
    with pytest.raises(InputError, match=r"train\.csv, row 2, column 'attr_1': 'zarri' is none"):
        read_labelled_table(csv_path, csv_path.parent, path, None)


def test_the_split_takes_each_row_once(table_of, tmp_path):
    table = table_of(20)
    tables = split_table(table, config(val_ratio=0.3), tmp_path / "run")
    assert sorted(ids(tables.training) + ids(tables.validation)) == sorted(ids(table))
    assert len(tables.validation) == 6
    assert tables.taxonomy is table.taxonomy
    assert tables.test is None


def test_rows_keep_their_order_labels_and_images(table_of, tmp_path):
    table = table_of(10)
    tables = split_table(table, config(), tmp_path / "run")
    for part in (tables.training, tables.validation):
        rows = part.ids.astype(int)
        assert (np.diff(rows) > 0).all()
        assert np.array_equal(part.targets, table.targets[rows])
        assert np.array_equal(part.image_names, table.image_names[rows])


def test_the_seed_decides_the_split(table_of, tmp_path):
    table = table_of(30)
    sides = [
        ids(split_table(table, config(random_state=seed), tmp_path / str(run)).validation)
        for run, seed in enumerate((1, 1, 2))
    ]
    assert sides[0] == sides[1] != sides[2]


def test_a_resumed_run_takes_the_split_of_its_folder(table_of, tmp_path):
    table = table_of(20)
    first = split_table(table, config(random_state=1), tmp_path / "run")
    write_split(tmp_path / "run" / SPLIT_NAME, table.ids, np.isin(table.ids, first.validation.ids))
    again = split_table(table, config(random_state=2, val_ratio=0.5), tmp_path / "run")
    assert ids(again.validation) == ids(first.validation)


def test_a_given_split_is_used(table_of, tmp_path):
    table = table_of(6)
    given = np.array([True, False, False, True, False, False])
    write_split(tmp_path / "given.csv", table.ids, given)
    tables = split_table(table, config(split_path=tmp_path / "given.csv"), tmp_path / "run")
    assert ids(tables.validation) == ["0", "3"]


def test_the_split_of_the_folder_precedes_a_given_one(table_of, tmp_path):
    table = table_of(6)
    first = split_table(table, config(), tmp_path / "run")
    write_split(tmp_path / "run" / SPLIT_NAME, table.ids, np.isin(table.ids, first.validation.ids))
    other = ~np.isin(table.ids, first.validation.ids)
    write_split(tmp_path / "given.csv", table.ids, other)
    again = split_table(table, config(split_path=tmp_path / "given.csv"), tmp_path / "run")
    assert ids(again.validation) == ids(first.validation)


def test_a_split_of_other_rows_is_refused(table_of, tmp_path):
    table = table_of(6)
    write_split(tmp_path / "given.csv", np.array(["0", "99"]), np.array([True, False]))
    with pytest.raises(InputError, match=r"given\.csv"):
        split_table(table, config(split_path=tmp_path / "given.csv"), tmp_path / "run")


def test_equal_images_stay_on_one_side(table_of, tmp_path):
    table = table_of(20)
    for row in range(0, 20, 4):  # of four images, the two of one category are equal
        table.path(row + 2).write_bytes(table.path(row).read_bytes())
    progress = []
    tables = split_table(
        table,
        config(group_duplicates=True, val_ratio=0.5),
        tmp_path / "run",
        lambda done, total: progress.append((done, total)),
    )
    held_out = set(ids(tables.validation))
    assert held_out
    for row in range(0, 20, 4):
        assert (str(row) in held_out) == (str(row + 2) in held_out)
    assert progress[-1] == (20, 20)


@pytest.mark.parametrize(("is_validation", "side"), [(True, "training"), (False, "validation")])
def test_a_side_without_rows_is_refused(table_of, tmp_path, is_validation, side):
    table = table_of(3)
    write_split(tmp_path / "given.csv", table.ids, np.full(3, is_validation))
    with pytest.raises(InputError, match=rf"the split leaves no row for {side}"):
        split_table(table, config(split_path=tmp_path / "given.csv"), tmp_path / "run")


def test_rows_that_all_show_one_image_are_said_to(table_of, tmp_path):
    table = table_of(6)
    split = Split(np.full(6, TRAIN), np.zeros(6, dtype=np.int64))
    message = r"6 rows with 1 different images \(near-duplicates stay together\) are too few"
    with pytest.raises(InputError, match=message):
        cut_table(table, split, config())


def test_a_table_of_one_row_is_too_small(table_of, tmp_path):
    with pytest.raises(InputError, match=r"train\.csv: .* 1 rows are too few for `val_ratio=0\.2`"):
        split_table(table_of(1), config(), tmp_path / "run")


def test_classes_are_counted_for_each_task_over_labelled_rows(table_of):
    table = table_of(4)
    labels = np.array([[2, 1, -1], [1, 2, 0], [2, -1, -1], [-1, 0, 0]])
    counts = count_classes(replace(table, targets=labels))
    assert [each.tolist() for each in counts] == [[0, 0, 2], [0, 1], [0, 1], [1, 0, 1], [2]]


def test_class_counts_and_priors_are_written_and_absent_classes_counted(csv_path):
    taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"], "color": ["blue", "red"]}})
    path = csv_path.parent / "attrs.json"
    path.write_text(taxonomy.to_json())
    table = read_labelled_table(csv_path, csv_path.parent, path, None)
    assert write_class_counts(csv_path.parent / "class_counts.csv", table) == 1
    assert (csv_path.parent / "class_counts.csv").read_text().splitlines() == [
        "category,attribute,class,count,prior",
        "Sarees,border,zari,1,0.5",
        "Sarees,border,no,1,0.5",
        "Sarees,color,blue,0,0",
        "Sarees,color,red,1,1",
    ]


def test_the_seed_of_the_split_is_apart_from_that_of_everything_else(table_of, tmp_path):
    table = table_of(30)

    def held_out(**seeds: int) -> list[str]:
        return ids(split_table(table, config(**seeds), tmp_path).validation)

    assert held_out(random_state=1, split_seed=5) == held_out(random_state=2, split_seed=5)
    assert held_out(random_state=1, split_seed=2) == held_out(random_state=2)
    assert held_out(split_seed=0) != held_out(split_seed=1)


def test_without_new_flags_the_split_is_that_of_before(table_of, tmp_path):
    table = table_of(30)
    before = split_rows(table.categories, 0.2, 42)
    assert ids(split_table(table, config(), tmp_path).validation) == table.ids[before].tolist()


def test_a_test_part_is_taken_from_the_training_rows_only(table_of, tmp_path):
    table = table_of(40)
    without = split_table(table, config(val_ratio=0.2), tmp_path)
    tables = split_table(table, config(val_ratio=0.2, test_ratio=0.1), tmp_path)
    assert ids(tables.validation) == ids(without.validation)
    assert len(tables.test) == 4
    assert set(ids(tables.test)) | set(ids(tables.training)) == set(ids(without.training))


def test_a_test_part_that_would_be_empty_is_refused(table_of, tmp_path):
    with pytest.raises(InputError, match=r"leaves no row for test; .* for `test_ratio=0\.01`"):
        split_table(table_of(8), config(test_ratio=0.01), tmp_path)


def test_the_rows_of_a_run_are_written_down(table_of, tmp_path):
    table = table_of(6)
    parts = np.array([TRAIN, TEST, TRAIN, TRAIN, VALIDATION, TRAIN])
    write_rows(tmp_path / "run", record(table), Split(parts, np.array([0, 0, 2, 3, 4, 2])), table)
    assert read_split(tmp_path / "run" / SPLIT_NAME, table.ids).tolist() == parts.tolist()
    lines = (tmp_path / "run" / SPLIT_NAME).read_text().splitlines()
    assert lines[1:3] == [f"0,{PARTS[TRAIN]},0", f"1,{PARTS[TEST]},0"]
    for name in (DATA_NAME, CLASS_COUNTS_NAME):
        assert (tmp_path / "run" / name).stat().st_size > 0


def test_markers_and_columns_of_the_config_reach_taxonomy_and_table(tmp_path: Path) -> None:
    for row in range(3):
        (tmp_path / f"{row:06d}.jpg").touch()
    path = tmp_path / "a.csv"
    path.write_text("id,Category,color,extra\n0,a,?,x\n1,a,red,NA\n2,a,None,y\n")
    notes: list[str] = []
    reading = LabelReading(missing_values=("?",), attribute_columns=("color",))
    table = read_labelled_table(path, tmp_path, None, None, reading, notes.append)
    assert table.taxonomy.to_dict() == {"a": {"color": ["None", "red"]}}
    assert table.targets.tolist() == [[-1], [1], [0]]
    assert len(notes) == 1
    given = tmp_path / "attrs.json"
    given.write_text('{"a": {"color": ["red", "?"]}}')
    with pytest.raises(InputError, match=r"attrs\.json: .*'a/color' has class '\?', which means"):
        read_labelled_table(path, tmp_path, given, None, reading)


def test_rare_labels_are_settled_once_for_all_files_of_a_run(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("id,Category,color\n1,a,red\n2,a,red\n3,a,blue\n")
    data = DataConfig(tmp_path, path, min_rows=2, attribute_columns=("color",))
    settled = with_rare_labels(TrainConfig(data))
    assert settled.data.rare_labels == {"color": {"a": {"": ("blue",)}}}
    assert settled.data.min_rows is None
    path.unlink()  # it is not counted again, and a resumed run takes what its config.toml says
    assert with_rare_labels(settled) == settled
    assert from_dict(TrainConfig, to_dict(settled)) == settled
    with pytest.raises(InputError, match="`min_rows` and `attributes_config` both say"):
        replace(data, attributes_config=path)


def test_rare_labels_of_a_validation_file_are_those_of_the_training_csv(tmp_path: Path) -> None:
    rows = {"train": ["1,a,red", "2,a,red", "3,a,blue"], "val": ["4,a,blue", "5,a,blue", "6,a,red"]}
    for name, lines in rows.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(["id,Category,color", *lines]))
    for row in range(1, 7):
        (tmp_path / f"{row}.jpg").touch()
    files = {"csv_path": tmp_path / "train.csv", "val_csv_path": tmp_path / "val.csv"}
    data = DataConfig(tmp_path, **files, min_rows=2, attribute_columns=("color",))
    assert read_rows(data).table.targets[:, 0].tolist() == [0, 0, -1, -1, -1, 0]


def test_the_folds_hold_every_row_out_once(table_of, tmp_path):
    table = table_of(24)
    held_out = [
        ids(split_table(table, config(folds=3, fold=fold), tmp_path / "run").validation)
        for fold in range(3)
    ]
    assert sorted(np.concatenate(held_out)) == sorted(table.ids)
    assert [len(each) for each in held_out] == [8, 8, 8]


def test_folds_take_over_the_groups_of_another_run(table_of, tmp_path):
    table = table_of(8)
    for row in (4, 6):  # copies of row 0
        table.path(row).write_bytes(table.path(0).read_bytes())
    write_rows(tmp_path, record(table), Split(np.zeros(8, np.int8), np.arange(8)), table)
    rows = Rows(table, np.zeros(8, dtype=np.int8))
    settings = config(folds=2, fold=0, group_duplicates=True)
    compared = choose_split(rows, settings, None)
    assert compared.groups.tolist() == [0, 1, 2, 3, 0, 5, 0, 7]
    taken = choose_split(rows, settings, None, groups_path=tmp_path / SPLIT_NAME)
    assert taken.groups.tolist() == list(range(8))


def test_a_resumed_run_has_the_groups_of_its_split(table_of, tmp_path):
    table = table_of(8)
    table.path(4).write_bytes(table.path(0).read_bytes())
    settings = config(group_duplicates=True)
    rows = Rows(table, np.zeros(8, dtype=np.int8))
    first = choose_split(rows, settings, None)
    write_rows(tmp_path, record(table), first, table)
    again = choose_split(rows, settings, tmp_path / SPLIT_NAME)
    assert again.groups.tolist() == first.groups.tolist() == [0, 1, 2, 3, 0, 5, 6, 7]
    assert again.parts.tolist() == first.parts.tolist()
    given = choose_split(rows, config(split_path=tmp_path / SPLIT_NAME), None)
    assert given.groups.tolist() == first.groups.tolist()


def test_held_out_rows_carry_labels_counts_and_groups(table_of):
    table = table_of(8)
    parts = np.array([TRAIN] * 5 + [VALIDATION] * 3, dtype=np.int8)
    tables = cut_table(table, Split(parts, np.array([0, 1, 2, 3, 4, 5, 0, 5])), config())
    found = tables.held_out(np.zeros((3, 3, 3), dtype=np.float32))
    assert found.ids.tolist() == ["5", "6", "7"]
    assert found.groups.tolist() == [5, 0, 5]
    assert found.targets.tolist() == table.targets[5:].tolist()
    assert found.class_counts == named_class_counts(tables.training)
    assert cut_table(table, Split(parts), config()).groups.tolist() == [5, 6, 7]


def test_folds_that_leave_nothing_to_validate_are_refused(table_of, tmp_path):
    with pytest.raises(InputError, match=r"leaves no row for validation; .* for `folds=9`"):
        split_table(table_of(8), config(folds=9, fold=8), tmp_path)
