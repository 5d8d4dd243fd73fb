import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.table import build_taxonomy, read_table
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_dict(
    {
        "Sarees": {"border": ["zari", "no"], "color": ["red", "blue", "3"]},
        "Kurtis": {"color": ["red", "green"], "neck": ["round", "vee"], "fit": ["slim"]},
        "Shawls": {"color": ["red"]},
    }
)
NUMBERED = """\
id,Category,len,attr_1,attr_2,attr_3,attr_4
7,Sarees,2,no,3,,
11,Kurtis,3,green,,slim,dummy_value
5,Sarees,2," zari
",NaN,dummy_value,
"""
WIDE = """\
fit,id,category,border,color,neck,price
,7,Sarees,no,3,dummy_value,99
slim,11,Kurtis,,green,,12
,5,Sarees," zari
",NaN,null,7
"""
TARGETS = [[1, 2, -1], [1, -1, 0], [0, -1, -1]]


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("000005.jpg", "000007.PNG", "11.webp", "000001.jpg", "000002.jpg"):
        (folder / name).touch()
    return folder


def write(tmp_path, content, name="train.csv") -> Path:
    path = tmp_path / name
    path.write_text(content, newline="")
    return path


def read(tmp_path, images, content, **options):
    return read_table(write(tmp_path, content), images, TAXONOMY, **options)


def row(line: str) -> str:
    return f"id,Category,len,attr_1,attr_2,attr_3\n1,Sarees,2,zari,red,\n{line}\n"


@pytest.mark.parametrize("content", [NUMBERED, WIDE])
def test_both_forms_give_the_same_table(tmp_path, images, content):
    table = read(tmp_path, images, content)
    assert len(table) == 3
    assert table.ids.tolist() == ["7", "11", "5"]
    assert table.categories.tolist() == [0, 1, 0]
    assert table.targets.tolist() == TARGETS
    assert table.categories.dtype == table.targets.dtype == np.int64
    names = [table.path(i) for i in range(3)]
    assert names == [images / "000007.PNG", images / "11.webp", images / "000005.jpg"]


def test_parquet_gives_the_same_table_as_csv(tmp_path, images):
    path = tmp_path / "train.parquet"
    frame = pl.DataFrame(
        {
            "id": [7, 11, 5],
            "Category": ["Sarees", "Kurtis", "Sarees"],
            "len": [2, 3, 2],
            "attr_1": ["no", "green", "zari"],
            "attr_2": ["3", None, None],
            "attr_3": [None, "slim", "dummy_value"],
        }
    )
    frame.write_parquet(path)
    table = read_table(path, images, TAXONOMY)
    assert table.ids.tolist() == ["7", "11", "5"]
    assert table.targets.tolist() == TARGETS


def test_every_label_is_that_of_the_taxonomy(tmp_path, images):
    """The oracle encodes cell by cell."""
    random = np.random.default_rng(0)
    lines, expected = ["id,Category,attr_1,attr_2,attr_3"], []
    for number in range(300):
        category = str(random.choice(TAXONOMY.categories))
        attributes = TAXONOMY.attributes(category)
        labels = [
            str(random.choice(["", *TAXONOMY.task(category, name).classes])) for name in attributes
        ]
        padding = [""] * (3 - len(labels))
        lines.append(",".join([str(number), category, *labels, *padding]))
        known = [
            TAXONOMY.encode(category, name, label)
            for name, label in zip(attributes, labels, strict=True)
        ]
        expected.append(known + [-1] * (3 - len(known)))
    table = read(tmp_path, images, "\n".join(lines), missing_images="keep")
    assert table.targets.tolist() == expected


def test_unlabelled_rows_need_no_label_columns(tmp_path, images):
    table = read(tmp_path, images, "id,Category\n7,Sarees\n11,Kurtis\n", labelled=False)
    assert table.targets.tolist() == [[-1] * 3] * 2


def test_labels_are_not_looked_at_where_none_are_wanted(tmp_path, images):
    table = read(tmp_path, images, row("2,Kurtis,3,nonsense,,"), labelled=False)
    assert (table.targets == -1).all()


def test_a_blank_len_is_not_compared(tmp_path, images):
    assert len(read(tmp_path, images, row("2,Kurtis,,green,,"))) == 2


def test_a_len_of_pandas_is_accepted(tmp_path, images):
    assert len(read(tmp_path, images, row("2,Kurtis,3.0,green,,"))) == 2


