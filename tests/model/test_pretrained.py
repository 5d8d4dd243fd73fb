import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from visual_taxonomy.errors import InputError
from visual_taxonomy.model import pretrained
from visual_taxonomy.model.backbone import Backbone, create_backbone
from visual_taxonomy.model.pretrained import load_pretrained

# A CLIP tower in small, as `ViT-B-32`: blocks, width, heads, projection. Images of 96 x 96.
DEPTH, WIDTH, HEADS, PROJECTION, PATCH = 3, 24, 3, 16, 32
SIZE = (96, 96)


def _tower(image_size: tuple[int, int] = SIZE, **parameters: object) -> Backbone:
    thin = {"embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS, "num_classes": PROJECTION}
    return create_backbone("ViT-B-32", image_size, {**thin, **parameters}).eval()


class PlainClip(nn.Module):
    """CLIP's image tower from torch's own layers, with the parameter names of open_clip.

    After Radford et al., "Learning Transferable Visual Models From Natural Language
    Supervision", ICML 2021, https://arxiv.org/abs/2103.00020, section 2.4.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, PATCH, PATCH, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(WIDTH))
        self.positional_embedding = nn.Parameter(torch.randn(1 + 9, WIDTH))
        self.ln_pre = nn.LayerNorm(WIDTH)
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(PlainBlock() for _ in range(DEPTH))
        self.ln_post = nn.LayerNorm(WIDTH)
        self.proj = nn.Parameter(torch.randn(WIDTH, PROJECTION))

    def forward(self, images: Tensor) -> Tensor:
        patches = self.conv1(images).flatten(2).transpose(1, 2)
        token = self.class_embedding.expand(len(images), 1, -1)
        x = self.ln_pre(torch.cat([token, patches], 1) + self.positional_embedding)
        for block in self.transformer.resblocks:
            x = block(x)
        return self.ln_post(x[:, 0]) @ self.proj


class PlainBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(WIDTH)
        self.attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.ln_2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.ModuleDict(
            {"c_fc": nn.Linear(WIDTH, 4 * WIDTH), "c_proj": nn.Linear(4 * WIDTH, WIDTH)}
        )

    def forward(self, x: Tensor) -> Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x))))


@pytest.fixture
def plain() -> PlainClip:
    model = PlainClip().eval()
    for parameter in model.parameters():  # biases and norms too, lest a lost one go unnoticed
        nn.init.normal_(parameter, std=0.3)
    return model


def _checkpoint(model: PlainClip, prefix: str = "module.") -> dict[str, object]:
    """What open_clip's training saves: weights of both towers, and the optimizer beside them."""
    visual = {f"{prefix}visual.{name}": value for name, value in model.state_dict().items()}
    text = {
        f"{prefix}logit_scale": torch.tensor(4.6),
        f"{prefix}positional_embedding": torch.zeros(77, 8),
        f"{prefix}transformer.resblocks.0.ln_1.weight": torch.ones(8),
        f"{prefix}token_embedding.weight": torch.zeros(100, 8),
    }
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters)
    sum(p.sum() for p in parameters).backward()
    before = [p.detach().clone() for p in parameters]
    optimizer.step()
    for parameter, value in zip(parameters, before, strict=True):
        parameter.data.copy_(value)
    return {
        "epoch": 3,
        "name": "run",
        "state_dict": {**visual, **text},
        "optimizer": optimizer.state_dict(),
        "scaler": {"scale": 65536.0},
    }


def _saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("prefix", ["module.", ""])
def test_a_gcl_file_gives_the_features_of_clip(plain, tmp_path, prefix):
    backbone = _tower()
    load_pretrained(backbone, _saved(_checkpoint(plain, prefix), tmp_path / "gcl.pt"))
    images = torch.randn(4, 3, *SIZE)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images), plain(images), rtol=1e-4, atol=1e-5)


def test_quick_gelu_would_give_other_features(plain, tmp_path):
    backbone = _tower(act_layer="quick_gelu")
    load_pretrained(backbone, _saved(_checkpoint(plain), tmp_path / "gcl.pt"))
    images = torch.randn(4, 3, *SIZE)
    with torch.no_grad():
        assert (backbone(images) - plain(images)).abs().max() > 1e-3  # 100 times the above


def test_timm_to_open_clip_and_back_is_the_same_model(tmp_path):
    first, second = _tower(), _tower()
    images = torch.randn(2, 3, *SIZE)
    assert not torch.equal(first(images), second(images))
    load_pretrained(second, _saved({"state_dict": _to_open_clip(first)}, tmp_path / "w.pt"))
    assert torch.equal(first(images), second(images))


