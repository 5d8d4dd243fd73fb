import errno
import os
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from visual_taxonomy.catalogue import CatalogueConfig
from visual_taxonomy.checkpoint import (
    FORMAT,
    Checkpoint,
    read_checkpoint,
    read_model,
    write_checkpoint,
)
from visual_taxonomy.config import ModelConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.export.bundle_writer import export
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.version import __version__

IMAGES = torch.arange(4 * 3 * 32 * 48).reshape(4, 3, 32, 48).remainder(251).to(torch.uint8)
CATEGORIES = torch.tensor([0, 1, 1, 0])


class Harmful:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def content_of(path: Path) -> dict[str, object]:
    return torch.load(path, weights_only=True)


def test_a_model_survives_the_file_bit_by_bit(tmp_path, checkpoint):
    write_checkpoint(tmp_path / "a.pt", checkpoint)
    read = read_checkpoint(tmp_path / "a.pt")
    with torch.no_grad():
        expected = checkpoint.classifier()(IMAGES, CATEGORIES)
        assert torch.equal(read.classifier()(IMAGES, CATEGORIES), expected)


def test_a_file_that_does_not_say_how_columns_were_named_is_read(tmp_path, checkpoint):
    write_checkpoint(tmp_path / "a.pt", checkpoint)
    content = content_of(tmp_path / "a.pt")
    del content["named_columns"]
    torch.save(content, tmp_path / "b.pt")
    assert not read_checkpoint(tmp_path / "b.pt").named_columns


def test_all_else_survives_the_file(tmp_path, checkpoint):
    written = replace(
        checkpoint,
        model=ModelConfig(
            "test_vit", backbone_parameters={"num_classes": 8}, image_size=(32, 48), head="cosine"
        ),
        epoch=7,
        metrics={"hm": 0.5, "categories": {"Sarees": {"support": 3}}},
        named_columns=True,
        training={"step": 3, "random": torch.get_rng_state(), "history": [{"lr": 0.1}]},
    )
    write_checkpoint(tmp_path / "a.pt", written)
    read = read_checkpoint(tmp_path / "a.pt")
    assert read.taxonomy == written.taxonomy
    assert read.model == written.model
    assert read.named_columns
    assert (read.epoch, read.metrics) == (7, written.metrics)
    assert torch.equal(read.training["random"], torch.get_rng_state())
    assert read.training["history"] == [{"lr": 0.1}]
    assert list(read.weights) == list(written.weights)


def test_the_order_of_the_taxonomy_survives(tmp_path, checkpoint):
    write_checkpoint(tmp_path / "a.pt", checkpoint)
    assert read_checkpoint(tmp_path / "a.pt").taxonomy.tasks == checkpoint.taxonomy.tasks


def test_a_file_holds_nothing_to_unpickle_and_says_who_wrote_it(tmp_path, checkpoint):
    write_checkpoint(tmp_path / "a.pt", checkpoint)
    content = content_of(tmp_path / "a.pt")
    assert (content["format"], content["version"]) == (FORMAT, __version__)


def test_the_model_of_a_checkpoint_is_ready_to_predict(checkpoint):
    model = checkpoint.classifier()
    assert not model.training
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.pt: no such checkpoint"):
        read_checkpoint(tmp_path / "none.pt")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_named(tmp_path, checkpoint, share):
    path = tmp_path / "a.pt"
    write_checkpoint(path, checkpoint)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"a\.pt: not a checkpoint of vtax, or damaged"):
        read_checkpoint(path)