def test_columns_of_absent_categories_are_not_needed(tmp_path, images):
    table = read(tmp_path, images, "id,Category,attr_1\n1,Shawls,red\n")
    assert table.targets.tolist() == [[0, -1, -1]]


def test_take_accepts_numbers_and_masks(tmp_path, images):
    table = read(tmp_path, images, NUMBERED)
    for rows in (np.array([0, 2]), np.array([True, False, True])):
        part = table.take(rows)
        assert part.ids.tolist() == ["7", "5"]
        assert part.targets.tolist() == [TARGETS[0], TARGETS[2]]
        assert part.path(1) == images / "000005.jpg"
        assert part.categories.tolist() == [0, 0]
    assert len(table.take(np.array([], dtype=np.int64))) == 0


def test_class_counts_count_labelled_rows_of_the_category_only(tmp_path, images):
    table = read(tmp_path, images, NUMBERED)
    counts = {task.name: table.class_counts(i).tolist() for i, task in enumerate(TAXONOMY.tasks)}
    assert counts == {
        "Sarees/border": [1, 1],
        "Sarees/color": [0, 0, 1],
        "Kurtis/color": [0, 1],
        "Kurtis/neck": [0, 0],
        "Kurtis/fit": [1],
        "Shawls/color": [0],
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Category,attr_1\nSarees,no\n", r"column 'id' is none of: Category, attr_1\. Add the"),
        ("id,attr_1\n1,no\n", r"column 'Category' is none of: id, attr_1\."),
        ("id,Category,attr_1\n1,Sarees,no\n", r"column 'attr_2' is none of: .* Did you mean 'att"),
        ("id,Category,border,colour\n1,Sarees,,\n", r"column 'color' is .* Did you mean 'colour'"),
        ("id,Category\n1,Sarees\n", r"no column with labels; name them attr_1, .* \(border, color"),
        (row(",Sarees,2,,,"), r"row 3, column 'id': is empty; every product needs an id"),
        (row("1,Sarees,2,,,"), r"row 3, column 'id': '1' is already in row 2; remove one"),
        (row("2,Saree,2,,,"), r"row 3, column 'Category': 'Saree' is none.* Did you mean 'Sarees'"),
        (row("2,,2,,,"), r"row 3, column 'Category': is empty; every product needs a category"),
        (row("2,NA,2,,,"), r"row 3, column 'Category': 'NA' means unknown \(see `missing_val"),
        (row("2,Sarees,3,,,"), r"row 3, column 'len': '3', but Sarees has 2 attributes; correct"),
        (row("2,Sarees,two,,,"), r"row 3, column 'len': 'two', but Sarees has 2 attributes"),
        (row("2,Sarees,2,zary,,"), r"row 3, column 'attr_1': 'zary' is none of: zari, no\. Did yo"),
        (row("2,Sarees,2,Zari,,"), r"'Zari' is .* mean 'zari'\? Correct the label of Sarees/bord"),
        (row("2,Sarees,2,,dummy_value,"), r"column 'attr_2': 'dummy_value' is none of: red, blue"),
        (row("2,Sarees,2,,,slim"), r"row 3, column 'attr_3': 'slim', but Sarees has no attribute"),
        (WIDE.replace("no,3,dummy", "no,3,vee"), "row 2, column 'neck': 'vee.*only border, color"),
        ("id,Category,attr_1,attr_4\n1,Shawls,,x\n", "column 'attr_4': 'x', but Shawls has no at"),
        (NUMBERED + "6,Sarees,2,x,,,\n", r"row 6, column 'attr_1': 'x'"),  # a label has two lines
        ("", r"train\.csv: the file is empty"),
    ],
)
def test_a_wrong_cell_is_named_with_row_column_value_and_remedy(
    tmp_path, images, content, expected
):
    with pytest.raises(InputError, match=expected) as error:
        read(tmp_path, images, content)
    assert str(tmp_path / "train.csv") in str(error.value)


@pytest.mark.parametrize(
    ("line", "column"),
    [("{},Saree,2,,,", "Category"), ("{},Sarees,7,,,", "len"), ("{},Sarees,2,x,,", "attr_1")],
)
def test_several_wrong_rows_are_counted(tmp_path, images, line, column):
    content = row("\n".join(line.format(number) for number in range(10, 14)))
    with pytest.raises(InputError, match=rf"row 3, column '{column}'.* \(3 more rows are wrong\)"):
        read(tmp_path, images, content)


