import csv
import os

import pytest

from visual_taxonomy.audit import corrections
from visual_taxonomy.audit.catalogue import Catalogue
from visual_taxonomy.audit.corrections import apply_reviews
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy

NUMBERED = (
    b"\xef\xbb\xbfid,Category,len,Attr_1,attr_2,attr_3\r\n"
    b'1,Sarees,2,zari , "red",\r\n'
    b"2,Kurtis,3,green,long,default\r\n"
    b"\r\n"
    b"3,Sarees,2,NA,blue,dummy_value"
)
NAMED = (
    b"id,Category,sleeve,color,note\n"
    b'1,Sarees,,red,"two\nlines"\n'
    b"2,Kurtis,long,green,x\n"
    b"3,Sarees,,blue,\n"
)


USUAL = LabelReading()


@pytest.fixture
def catalogue(tmp_path, taxonomy):
    def make(content, taxonomy=taxonomy, name="labels.csv", reading=USUAL):
        path = tmp_path / name
        path.write_bytes(content)
        return Catalogue(path, taxonomy, reading)

    return make


@pytest.fixture
def review(tmp_path):
    """Write a review; the columns beside those needed are only there if a row has them."""

    def make(*rows, name="reviewed.csv"):
        names = ["id", "attribute", "reviewed"]
        names += sorted({name for row in rows for name in row} - set(names))
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        return tmp_path / name

    return make


def row(product, attribute, reviewed, **others):
    return {"id": product, "attribute": attribute, "reviewed": reviewed, **others}


def corrected(catalogue, *reviews):
    out = catalogue.path.with_name("new.csv")
    applied = apply_reviews(catalogue, reviews, out)
    return out.read_bytes(), applied


def test_only_the_named_cells_change_in_numbered_columns(catalogue, review):
    rows = [
        row("1", "color", "blue"),
        row("2", "sleeve", "-"),
        row("3", "border", "+", suggested="woven"),
        row("2", "color", ""),
    ]
    found, applied = corrected(catalogue(NUMBERED), review(*rows))
    assert found == (
        b"\xef\xbb\xbfid,Category,len,Attr_1,attr_2,attr_3\r\n"
        b"1,Sarees,2,zari ,blue,\r\n"
        b"2,Kurtis,3,green,,default\r\n"
        b"\r\n"
        b"3,Sarees,2,woven,blue,dummy_value"
    )
    assert (applied.num_changed, applied.already, applied.left) == (3, 0, 1)
    assert applied.changes["3"] == {"attr_1": "woven"}


def test_only_the_named_cells_change_in_named_columns(catalogue, review):
    rows = [row("1", "color", "blue"), row("2", "sleeve", "three-quarter")]
    found, _ = corrected(catalogue(NAMED), review(*rows))
    assert found == NAMED.replace(b",red,", b",blue,").replace(b",long,", b",three-quarter,")


def test_the_catalogue_itself_never_changes(catalogue, review):
    opened, path = catalogue(NAMED), review(row("1", "color", "blue"))
    corrected(opened, path)
    assert opened.path.read_bytes() == NAMED
    link = opened.path.with_name("link.csv")
    os.link(opened.path, link)
    for out in (opened.path, link, path):
        with pytest.raises(InputError, match="the copy would replace"):
            apply_reviews(opened, [path], out)
    assert opened.path.read_bytes() == NAMED


def test_nothing_and_markers_of_missing_values_leave_the_label(catalogue, review):
    rows = [row("1", "color", ""), row("2", "color", " NA "), row("9", "what", "")]
    found, applied = corrected(catalogue(NAMED), review(*rows))
    assert found == NAMED
    assert (applied.num_changed, applied.left) == (0, 3)


def test_what_stands_there_already_may_be_applied_again(catalogue, review):
    rows = [row("1", "color", "blue", label="red"), row("3", "color", "-", label="blue")]
    path = review(*rows)
    found, _ = corrected(catalogue(NAMED), path)
    again, applied = corrected(catalogue(found, name="second.csv"), path)
    assert again == found
    assert (applied.num_changed, applied.already) == (0, 2)


