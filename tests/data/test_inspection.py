from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from visual_taxonomy.catalogue import ONE_CATEGORY
from visual_taxonomy.data.inspection import inspect_catalogue
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.errors import InputError

COLORS = ("Navy Blue", "navy", "Red", "Red", "")


def write(tmp_path, content, name="a.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def export(tmp_path):
    lines = [
        f"P{i},{('Women', 'Men')[i % 2]},Tops,{COLORS[i % 5]},{1990 + i % 9},A fine thing no {i},"
        f"tops/{i}.png"
        for i in range(40)
    ]
    folder = tmp_path / "images" / "tops"
    folder.mkdir(parents=True)
    for i in range(38):
        Image.new("RGB", (4, 4)).save(folder / f"{i}.png")
    text = "sku,gender,type,color,year,title,image\n" + "\n".join(lines)
    return write(tmp_path, text)


def test_everything_is_found_and_counted(export, tmp_path):
    found = inspect_catalogue(export, LabelReading(), tmp_path / "images")
    assert (found.reading.id_column, found.reading.image_column) == ("sku", "image")
    assert found.reading.category_column == ("gender", "type")
    assert found.reading.attribute_columns == ("color",)
    assert found.left_out == {"year": "numbers"}
    assert found.reading.text_columns == ("title",)
    assert (found.rows, found.categories) == (40, {"Men Tops": 20, "Women Tops": 20})
    (color,) = found.attributes
    assert color.classes == {"Red": 16, "Navy Blue": 8, "navy": 8}
    assert (color.holes, color.rare) == (8, [])
    assert color.synonyms == [("Navy Blue", ("navy",))]
    images = found.images
    assert (images.found, images.missing, images.first_missing) == (38, 2, "tops/38.png")


def test_what_is_written_is_read_as_it_was_guessed(export, tmp_path):
    found = inspect_catalogue(export, LabelReading())
    path = tmp_path / "catalogue.toml"
    path.write_text(found.to_toml(), encoding="utf-8")
    assert LabelReading(catalogue=path) == found.reading


def test_synonyms_are_merged_where_the_comment_is_taken_away(export, tmp_path):
    text = inspect_catalogue(export, LabelReading()).to_toml()
    head, mark, tail = text.partition("# [merged_labels")
    path = tmp_path / "catalogue.toml"
    path.write_text(head + (mark + tail).replace("# ", ""), encoding="utf-8")
    (color,) = inspect_catalogue(export, LabelReading(catalogue=path)).attributes
    assert color.classes == {"Navy Blue": 16, "Red": 16}
    assert color.synonyms == []


def test_flags_override_guesses(export):
    given = LabelReading(category_name="Tops", attribute_columns=("color", "year"))
    found = inspect_catalogue(export, given)
    assert (found.categories, found.reading.category_column) == ({"Tops": 40}, None)
    assert [each.column for each in found.attributes] == ["color", "year"]
    assert found.left_out == {}


def test_rare_classes_are_those_of_fewer_rows_than_folds(tmp_path):
    rows = "".join(f"{i},{'red' if i < 4 else 'blue' if i < 9 else 'lime'}\n" for i in range(20))
    found = inspect_catalogue(write(tmp_path, "id,color\n" + rows), LabelReading())
    assert found.attributes[0].rare == ["red"]
    assert found.categories == {ONE_CATEGORY: 20}
    assert "no column seems to hold categories" in found.notes[0]


def test_the_competition_form_needs_no_word(tmp_path):
    path = write(tmp_path, "id,Category,len,attr_1,attr_2\n1,Sarees,2,red,dummy_value\n")
    found = inspect_catalogue(path, LabelReading())
    assert found.reading == LabelReading()
    assert [(each.column, each.holes) for each in found.attributes] == [
        ("attr_1", 0),
        ("attr_2", 1),
    ]


def test_latin_1_is_guessed_aloud(tmp_path):
    path = write(tmp_path, "id,Category,color\n1,Röcke,red\n".encode("latin-1"))
    found = inspect_catalogue(path, LabelReading())
    assert list(found.categories) == ["Röcke"]
    assert "row 2: not UTF-8; read as latin-1: look at its accents" in found.notes[0]
    assert 'csv_encoding = "latin-1"' in found.to_toml()


def test_paths_that_cannot_be_used_are_the_problem_of_the_images(tmp_path):
    path = write(tmp_path, "id,color,image\n1,red,http://a/1.jpg\n2,blue,http://a/2.jpg\n")
    images = inspect_catalogue(path, LabelReading(), tmp_path).images
    assert "row 2, column 'image': 'http://a/1.jpg' is a URL" in images.problem


def test_images_named_by_the_id_are_counted(tmp_path):
    (tmp_path / "000007.png").touch()
    path = write(tmp_path, "id,Category,color\n7,a,red\n8,a,blue\n")
    images = inspect_catalogue(path, LabelReading(), tmp_path).images
    assert (images.found, images.missing, images.first_missing) == (1, 1, "8")


def test_a_file_without_ids_is_told_how_to_name_them(tmp_path):
    path = write(tmp_path, "a,b\nx,y\nx,z\n")
    with pytest.raises(InputError, match=r"column 'id' is none of: .*`id_column`"):
        inspect_catalogue(path, LabelReading())


def test_images_of_fewer_than_a_third_of_the_rows_are_worth_a_note(export, tmp_path):
    folder = tmp_path / "images" / "tops"
    for i in range(13, 38):
        (folder / f"{i}.png").unlink()
    note = inspect_catalogue(export, LabelReading(), tmp_path / "images").notes[0]
    assert "13 of 40 rows have an image, fewer than a third; check `img_dir`" in note
    Image.new("RGB", (4, 4)).save(folder / "13.png")
    notes = inspect_catalogue(export, LabelReading(), tmp_path / "images").notes
    assert not any("fewer than a third" in note for note in notes)


def test_a_placeholder_is_found_and_said(export, tmp_path):
    """All images of the fixture have the same bytes."""
    found = inspect_catalogue(export, LabelReading(), tmp_path / "images")
    (note,) = found.notes
    assert "'tops/0.png' (38 files with the same bytes) is the image of 38 of 38 products" in note
    assert "remove these rows" in note


def test_examples_are_spread_over_the_rows_of_each_category(export, tmp_path):
    (tmp_path / "images" / "tops" / "0.png").unlink()
    found = inspect_catalogue(export, LabelReading(), tmp_path / "images")
    women = [row for row in found.examples if row.category == "Women Tops"]
    assert [row.product for row in women] == ["P2", "P8", "P14", "P22", "P28", "P36"]
    assert women[0].image == "tops/2.png"
    assert women[0].labels == [("color", "Red")]
    assert {row.category for row in found.examples} == {"Women Tops", "Men Tops"}


def test_texts_of_a_megabyte_are_read_compared_with_none_and_left_out(tmp_path):
    long = "a" * 1_000_000
    titles = [f"{long}{i}" if i < 3 else f"title {i}" for i in range(40)]
    kinds = [f"{long}{i}" if i in (1, 2) else "plain" for i in range(40)]
    rows = zip(titles, kinds, COLORS * 8, strict=True)
    text = "".join(f"{i},{','.join(row)}\n" for i, row in enumerate(rows))
    found = inspect_catalogue(write(tmp_path, "id,title,cut,color\n" + text), LabelReading())
    assert found.left_out == {"title": "40 values in 40 rows"}
    assert [each.column for each in found.attributes] == ["cut", "color"]
    assert found.attributes[0].synonyms == []


def test_other_scripts_are_labels_like_any_other(tmp_path):
    colors = ("नीला", "藍色", "أزرق", "Синий")
    rows = "".join(f"П{i},साड़ी,{colors[i % 4]}\n" for i in range(60))
    found = inspect_catalogue(write(tmp_path, "артикул,category,रंग\n" + rows), LabelReading())
    assert found.reading.id_column == "артикул"
    assert found.categories == {"साड़ी": 60}
    (color,) = found.attributes
    assert (color.column, color.classes) == ("रंग", dict.fromkeys(sorted(colors), 15))


@pytest.mark.parametrize("empty", ["", '""', '" "', "NA", "null"])
def test_an_empty_text_is_a_hole_as_a_missing_one_is(tmp_path, empty):
    rows = "".join(f"{i},Tops,{(empty, 'red', 'blue')[i % 3]}\n" for i in range(30))
    found = inspect_catalogue(write(tmp_path, "id,Category,color\n" + rows), LabelReading())
    (color,) = found.attributes
    assert (color.holes, color.classes) == (10, {"blue": 10, "red": 10})


def test_what_cannot_be_an_attribute_is_left_out_with_its_reason(tmp_path):
    rows = "".join(f"{i},{i % 2},x,u{i},\n" for i in range(40))
    path = write(tmp_path, "id,Category,one,each,none\n" + rows)
    found = inspect_catalogue(path, LabelReading())
    assert found.left_out == {
        "one": "one value",
        "each": "40 values in 40 rows",
        "none": "no value",
    }


def test_ten_thousand_categories_are_none(tmp_path):
    rows = "".join(f"{i},k{i % 10_000},{COLORS[i % 4]}\n" for i in range(20_000))
    path = write(tmp_path, "id,Category,color\n" + rows)
    found = inspect_catalogue(path, LabelReading())
    assert (found.categories, found.attributes[0].column) == ({ONE_CATEGORY: 20_000}, "color")
    assert "('Category' has 10,000 values in 20,000 rows), so all rows are of one" in found.notes[0]
    with pytest.raises(InputError, match=r"10,000 values in 20,000 rows .*which are no categories"):
        inspect_catalogue(path, LabelReading(category_column=("Category",)))


def test_a_column_of_images_is_the_one_of_the_images_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"id": ["p"], "Category": ["A"], "image": [b"GIF89a"]}).write_parquet(path)
    found = inspect_catalogue(path, LabelReading())
    assert found.reading.image_column == "image"
    assert 'image_column = "image"' in found.to_toml()
    assert found.left_out == {}
    assert found.images is not None
    assert found.images.rows == 1
