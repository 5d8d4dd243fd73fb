import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch

from visual_taxonomy.catalogue import CatalogueConfig
from visual_taxonomy.checkpoint import write_checkpoint
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import (
    CARD,
    MANIFEST,
    ONNX,
    OPENVINO,
    REQUIREMENTS,
    TAXONOMY,
    WEIGHTS,
    Bundle,
    read_bundle,
)
from visual_taxonomy.inference.engines.torch_engine import checkpoint_of
from visual_taxonomy.inference.export import bundle_writer
from visual_taxonomy.inference.export.bundle_writer import Trial, export
from visual_taxonomy.inference.prediction import Predictor

ALWAYS = {CARD, MANIFEST, REQUIREMENTS, TAXONOMY}


def names(path: Path) -> set[str]:
    return {file.name for file in path.iterdir()}


@pytest.fixture
def quick(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph of the same checkpoint, without making it again."""
    monkeypatch.setattr(
        bundle_writer,
        "write_onnx",
        lambda classifier, path: shutil.copy(bundle.folder / ONNX, path),
    )


@pytest.fixture
def trial(table_of) -> Trial:
    return Trial(table_of(24), "rows.csv", calibration=8)


def test_a_bundle_holds_all_and_nothing_is_left_beside_it(bundle: Bundle) -> None:
    assert names(bundle.folder) == ALWAYS | {WEIGHTS, ONNX}
    assert names(bundle.folder.parent) == {bundle.folder.name}


def test_weights_are_those_of_the_checkpoint_bit_by_bit(bundle: Bundle, checkpoint) -> None:
    again = checkpoint_of(bundle)
    assert again.taxonomy == checkpoint.taxonomy
    assert again.model == checkpoint.model
    for name, weight in checkpoint.weights.items():
        assert torch.equal(again.weights[name], weight)
    with safetensors.safe_open(bundle.folder / WEIGHTS, "np") as file:
        assert set(file.keys()) == set(checkpoint.weights)


def test_without_a_trial_the_card_says_that_nothing_was_measured(bundle: Bundle) -> None:
    assert bundle.measured == {}
    assert "Not measured: no CSV was given" in (bundle.folder / CARD).read_text()


def test_the_source_is_named_with_its_checksum(bundle: Bundle, checkpoint_path: Path) -> None:
    assert bundle.source["name"] == checkpoint_path.name
    assert bundle.source["sha256"] == bundle_writer.checksum(checkpoint_path)


@pytest.mark.usefixtures("quick")
def test_the_onnx_folder_holds_the_graph_alone(checkpoint_path: Path, tmp_path: Path) -> None:
    export(checkpoint_path, tmp_path / "new" / "out", "onnx")
    assert names(tmp_path / "new" / "out") == ALWAYS | {ONNX}


@pytest.mark.usefixtures("quick")
def test_the_openvino_folder_gives_the_answers_of_the_checkpoint(
    checkpoint_path: Path, trial: Trial, tmp_path: Path
) -> None:
    made = export(checkpoint_path, tmp_path / "out", "openvino", trial=trial, workers=0)
    assert names(tmp_path / "out") == ALWAYS | {OPENVINO, "model.bin"}
    assert made.measured["engine"] == "openvino"
    assert made.measured["agreement"] == 1.0
    assert read_bundle(tmp_path / "out") == made


@pytest.mark.usefixtures("quick")
def test_a_measured_bundle_carries_its_figures(
    checkpoint_path: Path, trial: Trial, tmp_path: Path
) -> None:
    done: list[int] = []
    made = export(checkpoint_path, tmp_path / "out", "onnx", False, trial, 0, done.append)
    assert made.measured["csv"] == "rows.csv"
    assert (made.measured["rows"], made.measured["csv_rows"]) == (24, 24)
    assert done[-1] == 48
    assert read_bundle(tmp_path / "out") == made
    assert (
        f"of {made.measured['labels']} labels, on 24 of the 24 rows of rows.csv, are the same "
        "(onnxruntime)" in (tmp_path / "out" / CARD).read_text()
    )


@pytest.mark.usefixtures("quick")
def test_rows_beyond_the_most_and_unreadable_ones_are_not_said_to_be_measured(
    checkpoint_path: Path, trial: Trial, tmp_path: Path
) -> None:
    few = replace(trial, measured=10)
    _, table = few.split(int8=False)
    table.path(0).write_bytes(b"")
    made = export(checkpoint_path, tmp_path / "out", "onnx", False, few, 0)
    assert (made.measured["rows"], made.measured["csv_rows"]) == (9, 24)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_every_file_has_the_mode_of_the_umask(
    checkpoint_path: Path, tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        export(checkpoint_path, tmp_path / "out", "bundle")
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "out").iterdir()}
    assert modes == dict.fromkeys(ALWAYS | {WEIGHTS, ONNX}, 0o666 & ~umask)


@pytest.mark.usefixtures("quick")
def test_a_bundle_remembers_how_the_training_csv_named_its_columns(
    checkpoint, tmp_path: Path
) -> None:
    write_checkpoint(tmp_path / "named.pt", replace(checkpoint, named_columns=True))
    made = export(tmp_path / "named.pt", tmp_path / "out", "bundle")
    assert made.named_columns
    assert read_bundle(tmp_path / "out").named_columns
    assert checkpoint_of(made).named_columns


@pytest.mark.usefixtures("quick")
def test_a_bundle_remembers_the_columns_of_the_training_csv(checkpoint, tmp_path: Path) -> None:
    columns = CatalogueConfig(id_column="sku", category_column=("gender", "type"))
    write_checkpoint(tmp_path / "own.pt", replace(checkpoint, columns=columns))
    made = export(tmp_path / "own.pt", tmp_path / "out", "bundle")
    assert read_bundle(tmp_path / "out").columns == columns
    assert checkpoint_of(made).columns == columns


@pytest.mark.usefixtures("quick")
def test_8_bits_make_a_smaller_graph_that_is_measured_on_other_rows(
    bundle: Bundle, checkpoint_path: Path, trial: Trial, tmp_path: Path
) -> None:
    loose = Trial(trial.table, trial.csv, trial.calibration, least=0.5)
    made = export(checkpoint_path, tmp_path / "out", "onnx", True, loose, 0)
    assert made.int8
    assert (made.measured["rows"], made.measured["csv_rows"]) == (16, 24)
    assert "| runs with | openvino, onnxruntime (the graph: int8" in (
        tmp_path / "out" / CARD
    ).read_text(encoding="utf-8")
    assert names(tmp_path / "out") == ALWAYS | {ONNX}
    size, exact = ((path / ONNX).stat().st_size for path in (tmp_path / "out", bundle.folder))
    assert size < 0.6 * exact  # of a tiny backbone; a large one comes to a quarter
    predictor = Predictor.load(tmp_path / "out", InferenceConfig(workers=0))
    assert predictor.engine.name == made.measured["engine"] == "openvino"
    assert predictor.engine.precision == "int8"
    assert "openvino==" in (tmp_path / "out" / REQUIREMENTS).read_text()


def test_rows_to_calibrate_and_to_measure_are_disjoint_and_bounded(table_of) -> None:
    table = table_of(20)
    first, second = Trial(table, "", calibration=6, measured=8).split(int8=True)
    assert (len(first), len(second)) == (6, 8)
    assert not set(first.ids) & set(second.ids)
    first, second = Trial(table, "", calibration=100).split(int8=True)
    assert sorted([*first.ids, *second.ids]) == sorted(table.ids)
    assert len(first) == 10
    again = Trial(table, "").split(int8=True)[1]
    assert np.array_equal(Trial(table, "").split(int8=True)[1].ids, again.ids)


def test_without_8_bits_every_row_is_measured_up_to_the_most(table_of) -> None:
    table = table_of(20)
    first, second = Trial(table, "").split(int8=False)
    assert len(first) == 0
    assert np.array_equal(second.ids, table.ids)
    assert len(Trial(table, "", measured=8).split(int8=False)[1]) == 8


@pytest.mark.usefixtures("quick")
def test_an_export_below_the_gate_writes_nothing(checkpoint, trial: Trial, tmp_path: Path) -> None:
    """The graph is of other weights than the checkpoint."""
    weights = {name: weight.clone() for name, weight in checkpoint.weights.items()}
    weights["heads.classifiers.biases.0"] += torch.tensor([0.0, 0.0, 50.0])
    other = type(checkpoint)(checkpoint.taxonomy, checkpoint.model, weights)
    write_checkpoint(tmp_path / "other.pt", other)
    with pytest.raises(InputError, match=r"changed most: Sarees/border .*; nothing was written"):
        export(tmp_path / "other.pt", tmp_path / "out", "onnx", trial=trial, workers=0)
    assert names(tmp_path) == {"other.pt", "images"}


def test_an_existing_folder_is_not_touched(checkpoint_path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="already exists; name another folder, or remove it"):
        export(checkpoint_path, tmp_path, "bundle")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="already exists; name another folder, or remove it"):
        export(checkpoint_path, tmp_path / "link", "bundle")


def test_8_bits_need_images(checkpoint_path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`int8` is calibrated on real images .*`csv_path`"):
        export(checkpoint_path, tmp_path / "out", "onnx", int8=True)


def test_missing_packages_are_named_with_the_extra(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_writer, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs onnx, onnxscript, onnxruntime: .*\[export\]'"):
        export(checkpoint_path, tmp_path / "out", "bundle")
    with pytest.raises(InputError, match=r"onnxruntime, openvino: .*\[export,openvino\]'"):
        export(checkpoint_path, tmp_path / "out", "openvino")


@pytest.mark.usefixtures("quick")
def test_an_export_that_breaks_off_leaves_nothing(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle_writer, "write_manifest", fail)
    with pytest.raises(KeyboardInterrupt):
        export(checkpoint_path, tmp_path / "out", "onnx")
    assert names(tmp_path) == set()
