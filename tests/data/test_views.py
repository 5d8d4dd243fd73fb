"""Several images of one product: where they are named, and which of them an epoch shows."""

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from visual_taxonomy.catalogue import CatalogueConfig
from visual_taxonomy.data.duplicates import group_rows
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.table import Table, build_taxonomy, read_table
from visual_taxonomy.data.views import ViewOrder, images_of, joined_groups, products_of
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.row_files import _joined

TAXONOMY = Taxonomy.from_dict({"A": {"color": ["red", "blue"]}})
EXPECTED = [["p_front.png", "p_back.png"], ["q.png"]]
TWO = LabelReading(image_column=("front", "back"))
ONE = LabelReading(image_column="image")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in ("p_front", "p_back", "q"):
        pixels = random.integers(0, 256, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def write(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder.parent / name
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, folder: Path, reading: LabelReading = ONE, **options: object) -> Table:
    return read_table(path, folder, TAXONOMY, reading=reading, **options)  # type: ignore[arg-type]


def names(table: Table) -> list[list[str]]:
    found = table.image_names.tolist()
    return [[found[k] for k in table.numbers(row)] for row in range(len(table))]


HEADER = "id,Category,color,image\n"


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("id,Category,color,front,back\np,A,red,p_front,p_back\nq,A,blue,q.png,\n", TWO),
        (HEADER + "p,A,red,p_front.png; p_back.png;\nq,A,blue,q\n", ONE),
        (HEADER + "p,A,red,p_front.png\nq,A,blue,q.png\np,A,,p_back.png\n", ONE),
        (HEADER + "p,A,red,p_front;p_back\nq,A,blue,q\nq,A,blue,q.png\n", ONE),
    ],
)
def test_images_of_a_product_may_stand_in_columns_cells_or_rows(
    folder: Path, text: str, reading: LabelReading
) -> None:
    table = read(write(folder, text), folder, reading)
    assert names(table) == EXPECTED
    assert table.ids.tolist() == ["p", "q"]
    assert table.targets.tolist() == [[0], [1]]
    assert [table.row_of(number) for number in range(3)] == [0, 0, 1]


def test_lists_name_images_in_json_lines_and_parquet(folder: Path) -> None:
    rows = [
        {"id": "p", "Category": "A", "color": "red", "image": ["p_front.png", "p_back.png"]},
        {"id": "q", "Category": "A", "color": "blue", "image": ["q"]},
    ]
    frame = pl.DataFrame(rows)
    frame.write_parquet(folder.parent / "a.parquet")
    frame.write_ndjson(folder.parent / "a.jsonl")
    mixed = '{"id": "p", "Category": "A", "color": "red", "image": ["p_front", "p_back"]}\n'
    mixed += '{"id": "q", "Category": "A", "color": "blue", "image": "q"}\n'
    write(folder, mixed, "mixed.jsonl")
    for name in ("a.parquet", "a.jsonl", "mixed.jsonl"):
        assert names(read(folder.parent / name, folder)) == EXPECTED


def test_lists_of_bytes_are_images_of_one_product(folder: Path) -> None:
    content = [[(folder / name).read_bytes() for name in each] for each in EXPECTED]
    path = folder.parent / "a.parquet"
    frame = pl.DataFrame({"id": ["p", "q"], "Category": ["A", "A"], "color": ["red", "blue"]})
    frame.with_columns(image=pl.Series(content, dtype=pl.List(pl.Binary))).write_parquet(path)
    table = read_table(path, None, TAXONOMY, reading=ONE)
    assert [table.image(0), table.images[1], table.image(1)] == [*content[0], *content[1]]
    assert table.images.place(1) == f"{path}, row 1, column 'image', image 2"


def test_images_are_found_by_a_pattern(folder: Path) -> None:
    (folder / "q.png").rename(folder / "q_1.png")
    (folder / "p_note.txt").touch()
    path = write(folder, "id,Category,color\np,A,red\nq,A,blue\n")
    table = read(path, folder, LabelReading(image_pattern="{id}_*"))
    assert names(table) == [["p_back.png", "p_front.png"], ["q_1.png"]]
    with pytest.raises(InputError, match=r"row 3, column 'id': 'q' has no image; looked for q_b\*"):
        read(path, folder, LabelReading(image_pattern="{id}_b*"))


def test_a_pattern_may_have_a_folder_for_each_product(folder: Path) -> None:
    for name in ("000007", "b[1]"):
        (folder / name).mkdir()
        (folder / name / "1.png").touch()
        (folder / name / "2.PNG").touch()
    path = write(folder, "id,Category,color\n7,A,red\nb[1],A,blue\n")
    table = read(path, folder, LabelReading(image_pattern="{id}/*.*"))
    assert names(table) == [["000007/1.png", "000007/2.PNG"], ["b[1]/1.png", "b[1]/2.PNG"]]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("*.jpg", r"has no \{id\}"),
        ("*_{id}.jpg", r"a wildcard before \{id\} or in a folder"),
        ("{id}/*/1.jpg", r"a wildcard before \{id\} or in a folder"),
        ("../{id}_*.jpg", r"leads out of the image folder"),
    ],
)
def test_patterns_that_cannot_be_looked_up_are_refused(
    folder: Path, pattern: str, message: str
) -> None:
    path = write(folder, "id,Category,color\np,A,red\n")
    with pytest.raises(InputError, match=message):
        read(path, folder, LabelReading(image_pattern=pattern))