def test_missing_images_are_counted_and_the_first_is_named(tmp_path, images):
    content = row("31,Sarees,2,,,\nx1,Sarees,2,,,")
    with pytest.raises(
        InputError,
        match=r"row 3, column 'id': '31' has no image; looked for 000031\.jpg in .*images "
        r"\(2 of 3 rows have none\); add",
    ):
        read(tmp_path, images, content)


def test_rows_without_an_image_can_be_kept(tmp_path, images):
    table = read(tmp_path, images, row("31,Sarees,2,,,"), missing_images="keep")
    assert table.path(1) == images / "000031.jpg"


@pytest.mark.parametrize("missing_images", ["error", "keep"])
def test_a_missing_image_folder_says_so(tmp_path, missing_images):
    with pytest.raises(InputError, match="no such image folder; check `img_dir`"):
        read(tmp_path, tmp_path / "none", NUMBERED, missing_images=missing_images)


def test_70_000_rows_are_read(tmp_path, images):
    lines = [f"{i},Kurtis,3,green,vee,slim\n" for i in range(70_000)]
    path = write(tmp_path, "id,Category,len,attr_1,attr_2,attr_3\n" + "".join(lines))
    table = read_table(path, images, TAXONOMY, missing_images="keep")
    assert (table.targets == [1, 1, 0]).all()


def write_attributes(tmp_path, attributes) -> Path:
    path = tmp_path / "attributes.parquet"
    columns = {"Category": list(attributes), "Attribute_list": list(attributes.values())}
    pl.DataFrame(columns).write_parquet(path)
    return path


def test_a_taxonomy_is_built_from_csv_and_parquet(tmp_path):
    path = write_attributes(
        tmp_path, {"Sarees": ["border", "color"], "Kurtis": ["color", "neck", "fit"]}
    )
    content = NUMBERED + "3,Kurtis,3,blue,vee,,\n4,Kurtis,3,blue,,,\n"
    taxonomy = build_taxonomy(write(tmp_path, content), path)
    assert taxonomy.to_dict() == {
        "Sarees": {"border": ["no", "zari"], "color": ["3"]},
        "Kurtis": {"color": ["blue", "green"], "neck": ["vee"], "fit": ["slim"]},
    }


def test_parquet_names_can_go_with_named_columns(tmp_path):
    path = write_attributes(tmp_path, {"Sarees": ["color", "border"], "Kurtis": ["fit"]})
    assert build_taxonomy(write(tmp_path, WIDE), path).to_dict() == {
        "Sarees": {"color": ["3"], "border": ["no", "zari"]},
        "Kurtis": {"fit": ["slim"]},
    }


def test_named_columns_belong_to_the_categories_that_have_a_label_there(tmp_path):
    content = WIDE.replace(",price", "").replace(",99", "").replace(",12", "").replace(",7\n", "\n")
    assert build_taxonomy(write(tmp_path, content)).to_dict() == {
        "Kurtis": {"fit": ["slim"], "color": ["green"]},
        "Sarees": {"border": ["no", "zari"], "color": ["3"]},
    }


def test_numbered_columns_are_attributes_up_to_len(tmp_path):
    with pytest.warns(UserWarning, match=r"no label in Kurtis/attr_2; their only class is 'd"):
        taxonomy = build_taxonomy(write(tmp_path, NUMBERED))
    assert taxonomy.to_dict() == {
        "Kurtis": {"attr_1": ["green"], "attr_2": ["default"], "attr_3": ["slim"]},
        "Sarees": {"attr_1": ["no", "zari"], "attr_2": ["3"]},
    }


def test_numbered_columns_without_len_are_attributes_up_to_the_last_label(tmp_path):
    content = "id,Category,attr_1,attr_2,attr_3\n1,a,x,y,dummy_value\n2,b,z,,\n"
    assert build_taxonomy(write(tmp_path, content)).to_dict() == {
        "a": {"attr_1": ["x"], "attr_2": ["y"]},
        "b": {"attr_1": ["z"]},
    }


def test_a_built_taxonomy_reads_its_own_file(tmp_path, images):
    with pytest.warns(UserWarning, match="default"):
        taxonomy = build_taxonomy(write(tmp_path, NUMBERED))
    table = read_table(tmp_path / "train.csv", images, taxonomy)
    assert table.targets.tolist() == [[0, 0, -1], [0, -1, 0], [1, -1, -1]]