def _to_open_clip(backbone: Backbone) -> dict[str, Tensor]:
    """The inverse of timm's conversion."""
    names = {
        "patch_embed.proj": "conv1",
        "norm_pre": "ln_pre",
        "blocks": "transformer.resblocks",
        "norm1": "ln_1",
        "norm2": "ln_2",
        "attn.qkv.": "attn.in_proj_",
        "attn.proj": "attn.out_proj",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
    }
    weights = {}
    for key, value in backbone.model.state_dict().items():
        for timms, open_clips in names.items():
            key = key.replace(timms, open_clips)
        weights["ln_post" + key[4:] if key.startswith("norm.") else key] = value
    weights["class_embedding"] = weights.pop("cls_token")[0, 0]
    weights["positional_embedding"] = weights.pop("pos_embed")[0]
    weights["proj"] = weights.pop("head.weight").T.contiguous()
    assert not weights.pop("head.bias").any()
    return {f"module.visual.{key}": value for key, value in weights.items()}


def test_position_embeddings_are_resized_to_the_image(plain, tmp_path):
    backbone = _tower((128, 64))
    load_pretrained(backbone, _saved(_checkpoint(plain), tmp_path / "gcl.pt"))
    old = plain.positional_embedding.detach()
    new = backbone.model.pos_embed[0].detach()
    assert new.shape == (1 + 4 * 2, WIDTH)
    torch.testing.assert_close(new[0], old[0])
    grid = old[1:].T.reshape(1, WIDTH, 3, 3)
    resized = F.interpolate(grid, (4, 2), mode="bicubic", antialias=True, align_corners=False)
    torch.testing.assert_close(new[1:], resized.flatten(2)[0].T)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_a_timm_file_is_read_and_its_classifier_dropped(tmp_path, suffix):
    first = create_backbone("test_resnet", parameters={"num_classes": 7})
    second = create_backbone("test_resnet")
    path = tmp_path / f"weights{suffix}"
    weights = first.model.state_dict()
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    load_pretrained(second, str(path))
    first.model.reset_classifier(0)
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(first.eval()(images), second.eval()(images))


@pytest.mark.parametrize("section", ["state_dict", "model"])
def test_weights_in_a_section_with_prefixes_are_found(tmp_path, section):
    first, second = create_backbone("test_resnet"), create_backbone("test_resnet")
    weights = {f"module._orig_mod.{k}": v for k, v in first.model.state_dict().items()}
    load_pretrained(second, _saved({section: weights, "epoch": 1}, tmp_path / "w.pt"))
    assert torch.equal(first.model.conv1[0].weight, second.model.conv1[0].weight)


def test_a_file_from_before_the_batch_counter_is_read(tmp_path):
    backbone = create_backbone("test_resnet")
    weights = backbone.model.state_dict()
    old = {k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}
    assert len(old) < len(weights)
    load_pretrained(backbone, _saved(old, tmp_path / "w.pt"))


def test_batch_norm_is_frozen_by_pretrained_weights_only(tmp_path):
    backbone = create_backbone("test_resnet")
    assert not backbone.freeze_batch_norm
    load_pretrained(backbone, _saved(backbone.model.state_dict(), tmp_path / "w.pt"))
    assert backbone.freeze_batch_norm
    before = backbone.model.bn1.running_mean.clone()
    backbone.train()(torch.randn(2, 3, 64, 64))
    assert torch.equal(backbone.model.bn1.running_mean, before)


def test_a_missing_file_of_ours_names_the_command_that_fetches_it(tmp_path):
    with pytest.raises(InputError, match=r"gone.pt: no such .*`vtax download-weights ViT-B-32`"):
        load_pretrained(_tower(), tmp_path / "gone.pt")


def test_a_missing_file_of_timms_names_the_ways_out(tmp_path):
    with pytest.raises(InputError, match=r"gone.pt: no such .*'timm' to fetch.*'none'"):
        load_pretrained(create_backbone("test_vit"), tmp_path / "gone.pt")


