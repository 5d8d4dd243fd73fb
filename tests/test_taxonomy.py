import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import MISSING_VALUES, UNKNOWN, Task, Taxonomy, clean_label

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name == name.strip() != ""
)
CLASSES = st.lists(NAMES, min_size=1, max_size=5, unique=True)
MAPPINGS = st.dictionaries(
    # without slashes, so that no two tasks are called "a/b/c"
    NAMES.filter(lambda name: "/" not in name),
    st.dictionaries(NAMES.filter(lambda name: "/" not in name), CLASSES, min_size=1, max_size=4),
    min_size=1,
    max_size=4,
)


def in_order(mapping: object) -> str:
    return json.dumps(mapping)  # dicts of another order are equal, their texts are not


@given(MAPPINGS)
@settings(deadline=None, max_examples=50)
def test_a_taxonomy_survives_a_dict_and_json_with_its_order(mapping):
    taxonomy = Taxonomy.from_dict(mapping)
    assert in_order(taxonomy.to_dict()) == in_order(mapping)
    assert in_order(json.loads(taxonomy.to_json())) == in_order(mapping)
    assert Taxonomy.from_dict(json.loads(taxonomy.to_json())) == taxonomy


@given(MAPPINGS)
@settings(deadline=None, max_examples=50)
def test_every_label_survives_encoding(mapping):
    taxonomy = Taxonomy.from_dict(mapping)
    for task in taxonomy.tasks:
        for index, label in enumerate(task.classes):
            assert taxonomy.encode(task.category, task.attribute, f" {label}\t") == index
            assert taxonomy.decode(task.category, task.attribute, index) == label


@given(MAPPINGS)
@settings(deadline=None, max_examples=50)
def test_the_slots_of_all_categories_are_the_tasks_in_order(mapping):
    taxonomy = Taxonomy.from_dict(mapping)
    assert sum(taxonomy.slots, ()) == tuple(range(len(taxonomy.tasks)))
    assert [len(slots) for slots in taxonomy.slots] == [len(each) for each in mapping.values()]
    assert taxonomy.num_slots == max(map(len, mapping.values()))


def test_order_is_the_order_given_not_the_alphabet(taxonomy):
    assert taxonomy.categories == ("Sarees", "Kurtis")
    assert taxonomy.attributes("Kurtis") == ("color", "sleeve", "occasion")
    assert taxonomy.task("Sarees", "border").classes == ("zari", "no", "woven")


def test_slots_number_the_tasks_of_each_category(taxonomy):
    assert taxonomy.task_names[3] == "Kurtis/sleeve"
    assert taxonomy.slots == ((0, 1), (2, 3, 4))
    assert taxonomy.num_slots == 3


def test_a_taxonomy_survives_a_file_in_any_script(tmp_path):
    taxonomy = Taxonomy.from_dict({"साड़ी": {"रंग": ["लाल", "नीला"]}})
    path = tmp_path / "attrs_config.json"
    path.write_text(taxonomy.to_json(), encoding="utf-8")
    assert Taxonomy.read(path) == taxonomy
    assert "लाल" in path.read_text(encoding="utf-8")


def test_names_lose_outer_white_space_when_read():
    taxonomy = Taxonomy.from_dict({" Sarees ": {"border\n": [" zari", "no "]}})
    assert taxonomy.tasks == (Task("Sarees", "border", ("zari", "no")),)


def test_numbers_are_classes_too():
    assert Taxonomy.from_dict({"Shirts": {"size": [38, 40]}}).tasks[0].classes == ("38", "40")


PANDAS = """#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|\
n/a|nan|null"""  # pandas 2.3, parsers.readers STR_NA_VALUES without ""


def test_the_markers_are_those_of_pandas_and_what_was_read_so_before():
    assert {*PANDAS.split("|"), "NAN", "Nan", "Null"} == set(MISSING_VALUES)
    assert len(MISSING_VALUES) == len(set(MISSING_VALUES))


@pytest.mark.parametrize("label", [None, "", "  ", " NAN ", "Null", *PANDAS.split("|")])
def test_empty_cells_and_markers_are_unknown(taxonomy, label):
    assert clean_label(label) is None
    assert taxonomy.encode("Sarees", "border", label) == UNKNOWN


def test_unknown_decodes_to_nothing(taxonomy):
    assert taxonomy.decode("Sarees", "border", UNKNOWN) is None


def test_default_and_none_are_ordinary_classes(taxonomy):
    assert taxonomy.encode("Kurtis", "occasion", "default") == 0
    assert taxonomy.decode("Kurtis", "occasion", 0) == "default"
    assert [clean_label(label) for label in ("none", "na", "NONE", "N/a")] == [
        *("none", "na", "NONE", "N/a")
    ]


def test_other_markers_replace_the_usual_ones():
    assert clean_label(" ? ", ["?"]) is None
    assert clean_label("NA", ["?"]) == "NA"
    assert clean_label("", []) is None