def test_the_order_of_the_rows_does_not_change_the_taxonomy(tmp_path):
    lines = ["1,b,x\n", "2,a,z\n", "3,a,y\n"]
    texts = ["id,Category,attr_1\n" + "".join(each) for each in (lines, lines[::-1])]
    one, other = (build_taxonomy(write(tmp_path, text)) for text in texts)
    assert one == other


@pytest.mark.parametrize("given", ["7", "1e9", "inf"])
def test_a_len_beyond_the_columns_names_the_missing_column(tmp_path, given):
    content = f"id,Category,len,attr_1\n1,a,{given},x\n"
    with pytest.raises(InputError, match="column 'attr_2' is none of: id, Category, len, attr_1"):
        build_taxonomy(write(tmp_path, content))


@pytest.mark.parametrize("header", ["color", "attr_1"])
def test_a_category_without_any_label_has_no_attributes(tmp_path, header):
    content = f"id,Category,{header}\n1,Sarees,red\n2,Kurtis,\n"
    with pytest.raises(InputError, match=r"'Category': 'Kurtis' has no label in any row.*`parq_p"):
        build_taxonomy(write(tmp_path, content))


def test_a_category_without_any_label_is_named_in_its_own_column(tmp_path):
    path = write(tmp_path, "id,kind,color\n1,Sarees,red\n2,Sarees,blue\n3,Kurtis,\n")
    with pytest.raises(InputError, match=r"column 'kind': 'Kurtis' has no label in any row"):
        build_taxonomy(path, reading=LabelReading(category_column=("kind",)))


def test_a_category_that_is_not_in_the_parquet_says_so(tmp_path):
    path = write_attributes(tmp_path, {"Sarees": ["border", "color"], "Kurta": ["color"]})
    with pytest.raises(InputError, match=r"row 3, column 'Category': 'Kurtis' .* mean 'Kurta'"):
        build_taxonomy(write(tmp_path, NUMBERED), path)


def test_a_missing_parquet_says_so(tmp_path):
    with pytest.raises(InputError, match=r"no\.parquet: no such file; check `parq_path`"):
        build_taxonomy(write(tmp_path, NUMBERED), tmp_path / "no.parquet")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"Category": ["a"], "Attributes": [["x"]]}, "column 'Attribute_list' is none of"),
        ({"Attribute_list": [["x"]]}, "column 'Category' is none of: Attribute_list"),
        ({"Category": ["a"], "Attribute_list": ["x"]}, "holds String, expected lists of names"),
    ],
)
def test_a_parquet_of_another_form_says_so(tmp_path, columns, expected):
    path = tmp_path / "a.parquet"
    pl.DataFrame(columns).write_parquet(path)
    with pytest.raises(InputError, match=expected):
        build_taxonomy(write(tmp_path, NUMBERED), path)


MARKED = """\
id,Category,attr_1,attr_2
7,Sarees,no,NA
11,Sarees,None,NaN
5,Sarees,,none
1,Sarees,?,red
"""


def test_markers_of_pandas_are_unknown_and_counted_in_one_note(tmp_path, images):
    notes: list[str] = []
    content = MARKED.replace("none", "blue").replace("?", "nan")
    table = read(tmp_path, images, content, on_note=notes.append)
    assert table.targets[:, :2].tolist() == [[1, -1], [-1, -1], [-1, 1], [-1, 0]]
    (note,) = notes
    assert note.startswith(
        f"note: {tmp_path / 'train.csv'}: cells read as unknown because they hold a"
    )
    assert "a marker of a missing value: 4 (" in note
    assert all(f"'{marker}' 1" in note for marker in ("NA", "None", "NaN", "nan"))
    assert note.endswith("change the markers with `missing_values`")


def test_empty_cells_and_columns_without_labels_make_no_note(tmp_path, images):
    notes: list[str] = []
    read(tmp_path, images, "id,Category,attr_1,attr_2,x\n7,Sarees,no,,NA\n", on_note=notes.append)
    assert notes == []


def test_other_markers_can_be_chosen(tmp_path, images):
    reading = LabelReading(missing_values=("?", "none"))
    taxonomy = Taxonomy.from_dict({"Sarees": {"x": ["no", "None"], "y": ["NA", "NaN", "red"]}})
    path = write(tmp_path, MARKED)
    table = read_table(path, images, taxonomy, reading=reading)
    assert table.targets.tolist() == [[0, 0], [1, 1], [-1, -1], [-1, 2]]
    assert build_taxonomy(path, reading=reading).to_dict() == {
        "Sarees": {"attr_1": ["None", "no"], "attr_2": ["NA", "NaN", "red"]}
    }


