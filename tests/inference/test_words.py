"""Words beside images in prediction; the model of the images has random weights."""

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from visual_taxonomy.catalogue import CatalogueConfig
from visual_taxonomy.checkpoint import read_checkpoint, write_checkpoint
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.table import Table
from visual_taxonomy.decision.cross_fitted import cross_fitted
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.answers import FROM_WORDS, NO_IMAGE, named_answers
from visual_taxonomy.inference.bundle import WITNESSES, read_bundle
from visual_taxonomy.inference.export import bundle_writer
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.inference.prediction_file import request_of
from visual_taxonomy.inference.recalibration import (
    _with_witnesses,
    held_out_rows,
    write_decision,
    write_manifest,
)
from visual_taxonomy.witnesses.combination import IMAGE, KNOWN_LABELS, WORDS

EXACT = InferenceConfig("torch", None, 0, "32", "cpu")
COLUMNS = CatalogueConfig(text_columns=("title", "brand"))


@pytest.fixture
def table(table_of, rows) -> Table:
    """12 rows, of which 2, 5, 8 and 11 have no words; row 7 has words and no image."""
    table = table_of(12)
    table.path(7).unlink()
    texts = rows.texts[:12].copy()
    texts[2::3] = ""
    texts[0] = ["Lovely zari", "Acme"]
    return replace(table, texts=texts)


@pytest.fixture
def model(checkpoint, witnesses, decision, held_out):
    counts = dict(held_out.class_counts)
    return replace(
        checkpoint, witnesses=witnesses, decision=decision, class_counts=counts, columns=COLUMNS
    )


def answers(predictor, table, **how):
    (scores,) = predictor.predict_table(table, **how)
    return scores


def test_rows_without_words_have_the_answer_of_the_image_bit_for_bit(model, table):
    silent = np.array([2, 5, 8, 11])
    for config in (EXACT, replace(EXACT, target_precision=0.5), replace(EXACT, decision="argmax")):
        both = answers(Predictor(model, config), table)
        alone = answers(Predictor(replace(model, witnesses=None), config), table)
        for name in ("probabilities", "classes", "runner_up", "is_unknown"):
            found, expected = getattr(both, name), getattr(alone, name)
            np.testing.assert_array_equal(found[silent], expected[silent])
            assert name == "is_unknown" or not np.array_equal(found, expected)
        assert set(both.witnesses[silent].ravel()) <= {0, IMAGE}


def test_a_table_without_text_columns_is_answered_by_the_images(model, table):
    plain = replace(table, texts=None)
    both = answers(Predictor(model, EXACT), plain)
    alone = answers(Predictor(replace(model, witnesses=None), EXACT), plain)
    np.testing.assert_array_equal(both.probabilities, alone.probabilities)


def test_words_answer_without_an_image_and_say_so(model, table):
    scores = answers(Predictor(model, EXACT), table)
    assert (scores.witnesses[7] == WORDS).all()
    assert (scores.classes[7] >= 0).all()
    assert scores.problems[7] == "the file is missing"
    named = list(named_answers(table.taxonomy, table.categories, scores))
    assert {each.status for each in named[7].values()} == {FROM_WORDS}
    silent = answers(Predictor(model, EXACT), replace(table, texts=np.full((12, 2), "")))
    named = list(named_answers(table.taxonomy, table.categories, silent))
    assert {each.status for each in named[7].values()} == {NO_IMAGE}


def test_known_labels_speak_only_where_they_are_asked(model, table):
    predictor = Predictor(model, EXACT)
    plain, known = answers(predictor, table), answers(predictor, table, with_known_labels=True)
    assert not (plain.witnesses & KNOWN_LABELS).any()
    spoken = (known.witnesses & KNOWN_LABELS) > 0
    # Of Kurtis, each cell whose row has another label.
    expected = (np.delete(table.targets[1], 0) >= 0).any()
    assert spoken[1, 0] == expected
    assert not np.array_equal(plain.probabilities[spoken], known.probabilities[spoken])
    np.testing.assert_array_equal(plain.probabilities[~spoken], known.probabilities[~spoken])


def test_a_table_is_answered_from_any_row_on(model, table):
    predictor = Predictor(model, EXACT)
    whole, rest = (answers(predictor, table, first=first) for first in (0, 6))
    np.testing.assert_array_equal(rest.witnesses, whole.witnesses[6:])
    np.testing.assert_allclose(rest.probabilities, whole.probabilities[6:], atol=1e-6)


def test_evaluation_hears_the_words_and_not_the_labels(model, table):
    predictor = Predictor(model, EXACT)
    raw: list[np.ndarray] = []
    classes, problems = predictor.predict_classes(table, on_raw=raw.append)
    np.testing.assert_array_equal(classes, answers(predictor, table).published)
    assert list(problems) == [7]
    assert not raw[0][7].any()  # what the model makes of the images alone


def test_other_words_are_another_request(checkpoint_path, table):
    texts = table.texts.copy()
    texts[3, 0] += "!"
    requests = [
        request_of(checkpoint_path, each)
        for each in (table, replace(table, texts=texts), replace(table, texts=None))
    ]
    assert len(set(requests)) == 3