def test_a_class_called_like_a_marker_is_a_class():
    taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "None"]}})
    assert taxonomy.encode("Sarees", "border", "None") == 1
    assert taxonomy.encode("Sarees", "border", "NA") == UNKNOWN


def test_a_class_that_the_cells_could_never_name_is_refused(tmp_path):
    taxonomy = Taxonomy.from_dict({"a": {"x": ["red", "NaN"]}})
    path = tmp_path / "attrs.json"
    path.write_text(taxonomy.to_json())
    assert Taxonomy.read(path, ["NA"]) == taxonomy
    with pytest.raises(
        InputError,
        match=r"attrs\.json: .*'a/x' has class 'NaN', which means unknown; .* `missing_values` wi",
    ):
        Taxonomy.read(path, MISSING_VALUES)


def test_case_tells_classes_and_categories_apart():
    taxonomy = Taxonomy.from_dict({"A": {"x": ["Red", "red"]}, "a": {"x": ["b"]}})
    assert [taxonomy.encode("A", "x", label) for label in ("Red", "red")] == [0, 1]
    assert taxonomy.category_index("a") == 1


def test_an_unknown_name_is_answered_with_the_nearest(taxonomy):
    with pytest.raises(InputError, match=r"category 'Saree' is none of: .* mean 'Sarees'\?"):
        taxonomy.category_index("Saree")
    with pytest.raises(InputError, match="category 'Shirts' is none of: Sarees, Kurtis"):
        taxonomy.attributes("Shirts")
    with pytest.raises(InputError, match="attribute of Sarees: 'sleeve' is none of: border, color"):
        taxonomy.task("Sarees", "sleeve")
    with pytest.raises(InputError, match=r"label of Sarees/border: 'zary' .* mean 'zari'\?"):
        taxonomy.encode("Sarees", "border", "zary")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({}, "has no category with an attribute"),
        ({"a": {}}, "category 'a' must map attributes to classes"),
        ({"a": ["x"]}, "category 'a' must map attributes to classes"),
        ({"a": {"x": "red"}}, "'a/x' must list its classes"),
        ({"a": {"x": {"red": 1}}}, "'a/x' must list its classes"),
        ({"a": {"x": []}}, "attribute 'a/x' has no class"),
        ({"  ": {"x": ["red"]}}, "a category or an attribute has no name"),
        ({"a": {"": ["red"]}}, "a category or an attribute has no name"),
        ({"a": {"x": [" "]}}, "'a/x' has class '', which means unknown"),
        ({"a": {"x": [None]}}, "'a/x' has class '', which means unknown"),
        ({"a": {"x": ["red", "red "]}}, "'a/x' has class 'red' twice"),
        ({"a": {"x": ["red"], "x ": ["blue"]}}, "attribute 'a/x' appears twice"),
    ],
)
def test_a_mapping_that_is_no_taxonomy_is_refused(mapping, message):
    with pytest.raises(InputError, match=message):
        Taxonomy.from_dict(mapping)


def test_the_tasks_of_a_category_must_stand_together():
    tasks = (Task("a", "x", ("c",)), Task("b", "x", ("c",)), Task("a", "y", ("c",)))
    with pytest.raises(InputError, match="attributes of a category must stand together"):
        Taxonomy(tasks)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not a JSON file"),
        (b"\xff", "not a JSON file"),
        (b"[1]", r"expected \{category: \{attribute: \[class, ...\]\}\}"),
        (b'{"a": {"x": []}}', "attribute 'a/x' has no class"),
        (b'{"a": {"x": ["red", null]}}', "which means unknown"),
    ],
)
def test_a_file_that_is_no_taxonomy_is_refused_by_name(tmp_path: Path, content, message):
    path = tmp_path / "attrs.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"attrs\.json: .*" + message):
        Taxonomy.read(path)


def test_a_missing_file_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: no such taxonomy; .*vtax create-config"):
        Taxonomy.read(tmp_path / "none.json")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder; name the file in it"):
        Taxonomy.read(tmp_path)


def test_a_task_names_the_class_of_an_index():
    task = Task("Sarees", "border", ("zari", "no"))
    assert [task.label(index) for index in (1, 0, UNKNOWN)] == ["no", "zari", None]


def test_a_file_in_another_order_is_not_the_same_taxonomy(tmp_path, taxonomy):
    path = tmp_path / "attrs.json"
    path.write_text(taxonomy.to_json(), encoding="utf-8")
    taxonomy.check_same(path, Path("best.pt"))
    turned = Taxonomy.from_dict(dict(reversed(taxonomy.to_dict().items())))
    path.write_text(turned.to_json(), encoding="utf-8")
    with pytest.raises(InputError, match=r"attrs\.json is not the taxonomy of best\.pt; leave"):
        taxonomy.check_same(path, Path("best.pt"))


def test_a_file_that_is_nested_too_deeply_is_refused(tmp_path):
    path = tmp_path / "deep.json"
    path.write_text('{"a":' * 200_000)
    with pytest.raises(InputError, match=r"deep\.json: not a taxonomy: it is nested too deeply"):
        Taxonomy.read(path)