def test_the_class_none_stays_a_class_of_a_built_taxonomy(tmp_path):
    content = "id,Category,color\n1,a,none\n2,a,None\n3,a,red\n"
    assert build_taxonomy(write(tmp_path, content)).to_dict() == {"a": {"color": ["none", "red"]}}


def test_a_class_called_like_a_marker_is_refused(tmp_path, images):
    taxonomy = Taxonomy.from_dict({"Sarees": {"x": ["no", "None"]}})
    path = write(tmp_path, "id,Category,attr_1\n7,Sarees,no\n")
    with pytest.raises(InputError, match=r"'Sarees/x' has class 'None', which means unknown; rena"):
        read_table(path, images, taxonomy)
    assert len(read_table(path, images, taxonomy, labelled=False)) == 1


TITLED = "id,Category,title,color\n" + "".join(
    f"{i},a,Red saree no. {i},{'red' if i % 2 else 'blue'}\n" for i in range(40)
)


def test_a_column_of_text_is_left_out_with_a_warning(tmp_path):
    path = write(tmp_path, TITLED)
    with pytest.warns(
        UserWarning,
        match=r"left out: 'title' \(40 values in 40 rows\); name the attributes with `a",
    ):
        taxonomy = build_taxonomy(path)
    assert taxonomy.to_dict() == {"a": {"color": ["blue", "red"]}}


def test_named_columns_are_attributes_whatever_they_hold(tmp_path, images):
    path = write(tmp_path, TITLED)
    reading = LabelReading(attribute_columns=("title",))
    (task,) = build_taxonomy(path, reading=reading).tasks
    assert (task.attribute, len(task.classes)) == ("title", 40)


@pytest.mark.parametrize(
    ("rows", "distinct", "is_text"), [(30, 30, False), (31, 31, True), (62, 31, False)]
)
def test_text_has_more_than_30_values_and_most_of_them_once(tmp_path, rows, distinct, is_text):
    lines = "".join(f"{i},a,x{i % distinct},y\n" for i in range(rows))
    path = write(tmp_path, "id,Category,x,y\n" + lines)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        attributes = build_taxonomy(path).attributes("a")
    assert (attributes == ("y",)) == is_text == bool(caught)


def test_chosen_columns_win_over_numbered_ones_and_the_others_are_not_read(tmp_path, images):
    content = "id,Category,attr_1,border,color\n7,Sarees,nonsense,no,nonsense\n"
    taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"]}})
    reading = LabelReading(attribute_columns=("border",))
    path = write(tmp_path, content)
    assert read_table(path, images, taxonomy, reading=reading).targets.tolist() == [[1]]
    assert build_taxonomy(path, reading=reading).to_dict() == {"Sarees": {"border": ["no"]}}


def test_a_chosen_column_that_is_not_there_is_named(tmp_path):
    reading = LabelReading(attribute_columns=("colour",))
    with pytest.raises(
        InputError, match=r"`attribute_columns` 'colour' is none.* Did you mean 'co"
    ):
        build_taxonomy(write(tmp_path, TITLED), reading=reading)


@pytest.mark.parametrize("given", ["-inf", "-3", "0", "1.5", "two"])
def test_a_len_that_is_no_number_of_attributes_is_named_with_its_row(tmp_path, given):
    content = f"id,Category,len,attr_1\n1,a,1,x\n2,a,{given},x\n"
    with pytest.raises(InputError, match=rf"row 3, column 'len': '{given}', expected the num"):
        build_taxonomy(write(tmp_path, content))


@pytest.mark.parametrize("number", ["99999999999", "9" * 5000])
def test_a_column_with_an_endless_number_is_refused(tmp_path, number):
    content = f"id,Category,attr_1,attr_{number}\n1,a,x,y\n"
    with pytest.raises(InputError, match=r"column 'attr_999.*: columns of labels are .* attr_9999"):
        build_taxonomy(write(tmp_path, content))


def test_a_gap_in_the_numbers_is_named(tmp_path):
    content = "id,Category,attr_1,attr_9999\n1,a,x,y\n"
    with pytest.raises(InputError, match=r"column 'attr_2' is none of: id, Category, attr_1, attr"):
        build_taxonomy(write(tmp_path, content))