def test_a_pickle_of_code_is_refused_and_not_run(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"format": FORMAT, "weights": Harmful(tmp_path / "made")}, path)
    with pytest.raises(InputError, match=r"a\.pt: not a checkpoint of vtax, or damaged"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps(Harmful(tmp_path / "made")))
    with pytest.raises(InputError, match=r"a\.pt: not a checkpoint of vtax, or damaged"):
        read_checkpoint(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("module", r"it holds torch\.nn\.modules\.linear\.Linear"),
        ("old format", "File is not a zip file"),
        ("pickle", "File is not a zip file"),
        ("text", "File is not a zip file"),
        ("TorchScript", "not made of tensors and plain values"),
    ],
)
def test_the_message_on_a_foreign_file_is_one_line_without_advice_to_unpickle_it(
    tmp_path, kind, reason
):
    path = tmp_path / "a.pt"
    layer = torch.nn.Linear(1, 1)
    if kind == "pickle":
        path.write_bytes(pickle.dumps(layer))
    elif kind == "text":
        path.write_text("<!DOCTYPE html>")
    elif kind == "TorchScript":
        with warnings.catch_warnings(action="ignore"):
            torch.jit.save(torch.jit.script(layer), path)
    else:
        torch.save(layer, path, _use_new_zipfile_serialization=kind == "module")
    with pytest.raises(InputError, match=rf"a\.pt: not a checkpoint .* \({reason}\)") as caught:
        read_checkpoint(path)
    assert "weights_only" not in str(caught.value)
    assert len(str(caught.value).removeprefix(str(tmp_path))) < 180


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {"state_dict": {}},
        torch.zeros(2),
        {"format": FORMAT},
        {"format": FORMAT, "epoch": 1},
    ],
)
def test_the_file_of_another_program_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"a\.pt: not a checkpoint of vtax; another program wr"):
        read_checkpoint(tmp_path / "a.pt")


def test_another_format_is_refused_with_both_versions(tmp_path, checkpoint):
    path = tmp_path / "a.pt"
    write_checkpoint(path, checkpoint)
    torch.save(content_of(path) | {"format": 99, "version": "7.0"}, path)
    with pytest.raises(InputError, match=rf"format 99, written by version 7\.0; .* {FORMAT}$"):
        read_checkpoint(path)


def test_another_format_may_have_other_contents(tmp_path):
    torch.save({"format": 99, "version": "7.0"}, tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"format 99, written by version 7\.0"):
        read_checkpoint(tmp_path / "a.pt")


def test_an_option_that_this_version_does_not_know_is_named(tmp_path, checkpoint):
    path = tmp_path / "a.pt"
    write_checkpoint(path, checkpoint)
    content = content_of(path)
    torch.save(content | {"model": {**content["model"], "pooling": "max"}}, path)
    with pytest.raises(InputError, match=r"a\.pt: 'pooling' is none of: backbone"):
        read_checkpoint(path)


