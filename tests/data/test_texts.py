from pathlib import Path

import pytest

from visual_taxonomy.catalogue import CatalogueConfig
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.table import build_taxonomy, read_table
from visual_taxonomy.errors import InputError

LINES = ["id,Category,color,title,brand", "1,Sarees,red,Red saree,Acme", "2,Sarees,blue,NA,"]


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "a.csv").write_text("\n".join(LINES), encoding="utf-8")
    return tmp_path / "a.csv"


def read(path, reading=None, **more):
    reading = reading or LabelReading(text_columns=("title", "brand"))
    taxonomy = build_taxonomy(path, reading=LabelReading(attribute_columns=("color",)))
    return read_table(path, path.parent, taxonomy, reading=reading, **more)


def test_a_table_has_the_words_of_its_rows(catalogue):
    table = read(catalogue)
    assert table.texts.tolist() == [["Red saree", "Acme"], ["", ""]]
    assert table.take([1]).texts.tolist() == [["", ""]]
    assert "title" not in table.columns


def test_without_text_columns_there_are_none(catalogue):
    table = read(catalogue, LabelReading())
    assert table.texts is None
    assert table.take([0]).texts is None


def test_columns_of_words_are_no_attributes(catalogue):
    reading = LabelReading(text_columns=("title", "brand"))
    assert build_taxonomy(catalogue, reading=reading).attributes("Sarees") == ("color",)


def test_a_model_finds_its_columns_of_words_again(catalogue):
    trained = CatalogueConfig(text_columns=("brand", "slogan", "title"))
    table = read(catalogue, LabelReading(), trained=trained)
    assert table.texts.tolist() == [["Acme", "", "Red saree"], ["", "", ""]]
    # Under other names they are given in the order of the training CSV.
    given = LabelReading(text_columns=("title", "brand"))
    table = read(catalogue, given, trained=CatalogueConfig(text_columns=("name", "maker")))
    assert table.texts[0].tolist() == ["Red saree", "Acme"]


def test_another_number_of_columns_of_words_is_refused(catalogue):
    trained = CatalogueConfig(text_columns=("title",))
    with pytest.raises(InputError, match=r"names 2 columns, .* trained with 1 \(title\)"):
        read(catalogue, trained=trained)
    with pytest.raises(InputError, match=r"trained with 0 \(none\)"):
        read(catalogue, trained=CatalogueConfig())


def test_a_column_that_is_not_there_is_refused_with_the_nearest_name(catalogue):
    with pytest.raises(InputError, match=r"`text_columns`: 'titles' is none of.*mean 'title'"):
        read(catalogue, LabelReading(text_columns=("titles",)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"id_column": "title"}, "`id_column` and `text_columns` both name 'title'"),
        ({"attribute_columns": ("title",)}, "`text_columns` and `attribute_columns` both name"),
    ],
)
def test_a_column_of_words_has_no_other_role(settings, message):
    with pytest.raises(InputError, match=message):
        LabelReading(text_columns=("title",), **settings)


def test_a_column_of_words_is_no_attribute_of_the_taxonomy(catalogue):
    with pytest.raises(InputError, match="'color' is an attribute, too"):
        read(catalogue, LabelReading(text_columns=("color",)))
    path = catalogue.with_name("b.csv")
    path.write_text("id,Category,attr_1\n1,Sarees,red\n", encoding="utf-8")
    with pytest.raises(InputError, match="'attr_1' holds labels"):
        build_taxonomy(path, reading=LabelReading(text_columns=("attr_1",)))


def test_of_rows_of_one_product_the_first_words_count(catalogue):
    lines = ["id,Category,color,title,brand,image"]
    lines += ["1,Sarees,red,,Acme,1.jpg", "2,Sarees,blue,Blue saree,,2.jpg"]
    lines += ["1,Sarees,,Red saree,Zeta,2.jpg", "1,Sarees,,Saree in red,,1.jpg"]
    catalogue.write_text("\n".join(lines), encoding="utf-8")
    table = read(catalogue, LabelReading(text_columns=("title", "brand"), image_column="image"))
    assert table.texts.tolist() == [["Red saree", "Acme"], ["Blue saree", ""]]


def test_a_text_of_a_megabyte_is_cut_and_said(catalogue):
    long = "नीला " * 200_000
    catalogue.write_text("\n".join([*LINES, f"1.0,Sarees,red,{long},"]), encoding="utf-8")
    (catalogue.parent / "1.0.jpg").write_bytes(b"")
    notes: list[str] = []
    table = read(catalogue, on_note=notes.append)
    assert table.texts[2, 0] == long[:2000]
    assert notes == [
        f"note: {catalogue}, row 4, column 'title': 1 texts are longer than 2,000 characters; what "
        "comes behind is not read"
    ]