def test_an_empty_category_is_named_with_its_row(tmp_path):
    with pytest.raises(InputError, match=r"row 3, column 'Category': is empty; every product need"):
        build_taxonomy(write(tmp_path, "id,Category,color\n1,a,red\n2,,red\n"))


def test_an_impossible_taxonomy_names_its_file(tmp_path):
    content = "id,Category,b/c,c\n1,a,x,\n2,a/b,,y\n"
    with pytest.raises(InputError, match=r"train\.csv: taxonomy: attribute 'a/b/c' appears twice"):
        build_taxonomy(write(tmp_path, content))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"Category": ["a", "a"], "Attribute_list": [["x"], ["y"]]},
            r"row 2, .*'a' appears twice",
        ),
        ({"Category": [None], "Attribute_list": [["x"]]}, r"row 1, column 'Category': '' is empty"),
        ({"Category": [b"\xff"], "Attribute_list": [["x"]]}, "row 1, column 'Category': .* UTF-8"),
        (
            {"Category": ["a", "b"], "Attribute_list": [["x"], None]},
            r"row 2, column 'Attribute_list': \[\], ex",
        ),
        (
            {"Category": ["a"], "Attribute_list": [["x", None]]},
            r"row 1, column 'Attribute_list': \[",
        ),
    ],
)
def test_a_wrong_list_of_attributes_is_named_with_its_row(tmp_path, columns, expected):
    path = tmp_path / "a.parquet"
    pl.DataFrame(columns).write_parquet(path)
    with pytest.raises(InputError, match=rf"a\.parquet, {expected}"):
        build_taxonomy(write(tmp_path, NUMBERED), path)


def test_a_column_of_10_000_values_holds_no_categories(tmp_path):
    path = write(tmp_path, "sku,name,color\n" + "".join(f"{i},n{i},red\n" for i in range(10_000)))
    reading = LabelReading(id_column="sku", category_column=("name",))
    with pytest.raises(
        InputError,
        match=r"column 'name': 10,000 values in 10,000 rows \(first 'n0'\), which are no",
    ):
        build_taxonomy(path, reading=reading)


def test_attributes_that_teach_nothing_are_named(tmp_path):
    rows = "".join(f"{i},x,n{i},{'ab'[i % 2]}\n" for i in range(12))
    path = write(tmp_path, "sku,one,each,color\n" + rows)
    reading = LabelReading(
        id_column="sku", category_name="Tops", attribute_columns=("one", "each", "color")
    )
    with pytest.warns(
        UserWarning,
        match=r"learnt of these .*'one' \(one value in 12 .*'each' \(another value in each of 12",
    ):
        assert build_taxonomy(path, reading=reading).attributes("Tops") == ("one", "each", "color")


def test_with_named_roles_all_columns_that_can_be_labels_are_attributes(tmp_path):
    rows = "".join(f"{i},{2000 + i % 5},{'ab'[i % 2]},x\n" for i in range(12))
    path = write(tmp_path, "sku,year,color,brand\n" + rows)
    reading = LabelReading(id_column="sku", category_name="Tops")
    with pytest.warns(
        UserWarning,
        match=r"that are no attributes are left out: 'year' \(numbers\), 'brand' \(one value\)",
    ):
        assert build_taxonomy(path, reading=reading).attributes("Tops") == ("color",)


def test_half_a_category_is_refused_with_its_column(tmp_path):
    path = write(tmp_path, "id,gender,type,color\n1,Men,Tops,red\n2,,Tops,red\n")
    reading = LabelReading(category_column=("gender", "type"))
    with pytest.raises(InputError, match="row 3, column 'gender': is empty; every product needs"):
        build_taxonomy(path, reading=reading)


def test_an_unknown_joined_category_is_named_as_a_whole(tmp_path, images):
    path = write(tmp_path, "id,gender,type,border\n7,Men,Sarees,no\n")
    taxonomy = Taxonomy.from_dict({"Women Sarees": {"border": ["zari", "no"]}})
    reading = LabelReading(category_column=("gender", "type"))
    with pytest.raises(InputError, match=r"row 2, column 'gender type': 'Men Sarees' is none of"):
        read_table(path, images, taxonomy, reading=reading)


def test_how_a_file_was_read_is_said(tmp_path, images):
    path = write(tmp_path, "id;Category;border\n7;Sarees;no\n")
    notes = []
    taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"]}})
    assert len(read_table(path, images, taxonomy, on_note=notes.append)) == 1
    assert notes == [f"note: {path}: its values are separated by semicolons"]