def test_on_a_full_disk_the_previous_file_stays(tmp_path, checkpoint, monkeypatch):
    path = tmp_path / "a.pt"
    write_checkpoint(path, replace(checkpoint, epoch=1))

    def half(content: object, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(InputError, match=r"a\.pt: no space left on the disk"):
        write_checkpoint(path, replace(checkpoint, epoch=2))
    assert read_checkpoint(path).epoch == 1
    assert [each.name for each in tmp_path.iterdir()] == ["a.pt"]


def test_a_changed_weight_is_refused_although_torch_reads_it(tmp_path, checkpoint):
    path = tmp_path / "a.pt"
    write_checkpoint(path, checkpoint)
    content, weight = path.read_bytes(), checkpoint.weights["encoder.backbone.model.cls_token"]
    kept = weight.numpy().tobytes()
    assert content.count(kept) == 1
    path.write_bytes(content.replace(kept, bytes([kept[0] ^ 1]) + kept[1:]))
    assert content_of(path)["weights"].keys() == checkpoint.weights.keys()
    message = r"a\.pt: .* damaged \(the checksum of 'a?\.?.*data/\d+' differs\); copy the file"
    with pytest.raises(InputError, match=message):
        read_checkpoint(path)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_read_to_resume_but_not_to_predict(
    tmp_path, checkpoint, value
):
    weights = {name: weight.clone() for name, weight in checkpoint.weights.items()}
    weights["encoder.backbone.model.cls_token"].view(-1)[3] = value
    path = tmp_path / "a.pt"
    write_checkpoint(path, replace(checkpoint, weights=weights))
    assert read_checkpoint(path).weights.keys() == weights.keys()
    message = rf"a\.pt: 1 of {len(weights)} tensors hold NaN or infinite .*cls_token\), so it"
    with pytest.raises(InputError, match=message):
        read_model(path)
    with pytest.raises(InputError, match=message):
        Predictor.load(path)
    with pytest.raises(InputError, match=message):
        export(path, tmp_path / "out", "bundle")
    assert [each.name for each in tmp_path.iterdir()] == ["a.pt"]


def test_a_checkpoint_needs_only_taxonomy_model_and_weights(checkpoint):
    bare = Checkpoint(checkpoint.taxonomy, checkpoint.model, checkpoint.weights)
    assert (bare.epoch, dict(bare.metrics), dict(bare.training)) == (-1, {}, {})


def changed(weights: dict[str, torch.Tensor], how: str) -> object:
    name = next(iter(weights))
    others = {key: value for key, value in weights.items() if key != name}
    return {
        "missing": others,
        "shape": {name: torch.zeros(2, 3), **others},
        "type": {name: torch.zeros_like(weights[name], dtype=torch.int64), **others},
        "more": {**weights, "more": torch.zeros(2)},
        "text": "abc",
    }[how]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "'encoder.* is missing"),
        ("shape", r"'encoder.* is of shape \[2, 3\], not \["),
        ("type", r"'encoder.* is of type torch\.int64, not torch\.float32"),
        ("more", "'more' is no part of the model"),
        ("text", "they are a str, not tensors by name"),
    ],
)
def test_weights_that_do_not_fit_are_named_with_the_file(tmp_path, checkpoint, how, message):
    path = tmp_path / "a.pt"
    write_checkpoint(path, checkpoint)
    content = content_of(path)
    torch.save(content | {"weights": changed(content["weights"], how)}, path)
    with pytest.raises(InputError, match=rf"a\.pt: its weights do not fit .* model: {message}"):
        read_checkpoint(path).classifier()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("weights", None, r"KeyError\('weights'\)"),
        ("taxonomy", [1], "AttributeError"),
        ("epoch", "x", "epoch 'x' is not a whole number"),
        ("metrics", [1], "metrics holds no names and values"),
        ("class_counts", {"a": 1}, "class_counts are not of the classes of its taxonomy"),
        ("class_counts", {"Sarees/border": [1]}, "class_counts are not of the classes"),
    ],
)
def test_contents_that_no_training_wrote_are_refused(tmp_path, checkpoint, key, value, message):
    path = tmp_path / "a.pt"
    write_checkpoint(path, checkpoint)
    content = {name: old for name, old in content_of(path).items() if name != key}
    torch.save(content if value is None else content | {key: value}, path)
    with pytest.raises(InputError, match=rf"a\.pt: damaged, or altered \({message}"):
        read_checkpoint(path)


def test_a_folder_is_an_error_of_the_system(tmp_path):
    with pytest.raises(IsADirectoryError):
        read_checkpoint(tmp_path)


def test_the_columns_of_the_training_csv_survive_the_file(tmp_path, checkpoint):
    columns = CatalogueConfig(
        id_column="sku",
        category_column=("gender", "type"),
        image_column="image",
        merged_labels={"color": {"Navy Blue": ("navy",)}},
    )
    path = tmp_path / "a.pt"
    write_checkpoint(path, replace(checkpoint, columns=columns))
    assert read_checkpoint(path).columns == columns
    write_checkpoint(path, checkpoint)
    assert read_checkpoint(path).columns == CatalogueConfig()


def test_columns_that_cannot_be_are_refused(tmp_path, checkpoint):
    path = tmp_path / "a.pt"
    write_checkpoint(path, checkpoint)
    content = torch.load(path, weights_only=True)
    torch.save(content | {"columns": {"id_colour": "sku"}}, path)
    with pytest.raises(InputError, match=r"a\.pt, columns: 'id_colour' is none of"):
        read_checkpoint(path)
    torch.save({name: each for name, each in content.items() if name != "columns"}, path)
    assert read_checkpoint(path).columns == CatalogueConfig()  # of an earlier version
