"""What weights files say of their images; the files are as timm and others write them."""

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from visual_taxonomy.config import DataConfig, ModelConfig, TrainConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.model.backbone import create_backbone
from visual_taxonomy.model.published_settings import as_published
from visual_taxonomy.progress import SILENT
from visual_taxonomy.training import setup

WEIGHTS = {"weight": torch.zeros(1)}
COMPETITION = {"timm": "mobilenetv2_100, pad_type='same'", "input": "RGB, 224, mean 0.5 std 0.5"}


def with_config(folder: Path, **changes: object) -> ModelConfig:
    save_file(WEIGHTS, folder / "model.safetensors")
    published = timm.get_pretrained_cfg("mobilenetv2_100").to_dict() | changes
    content = {"architecture": "mobilenetv2_100", "pretrained_cfg": published}
    (folder / "config.json").write_text(json.dumps({**content, "model_args": {"pad_type": "same"}}))
    return ModelConfig("mobilenetv2_100", str(folder / "model.safetensors"))


def test_metadata_of_safetensors_say_normalisation_and_padding(tmp_path):
    save_file(WEIGHTS, tmp_path / "a.safetensors", COMPETITION)
    found = as_published(ModelConfig("mobilenetv2_100", str(tmp_path / "a.safetensors")))
    assert found.normalization == "inception"
    assert found.backbone_parameters == {"pad_type": "same"}


def test_a_config_of_timm_beside_the_file_says_them_too(tmp_path):
    found = as_published(with_config(tmp_path))
    assert found.normalization == "imagenet"
    assert found.backbone_parameters == {"pad_type": "same"}
    half = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    assert as_published(with_config(tmp_path, **half)).normalization == "inception"


def test_what_a_flag_says_stays(tmp_path):
    path = str(tmp_path / "a.safetensors")
    save_file(WEIGHTS, path, COMPETITION)
    given = ModelConfig("mobilenetv2_100", path, {"pad_type": ""}, normalization="clip")
    assert as_published(given) == given


@pytest.mark.parametrize("name", ["none", "timm", "auto", "gone.safetensors"])
def test_without_a_file_nothing_is_said(name):
    config = ModelConfig("mobilenetv2_100", name)
    assert as_published(config) == config


@pytest.mark.parametrize("text", ["{", "[]", '{"pretrained_cfg": {"mean": 1}}', "{}"])
def test_a_file_that_says_nothing_changes_nothing(tmp_path, text):
    config = with_config(tmp_path)
    (tmp_path / "config.json").write_text(text)
    assert as_published(config) == config
    (tmp_path / "model.safetensors").write_bytes(b"no safetensors")
    assert as_published(config) == config


def test_a_mean_that_no_preset_has_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"mean \[0\.1, 0\.2, 0\.3\] .* which no `normalization`"):
        as_published(with_config(tmp_path, mean=[0.1, 0.2, 0.3]))


def test_a_mean_that_is_timms_own_needs_no_preset(tmp_path):
    path = with_config(tmp_path, mean=[0, 0, 0], std=[1, 1, 1]).pretrained_ckpt
    own = ModelConfig("fastvit_mci0", path)
    assert as_published(own).normalization == "backbone"


def test_a_run_notes_what_the_file_said(tmp_path, caplog):
    data = DataConfig(Path("a"), Path("b"))
    config = TrainConfig(data, with_config(tmp_path))
    with caplog.at_level("INFO"):
        assert setup.as_published(config, SILENT).model.normalization == "imagenet"
    assert "model.safetensors says: `normalization=imagenet`" in caplog.text
    plain = TrainConfig(data)
    assert setup.as_published(plain, SILENT) is plain


def test_folded_norms_of_unknown_images_are_warned_of(tmp_path):
    from visual_taxonomy.model.classifier import build_classifier
    from visual_taxonomy.taxonomy import Taxonomy

    backbone = create_backbone("mobilenetv2_035", (32, 32))
    path = tmp_path / "folded.pt"
    torch.save(backbone.model.state_dict(), path)  # as built: mean 0, variance 1
    taxonomy = Taxonomy.from_dict({"Hats": {"brim": ["wide", "none"]}})
    config = ModelConfig("mobilenetv2_035", str(path), image_size=(32, 32))
    with pytest.warns(UserWarning, match=r"folded\.pt: its BatchNorm is folded .* `normalization`"):
        setup.load_weights(build_classifier(taxonomy, config), config)
    backbone.model.bn1.running_mean += 1
    assert not setup.has_folded_norms(backbone)
    assert not setup.has_folded_norms(create_backbone("test_vit"))
