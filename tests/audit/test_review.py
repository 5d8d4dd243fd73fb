import pytest

from visual_taxonomy.audit.catalogue import Catalogue
from visual_taxonomy.audit.finding import Finding
from visual_taxonomy.audit.review import Review, write_findings
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy

CLASSES = ("red, blue", '5" wide', "=1+1", "a\nb")
TAXONOMY = Taxonomy.from_dict({"Sarees": {"color": CLASSES}})


def finding(product, label, suggested, of_label=0.25):
    task = TAXONOMY.task("Sarees", "color")
    return Finding(0, product, task, label, suggested, 0.75, of_label, 0.5, 3)


@pytest.fixture
def catalogue(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text('id,Category,color\n007,Sarees,"red, blue"\nNA b,Sarees,\n')
    return Catalogue(path, TAXONOMY, LabelReading())


def test_a_list_is_a_csv_with_an_empty_column_for_the_person(tmp_path):
    path = tmp_path / "list.csv"
    write_findings(path, [finding("007", "red, blue", "=1+1"), finding("8", None, "=1+1", None)])
    assert path.read_text() == (
        "id,category,attribute,label,suggested,probability,probability_of_label,score,group,"
        "reviewed\n"
        '007,Sarees,color,"red, blue",=1+1,0.750000,0.250000,0.500000,3,\n'
        "8,Sarees,color,,=1+1,0.750000,,0.500000,3,\n"
    )


def test_an_empty_list_has_its_header(tmp_path):
    write_findings(tmp_path / "list.csv", [])
    assert (tmp_path / "list.csv").read_text().startswith("id,category,attribute,label,")


@pytest.mark.parametrize("suggested", CLASSES)
def test_any_class_comes_back_as_it_was_suggested(tmp_path, catalogue, suggested):
    path = tmp_path / "list.csv"
    write_findings(path, [finding("007", "red, blue", suggested), finding("NA b", None, suggested)])
    assert [row.label for row in Review(path, catalogue)] == [None, None]
    path.write_text(path.read_text().replace(",3,\n", ",3,+\n"))
    assert [(row.id, row.column, row.label) for row in Review(path, catalogue)] == [
        ("007", "color", suggested),
        ("NA b", "color", suggested),
    ]


def test_a_row_that_is_listed_names_its_line_though_classes_hold_line_ends(tmp_path, catalogue):
    path = tmp_path / "list.csv"
    write_findings(path, [finding("007", "red, blue", "a\nb"), finding("8", None, "a\nb")])
    path.write_text(path.read_text().replace(",3,\n", ",3,+\n"))
    with pytest.raises(InputError, match=r"list\.csv, row 4, column 'id': '8' is not in"):
        list(Review(path, catalogue))
