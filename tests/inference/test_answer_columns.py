from pathlib import Path

import numpy as np
import pytest

from visual_taxonomy.data.table import Table, read_table
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.answer_columns import (
    CompetitionColumns,
    NamedColumns,
    answer_lines,
    choose_columns,
)
from visual_taxonomy.inference.answers import RowScores
from visual_taxonomy.taxonomy import Taxonomy

SAREE, KURTI = 0, 1


def scores(*classes: list[int]) -> RowScores:
    """Answers with a probability of 0.75; none for -1."""
    chosen = np.array(classes)
    probabilities = np.zeros((*chosen.shape, 3), np.float32)
    np.put_along_axis(probabilities, chosen[:, :, None].clip(0), 0.75, axis=2)
    second = np.full_like(chosen, -1)
    return RowScores(np.arange(len(chosen)), probabilities, chosen, second, chosen < 0, {})


def test_named_columns_are_empty_where_a_category_has_no_such_attribute(table_of, taxonomy) -> None:
    columns = NamedColumns(taxonomy)
    assert columns.header(False) == ["id", "Category", "border", "color", "sleeve", "occasion"]
    lines = list(answer_lines(table_of(2), scores([2, 0, -1], [1, 1, 0]), columns, False))
    assert lines == [
        ["0", "Sarees", "woven", "red", "", ""],
        ["1", "Kurtis", "", "green", "long", "default"],
    ]


def test_named_probabilities_stand_behind_the_labels_in_their_order(table_of, taxonomy) -> None:
    columns = NamedColumns(taxonomy, ["sleeve"], with_length=True)
    assert columns.header(True)[:7] == [
        *("id", "Category", "len", "sleeve", "border", "color", "occasion")
    ]
    assert columns.header(True)[7:] == ["sleeve_prob", "border_prob", "color_prob", "occasion_prob"]
    saree, kurti = answer_lines(table_of(2), scores([2, 0, -1], [-1, 1, 0]), columns, True)
    assert saree == ["0", "Sarees", "2", "", "woven", "red", "", "", "0.7500", "0.7500", ""]
    assert kurti == ["1", "Kurtis", "3", "long", "", "", "default", "0.7500", "", "", "0.7500"]


def test_a_named_file_can_be_read_as_labels(table_of, taxonomy, tmp_path: Path) -> None:
    table, answers = table_of(2), scores([2, 0, -1], [1, -1, 0])
    columns = NamedColumns(taxonomy)
    lines = [columns.header(False), *answer_lines(table, answers, columns, False)]
    path = tmp_path / "out.csv"
    path.write_text("\n".join(map(",".join, lines)) + "\n")
    read = read_table(path, table.img_dir, taxonomy)
    assert np.array_equal(read.targets, answers.classes)
    assert read.named_columns == ("border", "color", "sleeve", "occasion")


@pytest.mark.parametrize("name", ["id", "category", "Len"])
def test_an_attribute_cannot_be_named_like_another_column(name: str) -> None:
    taxonomy = Taxonomy.from_dict({"Sarees": {name: ["a"], "color": ["b"]}})
    with pytest.raises(InputError, match=rf"called '{name}', .*; use --columns competition"):
        NamedColumns(taxonomy)


def test_an_attribute_cannot_be_named_like_a_column_of_probabilities() -> None:
    taxonomy = Taxonomy.from_dict({"Sarees": {"color": ["a"], "color_prob": ["b"]}})
    columns = NamedColumns(taxonomy)
    assert columns.header(False)[2:] == ["color", "color_prob"]
    with pytest.raises(InputError, match=r"called 'color_prob', .*; use --columns competition"):
        columns.header(True)


def test_slots_of_the_competition_are_never_taken_for_names(table_of) -> None:
    """A taxonomy built from attr_1, attr_2, ... calls its attributes so."""
    taxonomy = Taxonomy.from_dict({"Sarees": {"attr_1": ["a"], "attr_2": ["b"]}})
    drawn = table_of(1)
    for columns in (("id", "Category", "attr_1"), ("id", "Category")):
        table = Table(
            taxonomy, drawn.ids, np.array([0]), np.array([[0, 0]]), drawn.image_names,
            drawn.img_dir, columns,
        )  # fmt: skip
        assert table.named_columns == ()
        assert choose_columns(table, "auto", False) == CompetitionColumns(10)
