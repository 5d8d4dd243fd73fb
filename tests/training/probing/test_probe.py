"""A probe from CSV and images to a run folder that the other commands take."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from visual_taxonomy.checkpoint import read_checkpoint
from visual_taxonomy.config import DataConfig, InferenceConfig, ModelConfig, TrainConfig
from visual_taxonomy.config.probe import ProbeConfig, ProbeSettings
from visual_taxonomy.config_values import read_toml
from visual_taxonomy.decision.held_out import HELD_OUT_NAME, HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import evaluate, majority_report
from visual_taxonomy.inference.export.bundle_writer import export
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.reporting.html.report import report_run
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.training.probing import features
from visual_taxonomy.training.probing.lines import DECIDED, LINEAR, MAJORITY
from visual_taxonomy.training.probing.outcome import CURVE_NAME, GAINS_NAME
from visual_taxonomy.training.probing.probe import ProbeResult, probe
from visual_taxonomy.training.probing.record import PROBE_NAME, ProbeRecord
from visual_taxonomy.witnesses.combination import IMAGE, KNOWN_LABELS, NAMES


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ProbeConfig:
    """A probe of drawn products, two of whose images are broken."""
    folder = tmp_path_factory.mktemp("probe")
    synthesize(folder / "catalogue", 60, seed=2, image_size=32, workers=1)
    images = sorted((folder / "catalogue" / "images").iterdir())
    for image in (images[0], images[-1]):
        image.write_bytes(b"")
    catalogue = folder / "catalogue"
    loading = {"group_duplicates": False, "train_workers": 0, "val_workers": 0}
    labels = (catalogue / "train.csv", catalogue / "attrs_config.json")
    return ProbeConfig(
        DataConfig(catalogue / "images", *labels, feature_cache=folder / "cache", **loading),
        ModelConfig("test_vit", "none", image_size=(32, 32)),
        ProbeSettings(
            folder / "out", "probe", learning_curve=True, precision="32", accelerator="cpu"
        ),
    )


@pytest.fixture(scope="module")
def result(config: ProbeConfig) -> ProbeResult:
    with pytest.warns(UserWarning, match="could not be read and w"):
        return probe(config)


def test_the_checkpoint_predicts_what_the_probe_held_out(result: ProbeResult) -> None:
    held_out = HeldOut.read(result.folder / HELD_OUT_NAME)
    rows = result.tables.validation
    assert held_out.ids.tolist() == rows.ids.tolist()
    settings = InferenceConfig(
        workers=0, precision="32", accelerator="cpu", decision="argmax", batch_size=8
    )
    predictor = Predictor.load(result.path, settings)
    raw: list[np.ndarray] = []
    classes, problems = predictor.predict_classes(rows, lambda *_: None, raw.append)
    has_answer = held_out.probabilities.any(axis=(1, 2))
    assert len(problems) == (~has_answer).sum()
    found = np.concatenate(raw)[has_answer]
    np.testing.assert_allclose(found, held_out.probabilities[has_answer], atol=1e-5)
    sure = np.sort(found, axis=2)[:, :, -1] - np.sort(found, axis=2)[:, :, -2] > 1e-4
    most_probable = held_out.most_probable()[has_answer]
    assert (classes[has_answer][sure] == most_probable[sure]).all()


def test_the_checkpoint_fills_holes_by_the_other_labels_as_a_training_does(
    result: ProbeResult,
) -> None:
    witnesses = read_checkpoint(result.path).witnesses
    assert witnesses is not None
    assert IMAGE | KNOWN_LABELS in witnesses.combinations
    assert NAMES[KNOWN_LABELS] in HeldOut.read(result.folder / HELD_OUT_NAME).witnesses


def test_a_bundle_of_the_checkpoint_answers_alike(
    result: ProbeResult, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bundle = export(result.path, tmp_path_factory.mktemp("bundle") / "model", "onnx")
    settings = InferenceConfig(workers=0, precision="32", accelerator="cpu", batch_size=8)
    rows = result.tables.validation.take(np.r_[0:8])
    ours, theirs = (
        Predictor.load(path, settings).predict_classes(rows, lambda *_: None)[0]
        for path in (result.path, bundle.folder)
    )
    np.testing.assert_array_equal(ours, theirs)


def test_its_lines_are_scored_like_a_training(result: ProbeResult) -> None:
    held_out = HeldOut.read(result.folder / HELD_OUT_NAME)
    rows = (held_out.targets, held_out.categories)
    linear = evaluate(held_out.taxonomy, held_out.most_probable(), *rows)
    majority = majority_report(held_out.taxonomy, held_out.class_counts, *rows)
    lines = result.record.lines
    for name, report in ((LINEAR, linear), (MAJORITY, majority)):
        scores = lines[name].overall
        assert scores.hm.value == pytest.approx(report.hm)
        assert scores.micro.value == pytest.approx(report.micro)
        assert scores.macro.value == pytest.approx(report.macro)
        assert scores.hm.low < scores.hm.value < scores.hm.high
    chosen = result.checkpoint.decision_figures["scores"]["chosen"]
    assert lines[DECIDED].overall.hm.value == chosen["hm"][0]
    assert result.checkpoint.metrics["hm"] == pytest.approx(linear.hm)


def test_the_run_folder_is_that_of_a_training(result: ProbeResult) -> None:
    found = {path.name for path in result.folder.iterdir()}
    assert {"best_score.pt", "score_detailed_metrics.json", "split.csv", "metrics.csv"} <= found
    assert {"class_counts.csv", "data.parquet", "unreadable.csv", "held_out.npz"} <= found
    kept = read_toml(TrainConfig, result.folder / "config.toml")
    assert (kept.model.head, kept.model.freeze_backbone) == ("linear", True)
    # As text: NaN, of attributes without validation labels, is not equal to itself.
    assert str(ProbeRecord.read(result.folder / PROBE_NAME)) == str(result.record)
    html = report_run(result.folder).read_text(encoding="utf-8")
    assert "linear, half prior" in html
    assert "gains most from 500 more labels" in html


def test_the_curve_is_written_as_csv(result: ProbeResult) -> None:
    with (result.folder / GAINS_NAME).open(encoding="utf-8") as file:
        gains = list(csv.DictReader(file))
    curve = result.record.curve
    assert curve is not None
    assert [row["task"] for row in gains] == [each.task for each in curve.curves]
    assert float(gains[0]["gain_500"]) == pytest.approx(curve.curves[0].gain.value, rel=1e-4)
    with (result.folder / CURVE_NAME).open(encoding="utf-8") as file:
        points = list(csv.DictReader(file))
    assert [row["share"] for row in points[:4]] == ["0.125", "0.25", "0.5", "1"]
    assert len(points) == 4 * (1 + len(curve.curves))


def test_a_second_probe_takes_the_features_of_the_first(
    config: ProbeConfig, result: ProbeResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    with pytest.raises(InputError, match="probe already holds a run"):
        probe(config)
    monkeypatch.setattr("visual_taxonomy.training.feature_source.encode", fail)
    settings = replace(config.probe, run_name="again", learning_curve=False)
    with pytest.warns(UserWarning, match="could not be read"):
        again = probe(replace(config, probe=settings))
    assert str(again.record) == str(replace(result.record, curve=None))


def test_without_a_cache_the_features_are_computed(
    config: ProbeConfig, result: ProbeResult
) -> None:
    data = replace(config.data, feature_cache=None)
    settings = replace(config.probe, run_name="plain", learning_curve=False)
    with pytest.warns(UserWarning, match="could not be read"):
        plain = probe(replace(config, data=data, probe=settings))
    assert str(plain.record.lines) == str(result.record.lines)


def test_a_run_that_fails_leaves_the_old_one(
    config: ProbeConfig, result: ProbeResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise InputError("no such weights")

    monkeypatch.setattr(features, "load_weights", fail)
    before = result.path.read_bytes()
    with pytest.raises(InputError, match="no such weights"):
        probe(replace(config, probe=replace(config.probe, overwrite=True)))
    assert result.path.read_bytes() == before
