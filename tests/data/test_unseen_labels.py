"""Labels the model does not know; the oracle is scikit-learn on the texts."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from visual_taxonomy.data.table import read_table
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import evaluate, harmonic_mean
from visual_taxonomy.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_dict(
    {"Sarees": {"border": ["zari", "no"], "color": ["red", "blue"]}, "Kurtis": {"fit": ["slim"]}}
)
TEXTS = {"border": ["zari", "no", "lace", "woven", ""], "color": ["red", "blue", ""]}


@pytest.fixture
def path(tmp_path):
    """60 rows of Sarees; a third of the borders is unknown to the taxonomy."""
    random = np.random.default_rng(0)
    labels = {name: random.choice(texts, 60) for name, texts in TEXTS.items()}
    rows = zip(labels["border"], labels["color"], strict=True)
    lines = "".join(f"{i},Sarees,{border},{color}\n" for i, (border, color) in enumerate(rows))
    path = tmp_path / "a.csv"
    path.write_text("id,Category,attr_1,attr_2\n" + lines)
    return path


def texts_of(path, column):
    return np.array([line.split(",")[column] for line in path.read_text().splitlines()[1:]])


def read(path, unknown_labels, notes=None):
    on_note = (notes if notes is not None else []).append
    return read_table(
        *(path, path.parent, TAXONOMY),
        missing_images="keep",
        unknown_labels=unknown_labels,
        on_note=on_note,
    )


def test_an_unknown_label_is_an_error_unless_told_otherwise(path):
    with pytest.raises(InputError, match=r"column 'attr_1': '(lace|woven)' is none of: zari, no"):
        read(path, "error")


def test_ignored_labels_are_unknown(path):
    notes: list[str] = []
    table = read(path, "ignore", notes)
    assert table.taxonomy == TAXONOMY
    truth = texts_of(path, 2)
    assert ((table.targets[:, 0] == -1) == ~np.isin(truth, ["zari", "no"])).all()
    unseen = int(np.isin(truth, ["lace", "woven"]).sum())
    (note,) = notes
    assert note.startswith("note: labels that the model does not know are ignored (`unknown_labe")
    assert f": {unseen} (Sarees/border '" in note
    assert f"'lace' {(truth == 'lace').sum()}" in note


def test_wrong_labels_score_as_scikit_learn_scores_the_texts(path):
    notes: list[str] = []
    table = read(path, "wrong", notes)
    assert "count as wrong (`unknown_labels=wrong`): " in notes[0]
    predicted = np.random.default_rng(1).integers(0, 2, table.targets.shape)
    report = evaluate(table.taxonomy, predicted, table.targets, table.categories)
    for slot, name in enumerate(TEXTS):
        truth = texts_of(path, 2 + slot)
        answers = np.array(TEXTS[name])[predicted[:, slot]]
        rows = truth != ""
        micro = f1_score(truth[rows], answers[rows], average="micro")
        macro = f1_score(truth[rows], answers[rows], average="macro")
        scores = report.categories[0].attributes[slot]
        assert scores.support == rows.sum()
        assert scores.micro == pytest.approx(micro)
        assert scores.macro == pytest.approx(macro)
        assert scores.hm == pytest.approx(harmonic_mean(micro, macro))
    border = {scores.name: scores for scores in report.categories[0].attributes[0].classes}
    assert list(border) == ["zari", "no", "lace", "woven"]
    assert (border["lace"].predicted, border["lace"].f1) == (0, 0.0)


def test_known_classes_keep_their_indices_and_truth_that_is_known_its_score(path):
    table, ignored = read(path, "wrong"), read(path, "ignore")
    known = ignored.targets >= 0
    assert (table.targets[known] == ignored.targets[known]).all()
    assert (table.targets[:, 1] == ignored.targets[:, 1]).all()


@pytest.mark.parametrize("unknown_labels", ["wrong", "ignore"])
def test_labels_where_the_category_has_no_attribute_stay_an_error(tmp_path, unknown_labels):
    path = tmp_path / "a.csv"
    path.write_text("id,Category,attr_1,attr_2\n1,Kurtis,wide,red\n")
    with pytest.raises(
        InputError, match="column 'attr_2': 'red', but Kurtis has no attribute here"
    ):
        read(path, unknown_labels)
    path.write_text("id,Category,attr_1,attr_2\n1,Sarees,dummy_value,red\n")
    with pytest.raises(InputError, match="column 'attr_1': 'dummy_value' is none of"):
        read(path, unknown_labels)


@pytest.mark.parametrize("unknown_labels", ["wrong", "ignore"])
def test_a_file_of_known_labels_makes_no_note(tmp_path, unknown_labels):
    path = tmp_path / "a.csv"
    path.write_text("id,Category,attr_1\n1,Kurtis,slim\n")
    notes: list[str] = []
    assert read(path, unknown_labels, notes).taxonomy == TAXONOMY
    assert notes == []