def test_a_class_may_be_called_like_a_sign_or_a_marker(catalogue, review):
    taxonomy = Taxonomy.from_dict({"Sarees": {"color": ["-", "+", "None", "red"]}})
    content = b"id,Category,color\n1,Sarees,red\n2,Sarees,red\n3,Sarees,red\n"
    rows = [row("1", "color", "-"), row("2", "color", "+", suggested="red")]
    rows += [row("3", "color", "None", suggested="")]
    opened = catalogue(content, taxonomy, reading=LabelReading(missing_values=("?",)))
    found, _ = corrected(opened, review(*rows))
    assert found == b"id,Category,color\n1,Sarees,-\n2,Sarees,+\n3,Sarees,None\n"


def test_several_reviews_are_applied_together(catalogue, review):
    first = review(row("1", "color", "blue"), row("3", "color", "red"))
    second = review(row("2", "color", "red"), row("1", "color", "blue"), name="second.csv")
    found, applied = corrected(catalogue(NAMED), first, second)
    assert found == NAMED.replace(b",blue,", b",?,").replace(b",red,", b",blue,").replace(
        b",green,", b",red,"
    ).replace(b",?,", b",red,")
    assert applied.num_changed == 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (row("11", "color", "red"), r"column 'id': '11' is not in .*labels\.csv; did you mean '1'"),
        (row("x", "color", "red"), r"column 'id': 'x' is not in .*labels\.csv; correct it"),
        (row("1", "colour", "red"), r"column 'attribute': 'colour' is none of: .* mean 'color'\?"),
        (row("1", "color", "rde"), r"column 'reviewed': 'rde' is none of: red, blue.* mean 'red'"),
        (row("1", "color", "+"), r"column 'reviewed': '\+' is none of: red, blue"),
        (row("1", "color", "+", suggested="rde"), r"column 'suggested': 'rde' is none of: red"),
        (
            row("1", "color", "blue", category="Kurtis"),
            r"column 'category': 'Kurtis', but .*labels\.csv says 'Sarees'",
        ),
        (
            row("1", "color", "-", label="blue"),
            r"column 'label': 'blue', but .*labels\.csv has 'red' there: it has changed",
        ),
    ],
)
def test_a_row_that_does_not_fit_is_named(catalogue, review, wrong, message):
    opened = catalogue(NAMED)
    with pytest.raises(InputError, match=rf"reviewed\.csv, row 3, {message}"):
        corrected(opened, review(row("2", "color", ""), wrong))
    assert not opened.path.with_name("new.csv").exists()


def test_two_wishes_for_one_label_are_refused(catalogue, review):
    path = review(row("1", "color", "blue"), row("1", "color", "-"))
    with pytest.raises(InputError, match=r"row 3, .*'-', but .*reviewed\.csv, row 2 says 'blue'"):
        corrected(catalogue(NAMED), path)


def test_a_review_without_its_columns_is_refused(catalogue, tmp_path):
    path = tmp_path / "reviewed.csv"
    path.write_text("id,attribute\n1,color\n")
    with pytest.raises(InputError, match="column 'reviewed' is none of: id, attribute"):
        corrected(catalogue(NAMED), path)
    with pytest.raises(InputError, match="no such file"):
        corrected(catalogue(NAMED), tmp_path / "none.csv")


def test_a_catalogue_that_cannot_be_corrected_is_refused(catalogue, review, taxonomy):
    with pytest.raises(InputError, match=r"labels\.parquet: is a Parquet file"):
        catalogue(b"", name="labels.parquet")
    with pytest.raises(InputError, match=r"row 2, column 'Category': 'Sari' is none of: Sarees"):
        catalogue(b"id,Category,color\n1,Sari,red\n")
    with pytest.raises(InputError, match="has class 'NA', which means unknown"):
        catalogue(NAMED, Taxonomy.from_dict({"Sarees": {"color": ["NA"]}}))
    with pytest.raises(InputError, match="column 'border' is none of"):
        corrected(catalogue(NAMED), review(row("1", "border", "zari")))


def test_a_copy_that_reads_otherwise_than_it_should_is_not_kept(catalogue, review, monkeypatch):
    opened, path = catalogue(NAMED), review(row("1", "color", "blue"))
    monkeypatch.setattr(corrections, "replace_cells", lambda *_: NAMED.replace(b"green", b"red"))
    with pytest.raises(InputError, match=r"labels\.csv: .* cannot be changed safely; save it anew"):
        corrected(opened, path)
    assert not opened.path.with_name("new.csv").exists()
