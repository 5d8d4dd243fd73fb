from dataclasses import replace

import numpy as np
import pytest

from visual_taxonomy.reporting.html.blocks import Fold, Span, Table, Text
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.run_record import RunRecord, read_run
from visual_taxonomy.reporting.html.sections.words import words
from visual_taxonomy.training.run_witnesses import write_loudest


@pytest.fixture(scope="module")
def blocks(heard, witnesses, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_loudest(folder / "words.csv", witnesses.words)
    return words(Context(heard, read_run(folder)))


def texts(blocks):
    return " ".join(block.text for block in blocks if isinstance(block, Text))


def test_image_words_and_both_are_scored_on_the_rows_with_words(blocks, heard):
    shown = (heard.witnesses["words"].any(axis=(1, 2)) & heard.probabilities.any(axis=(1, 2))).sum()
    assert f"{shown} of 300 products have words" in texts(blocks)
    table = next(block for block in blocks if isinstance(block, Table))
    mean = table.rows[0]
    assert mean[0] == "mean of the categories"
    image, of_words, both, span = mean[1:5]
    assert both > image
    assert of_words > image
    assert isinstance(span, Span)
    assert span.low <= both <= span.high
    assert span.reference == image


def test_each_attribute_with_labels_has_a_row(blocks, heard):
    (fold,) = [each for each in blocks if isinstance(each, Fold) and each.title.startswith("Every")]
    rows = {row[0]: row for row in fold.blocks[0].rows}
    assert set(rows) == set(heard.taxonomy.task_names)
    (labels,) = {rows["Sarees/border"][-1]}
    has_both = heard.witnesses["words"][:, 0].any(axis=1) & heard.probabilities[:, 0].any(axis=1)
    assert labels == (has_both & (heard.categories == 0) & (heard.targets[:, 0] >= 0)).sum()


def test_a_label_that_the_words_spell_is_warned_of(blocks, heard):
    # The words of these rows were fitted on them.
    assert "Warning: the words alone are right in Sarees/border (100.0% of" in texts(blocks)
    assert "Kurtis/occasion" not in texts(blocks)  # of one class, which is always right
    wrong = {name: np.roll(each, 2, axis=0) for name, each in heard.witnesses.items()}
    assert "Sarees/border" not in texts(words(Context(replace(heard, witnesses=wrong))))


def test_what_speaks_loudest_is_shown(blocks):
    fold = blocks[-1]
    assert fold.title == "What speaks loudest"
    shown = {(row[0], row[1]): row[2] for row in fold.blocks[1].rows}
    assert any(part.strip() in "woven" for part in shown["Sarees/border", "woven"].split(", "))


def test_without_words_the_section_says_why(heard):
    found = words(Context(replace(heard, witnesses={})))
    assert found == Absent("the run has no text columns (`text_columns`)")
    silent = {"words": np.zeros_like(heard.probabilities)}
    found = words(Context(replace(heard, witnesses=silent)))
    assert isinstance(found, Absent)
    assert "too few products" in found.reason


def test_a_file_of_that_name_of_another_is_shown_without_words(heard):
    found = words(Context(heard, RunRecord("run", loudest=[{"a": "b"}])))
    assert found[-1].blocks[1].rows == [["None/None", None, None]]