def test_columns_and_pattern_exclude_each_other() -> None:
    with pytest.raises(InputError, match="`image_column` and `image_pattern` exclude each other"):
        CatalogueConfig(image_column="a", image_pattern="{id}*")
    assert CatalogueConfig(image_column=("a",)).image_column == "a"
    with pytest.raises(InputError, match="`image_column` and `image_column` both name 'a'"):
        CatalogueConfig(image_column=("a", "a"))


def test_rows_of_one_product_must_agree(folder: Path) -> None:
    path = write(folder, HEADER + "p,A,red,p_front\nq,A,blue,q\np,A,blue,p_back\n")
    message = r"row 4, column 'color': 'blue', but row 2 of the same product 'p' says 'red'"
    with pytest.raises(InputError, match=message):
        read(path, folder)
    # What holds no label may say of each image what it likes.
    assert len(read(path, folder, labelled=False)) == 2
    path = write(folder, HEADER + "p,A,red,p_front\np,B,red,p_back\n")
    with pytest.raises(InputError, match=r"row 3, column 'Category': 'B', but row 2"):
        read(path, folder, labelled=False)


def test_rows_of_one_product_are_counted_once_and_said(folder: Path) -> None:
    path = write(folder, HEADER + "p,A,,p_front\nq,A,blue,q\np,A,red,p_back\n")
    notes: list[str] = []
    read(path, folder, on_note=notes.append)
    assert notes == [
        f"note: {path}: 3 rows of 2 products; rows of one id are images of one product"
    ]
    assert build_taxonomy(path, reading=ONE).to_dict() == {"A": {"color": ["blue", "red"]}}
    assert LabelFile(path, ONE).line(1) == 3


def test_without_a_column_of_images_an_id_stands_once(folder: Path) -> None:
    path = write(folder, "id,Category,color\nq,A,red\nq,A,red\n")
    with pytest.raises(InputError, match="'q' is already in row 2"):
        read(path, folder, LabelReading())


def test_a_file_may_have_a_semicolon_in_its_name(folder: Path) -> None:
    (folder / "q.png").rename(folder / "q;r.png")
    assert names(read(write(folder, HEADER + "q,A,red,q;r.png\n"), folder)) == [["q;r.png"]]


def test_a_missing_image_of_several_is_named(folder: Path) -> None:
    path = write(folder, HEADER + "q,A,red,q\np,A,red,p_front;p_side\n")
    with pytest.raises(InputError, match=r"row 3, column 'image': 'p_side': no such file"):
        read(path, folder)
    assert names(read(path, folder, missing_images="keep"))[1] == ["p_front.png", "p_side"]


def test_parts_of_a_table_keep_the_images_of_their_rows(folder: Path) -> None:
    table = read(write(folder, HEADER + "p,A,red,p_front;p_back\nq,A,blue,q\n"), folder)
    assert names(table.take(np.array([1, 0]))) == EXPECTED[::-1]
    assert names(table.take(np.array([False, True]))) == EXPECTED[1:]
    single = table.take(np.array([1]))
    assert names(_joined(single, table)) == [*EXPECTED[1:], *EXPECTED]
    images = table.by_image()
    assert (images.ids.tolist(), images.targets.tolist()) == (["p", "p", "q"], [[0], [0], [1]])


def test_one_image_each_is_the_table_of_before(folder: Path) -> None:
    table = read(write(folder, HEADER + "p,A,red,p_front\nq,A,blue,q\n"), folder)
    assert table.starts is None
    assert table.by_image() is table


def test_every_image_is_shown_once_in_a_round() -> None:
    order = ViewOrder(np.array([0, 1, 5]), seed=3)
    shown = [order(1, epoch)[0] for epoch in range(40)]
    assert all(sorted(shown[start : start + 4]) == [1, 2, 3, 4] for start in range(0, 40, 4))
    assert Counter(shown) == {1: 10, 2: 10, 3: 10, 4: 10}
    # The order is another in each round, and for each seed.
    assert len({tuple(shown[start : start + 4]) for start in range(0, 40, 4)}) > 3
    assert shown != [ViewOrder(np.array([0, 1, 5]), seed=4)(1, epoch)[0] for epoch in range(40)]
    assert sorted(order(1, 7)) == [1, 2, 3, 4]


def test_products_are_near_if_two_of_their_images_are(folder: Path) -> None:
    copy = Image.open(folder / "p_back.png")
    copy.save(folder / "r.png")
    rows = "p,A,red,p_front;p_back\nq,A,blue,q\nr,A,red,r\n"
    assert group_rows(read(write(folder, HEADER + rows), folder)).tolist() == [0, 1, 0]


def test_groups_are_joined_through_products() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        counts = random.integers(1, 4, 12)
        starts = np.concatenate([[0], np.cumsum(counts)])
        kind = random.integers(0, 14, starts[-1])
        groups = np.array([int(np.flatnonzero(kind == each)[0]) for each in kind])
        found = joined_groups(groups, starts)
        # By brute force: products that share a kind, over and over.
        label = np.arange(12)
        products = products_of(starts)
        for _ in range(12):
            for each in np.unique(kind):
                members = products[kind == each]
                label[np.isin(label, label[members])] = label[members].min()
        assert found.tolist() == label.tolist()


def test_images_of_products_are_those_between_their_starts() -> None:
    starts = np.array([0, 2, 2, 5])
    assert images_of(starts, np.array([2, 0, 1])).tolist() == [2, 3, 4, 0, 1]
