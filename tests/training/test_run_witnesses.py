"""A run whose rows have titles: what it fits on them, writes, and predicts with."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visual_taxonomy.checkpoint import read_checkpoint, write_checkpoint
from visual_taxonomy.config import (
    DataConfig,
    InferenceConfig,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
    TrainConfig,
)
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.table import Table, read_table
from visual_taxonomy.decision.held_out import HELD_OUT_NAME, HeldOut
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.training.data_record import digest_labels
from visual_taxonomy.training.final_model import SOURCE, settle_final
from visual_taxonomy.training.preparation import read_labelled_table
from visual_taxonomy.training.run_folder import FINAL_NAME, HELD_OUT_LAST_NAME
from visual_taxonomy.training.run_witnesses import RunWitnesses
from visual_taxonomy.training.train import Result, train
from visual_taxonomy.witnesses.combination import IMAGE, WORDS

EXACT = InferenceConfig("torch", None, 0, "32", "cpu")


def config_of(folder: Path, **data: object) -> TrainConfig:
    files = (folder / "images", folder / "titled.csv", folder / "attrs_config.json")
    loading = {"group_duplicates": False, "train_workers": 0, "val_workers": 0}
    given = {"text_columns": ("title",), "val_ratio": 0.4, **loading, **data}
    return TrainConfig(
        DataConfig(*files, **given),
        ModelConfig("test_vit", "none", image_size=(32, 32), unlock_block=0),
        optimizer=OptimizerConfig(epochs=1, batch_size=16),
        run=RunConfig(folder / "runs", precision="32", accelerator="cpu"),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 drawn products; two of three have a title that spells the labels of their row."""
    folder = tmp_path_factory.mktemp("titles") / "catalogue"
    synthesize(folder, 60, seed=2, image_size=32, workers=1)
    with (folder / "train.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for number, line in enumerate(lines):
        labels = [line[f"attr_{k}"] for k in range(1, 11)]
        named = " ".join(each for each in labels if each != "dummy_value")
        line["title"] = f"New {named}" if number % 3 else ""
    with (folder / "titled.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    return folder


@pytest.fixture(scope="module")
def result(folder: Path) -> Result:
    found = train(config_of(folder))
    assert found is not None
    return found


def titled(folder: Path) -> Table:
    files = (folder / "titled.csv", folder / "images", folder / "attrs_config.json", None)
    return read_labelled_table(*files, LabelReading(text_columns=("title",)))


def test_words_and_labels_are_heard_on_the_held_out_rows(result: Result) -> None:
    for name in (HELD_OUT_NAME, HELD_OUT_LAST_NAME):
        held_out = HeldOut.read(result.folder / name)
        assert set(held_out.witnesses) == {"words", "known labels"}
        has_title = result.validation.texts[:, 0] != ""
        said = held_out.witnesses["words"]
        assert (said.any(axis=(1, 2)) == has_title).all()
        labelled = (held_out.targets >= 0) & said.any(axis=2)
        right = (said.argmax(axis=2) == held_out.targets)[labelled].mean()
        most = (held_out.most_probable() == held_out.targets)[labelled].mean()
        assert right > most


def test_the_best_checkpoints_answer_from_words(result: Result) -> None:
    for path in result.folder.glob("best_*.pt"):
        checkpoint = read_checkpoint(path)
        assert checkpoint.columns.text_columns == ("title",)
        assert checkpoint.witnesses is not None
        assert {IMAGE | WORDS, WORDS} <= set(checkpoint.witnesses.combinations)
        of_rows = checkpoint.witnesses.combinations[WORDS].decision.fitted_on
        assert of_rows.rows == (result.validation.texts[:, 0] != "").sum()
    assert read_checkpoint(result.folder / "best_score.pt").witnesses.known_labels is not None


def test_another_file_with_the_column_is_answered_from_it_without_a_flag(
    folder: Path, result: Result
) -> None:
    predictor = Predictor.load(result.folder / "best_score.pt", EXACT)
    read = (folder / "images", predictor.taxonomy, False)
    table = read_table(folder / "titled.csv", *read, trained=predictor.columns)
    untitled = read_table(folder / "train.csv", *read, trained=predictor.columns)
    spoken = [
        np.concatenate([scores.witnesses for scores in predictor.predict_table(each)])
        for each in (table, untitled)
    ]
    assert ((spoken[0][:, 0] == (IMAGE | WORDS)) == (table.texts[:, 0] != "")).all()
    assert set(spoken[1].ravel()) <= {0, IMAGE}


def test_a_final_model_has_the_powers_of_the_held_out_rows(
    folder: Path, result: Result, tmp_path: Path
) -> None:
    best = read_checkpoint(result.folder / "best_score.pt")
    assert best.witnesses is not None
    write_checkpoint(tmp_path / FINAL_NAME, replace(best, decision=None, witnesses=None))
    rows = titled(folder)
    run_witnesses = RunWitnesses(rows, rows, ("title",))
    path = result.folder / HELD_OUT_NAME
    old = replace(HeldOut.read(path), witnesses={})
    old.write(tmp_path / "old.npz")
    with pytest.warns(UserWarning, match="does not answer from words: `decision_from` names no"):
        settle_final(tmp_path, tmp_path / "old.npz", run_witnesses)

    write_checkpoint(tmp_path / FINAL_NAME, replace(best, decision=None, witnesses=None))
    settle_final(tmp_path, path, run_witnesses)
    final = read_checkpoint(tmp_path / FINAL_NAME).witnesses
    assert final is not None
    assert list(final.combinations) == list(best.witnesses.combinations)
    for combination, fitted in final.combinations.items():
        powers = best.witnesses.combinations[combination].powers
        np.testing.assert_array_equal(fitted.powers, powers)
        assert fitted.decision.fitted_on.source == SOURCE
    # Fitted on all rows, so they know more n-grams than those of a part.
    assert final.words.vocabulary.size > best.witnesses.words.vocabulary.size


def test_words_are_part_of_the_record_of_the_rows(folder: Path) -> None:
    table = titled(folder)
    texts = table.texts.copy()
    texts[3, 0] += " red"
    changed = digest_labels(replace(table, texts=texts)) != digest_labels(table)
    assert changed.tolist() == [row == 3 for row in range(len(table))]
    assert (digest_labels(replace(table, texts=None)) != digest_labels(table)).all()


def test_without_titles_there_are_no_words(result: Result) -> None:
    rows = replace(result.validation, texts=None)
    run_witnesses = RunWitnesses(rows, rows, ())
    assert run_witnesses.words is None
    assert not run_witnesses.has_texts
    held_out = HeldOut.read(result.folder / HELD_OUT_NAME)
    assert set(run_witnesses.heard_on(held_out).witnesses) == {"known labels"}