class Hostile:
    """Would make a folder if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_a_file_that_would_run_a_program_is_refused_and_nothing_runs(tmp_path):
    weights = {"state_dict": {"visual.proj": torch.ones(1)}, "args": Hostile(tmp_path / "ran")}
    with pytest.raises(InputError, match=r"it holds .*mkdir.*Unpickling could run any program"):
        load_pretrained(_tower(), _saved(weights, tmp_path / "hostile.pt"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_of_another_format_is_refused(tmp_path, suffix):
    path = tmp_path / f"page{suffix}"
    path.write_text("<html>404</html>")
    with pytest.raises(InputError, match=r"page.*(another format|cut off)"):
        load_pretrained(_tower(), path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_that_was_cut_off_is_refused(plain, tmp_path, suffix):
    path = tmp_path / f"half{suffix}"
    if suffix == ".pt":
        torch.save(plain.state_dict(), path)
    else:
        save_file(plain.state_dict(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"half.*(cut off|damaged)"):
        load_pretrained(_tower(), path)


@pytest.mark.parametrize("content", [{"epoch": 3, "loss": 0.5}, [1, 2], {}])
def test_a_file_without_weights_is_refused(tmp_path, content):
    with pytest.raises(
        InputError, match=r"holds no named tensors \(found: (epoch, loss|list|dict)"
    ):
        load_pretrained(_tower(), _saved(content, tmp_path / "w.pt"))


def test_every_misfit_is_counted_and_some_are_named(plain, tmp_path):
    checkpoint = _checkpoint(plain)
    weights = checkpoint["state_dict"]
    weights.pop("module.visual.ln_post.bias")
    weights["module.visual.ln_post.scale"] = torch.ones(1)
    for i in range(DEPTH):
        weights[f"module.visual.transformer.resblocks.{i}.mlp.c_fc.bias"] = torch.ones(5)
    weights["module.visual.ln_pre.bias"] = torch.ones(2)
    backbone = _tower()
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    with pytest.raises(InputError) as caught:
        load_pretrained(backbone, _saved(checkpoint, tmp_path / "w.pt"))
    message = str(caught.value)
    assert "w.pt: does not fit backbone ViT-B-32 (45 weights)" in message
    assert "1 missing: norm.bias; 1 unexpected: norm.scale; 4 of another shape: " in message
    assert "norm_pre.bias (2,) for (24,), " in message
    assert message.endswith(", ...")
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())
    assert not backbone.freeze_batch_norm


def test_weights_of_another_network_are_refused(plain, tmp_path):
    path = _saved(_checkpoint(plain), tmp_path / "gcl.pt")
    with pytest.raises(InputError, match="does not fit backbone test_resnet"):
        load_pretrained(create_backbone("test_resnet"), path)


def test_a_tower_with_patches_of_another_size_is_refused_and_not_resampled(plain, tmp_path):
    backbone = _tower(patch_size=16)
    with pytest.raises(InputError, match=r"made for patches of 32x32 pixels, .* has 16x16"):
        load_pretrained(backbone, _saved(_checkpoint(plain), tmp_path / "gcl.pt"))


def test_weights_timm_cannot_convert_are_refused(plain, tmp_path):
    checkpoint = _checkpoint(plain)
    checkpoint["state_dict"]["module.visual.conv1.weight"] = torch.ones(5)
    with pytest.raises(InputError, match="cannot be converted for backbone ViT-B-32"):
        load_pretrained(_tower(), _saved(checkpoint, tmp_path / "w.pt"))


def test_timms_own_weights_come_from_the_hub(monkeypatch):
    first = create_backbone("test_resnet", parameters={"num_classes": 1000})
    asked = []

    def fetch(model_id: str, weights_only: bool) -> dict[str, Tensor]:
        asked.append((model_id, weights_only))
        return first.model.state_dict()

    monkeypatch.setattr(pretrained, "load_state_dict_from_hf", fetch)
    second = create_backbone("test_resnet")
    load_pretrained(second, "timm")
    load_pretrained(second, "hf-hub:someone/resnet")
    assert asked == [("timm/test_resnet.r160_in1k", True), ("someone/resnet", True)]
    assert torch.equal(first.model.conv1[0].weight, second.model.conv1[0].weight)


def test_offline_the_hub_is_an_error_that_names_the_local_way(monkeypatch):
    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(pretrained, "load_state_dict_from_hf", offline)
    with pytest.raises(InputError, match=r"datacompxl' cannot be fetched .*vtax download-weights"):
        load_pretrained(_tower(), "timm")


def test_a_model_timm_has_no_weights_for_is_an_error():
    backbone = create_backbone("test_vit")
    backbone.model.pretrained_cfg["hf_hub_id"] = None
    with pytest.raises(InputError, match="no weights of timm for backbone test_vit"):
        load_pretrained(backbone, "timm")


def test_the_shared_mobilenet_has_folded_batch_norm_which_training_leaves_alone():
    root = Path(os.environ.get("VTAX_SHARED_DIR", Path(__file__).parents[3] / "shared"))
    path = root / "weights" / "mobilenetv2_100.safetensors"
    if not path.is_file():
        pytest.skip(f"{path} is not here; set VTAX_SHARED_DIR to the folder that has weights/")
    half = (0.5, 0.5, 0.5)
    backbone = create_backbone("mobilenetv2_100", (64, 48), {"pad_type": "same"}, half, half)
    load_pretrained(backbone, path)
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 52
    for norm in norms:  # the identity plus a bias: variance + epsilon is 1
        assert not norm.running_mean.any()
        torch.testing.assert_close(norm.running_var + norm.eps, torch.ones(norm.num_features))
        assert (norm.weight == 1).all()
    weights = load_file(path)
    assert torch.equal(backbone.model.conv_head.weight, weights["conv_head.weight"])
    images = torch.randn(4, 3, 64, 48)
    with torch.no_grad():
        evaluated = backbone.eval()(images)
        assert torch.equal(backbone.train()(images), evaluated)
        backbone.hold_statistics(False)
        spoilt = backbone.train()(images)
    assert (spoilt - evaluated).abs().mean() > 0.5 * evaluated.abs().mean()


def test_a_file_that_is_not_the_one_downloaded_is_refused(tmp_path):
    path = tmp_path / "vit.pt"
    path.touch()
    path.with_name("vit.pt.sha256").write_text(f"{'0' * 64}  vit.pt\n")
    with pytest.raises(InputError, match=r"vit\.pt: not the file that was downloaded"):
        load_pretrained(_tower(), path)