def test_a_checkpoint_keeps_its_witnesses(model, table, tmp_path):
    write_checkpoint(tmp_path / "a.pt", model)
    again = read_checkpoint(tmp_path / "a.pt")
    assert again.columns == COLUMNS
    for found, expected in zip(
        answers(Predictor(again, EXACT), table),
        answers(Predictor(model, EXACT), table),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


def test_an_export_holds_the_witnesses(model, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_writer, "_write_graph", lambda *_: None)
    write_checkpoint(tmp_path / "a.pt", model)
    bundle_writer.export(tmp_path / "a.pt", tmp_path / "a", "bundle")
    bundle = read_bundle(tmp_path / "a")
    assert bundle.has(WITNESSES)
    assert bundle.witnesses.words.vocabulary.names == model.witnesses.words.vocabulary.names
    (tmp_path / "a" / WITNESSES).write_bytes(b"PK")
    with pytest.raises(InputError, match="not the file that was exported"):
        read_bundle(tmp_path / "a")
    with pytest.raises(InputError, match=r"witnesses\.npz: damaged"):
        _ = replace(bundle).witnesses


@pytest.fixture
def worded_bundle(bundle, model, tmp_path):
    """A copy of the bundle that the other tests share, with witnesses."""
    folder = tmp_path / "worded"
    shutil.copytree(bundle.folder, folder)
    source = {**bundle.source, "columns": {"text_columns": ["title", "brand"]}}
    worded = replace(bundle, folder=folder, decision=model.decision, source=source)
    write_manifest(_with_witnesses(worded, model.witnesses))
    return read_bundle(folder)


WITHOUT_TORCH = """
import sys
from importlib.machinery import PathFinder
HIDDEN = ("torch", "torchvision", "timm", "lightning", "safetensors", "sklearn", "scipy")
class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.split(".")[0] in HIDDEN
        return None if hidden else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
from visual_taxonomy.cli import main
main()
"""


def test_a_bundle_answers_from_words_as_the_checkpoint_without_torch_and_scikit_learn(
    worded_bundle, model, table, tmp_path
):
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "Category", "brand", "title"])
        for name, category, (title, brand) in zip(
            table.ids, table.categories, table.texts, strict=True
        ):
            writer.writerow([name, table.taxonomy.categories[category], brand, title])
    out = tmp_path / "out.jsonl"
    flags = {"csv_path": tmp_path / "rows.csv", "img_dir": table.img_dir, "out_csv_path": out}
    flags |= {"ckpt_path": worded_bundle.folder, "format": "jsonl"}
    arguments = [str(word) for name, value in flags.items() for word in (f"--{name}", value)]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "predict", "--skip_missing", *arguments],
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3, done.stderr  # an image is missing
    records = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    scores = answers(Predictor(model, EXACT), table)
    expected = [
        (name, attribute, answer.label, answer.status, answer.probability)
        for name, of_row in zip(
            table.ids.tolist(),
            named_answers(table.taxonomy, table.categories, scores),
            strict=True,
        )
        for attribute, answer in of_row.items()
    ]
    found = [(r["id"], r["attribute"], r["label"], r["status"], r["probability"]) for r in records]
    assert [each[:4] for each in found] == [each[:4] for each in expected]
    # The graph of the images rounds in another way than torch; the words do not.
    assert [each[4] for each in found] == pytest.approx([each[4] for each in expected], abs=1e-3)
    from_words = [each[3] == FROM_WORDS for each in found]
    shares = [[rows[i][4] for i in np.flatnonzero(from_words)] for rows in (found, expected)]
    assert shares[0] == pytest.approx(shares[1], abs=1e-6)
    assert len(shares[0]) == 3


def test_a_calibration_fits_the_witnesses_anew(model, table, tmp_path, heard, worded_bundle):
    write_checkpoint(tmp_path / "a.pt", model)
    raw = Predictor(model, replace(EXACT, decision="argmax"))
    table.path(0).rename(table.path(7))  # all images must be there to be compared
    shutil.copy(table.path(7), table.path(0))
    rows = held_out_rows(raw, table)
    assert set(rows.witnesses) == {"words", "known labels"}
    alone = answers(Predictor(replace(model, witnesses=None, decision=None), EXACT), table)
    np.testing.assert_array_equal(rows.probabilities, alone.probabilities)
    few = heard.take(np.arange(150))
    found = cross_fitted(few, samples=50)
    write_decision(tmp_path / "a.pt", tmp_path / "b.pt", found, held_out=few)
    write_decision(worded_bundle.folder, worded_bundle.folder, found, held_out=few)
    write_decision(tmp_path / "a.pt", tmp_path / "c.pt", found)
    powers = [
        each.witnesses.combinations[IMAGE | WORDS].powers
        for each in (
            *(read_checkpoint(tmp_path / name) for name in ("b.pt", "c.pt")),
            read_bundle(worded_bundle.folder),
        )
    ]
    kept = model.witnesses.combinations[IMAGE | WORDS].powers
    assert not np.array_equal(powers[0], kept)
    np.testing.assert_array_equal(powers[1], kept)
    np.testing.assert_array_equal(powers[2], powers[0])
