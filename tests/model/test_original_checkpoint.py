"""Checkpoints of the original system, against its model of layers of open_clip and torch."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from visual_taxonomy.checkpoint import Checkpoint, read_original
from visual_taxonomy.errors import InputError
from visual_taxonomy.model.original_checkpoint import convert_original, is_original
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.taxonomy import Taxonomy

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("VTAX_SHARED_DIR", ROOT.parent / "shared"))
COMPETITION = ROOT / "configs" / "competition.json"
ORDER_IS_UNCHECKED = "ignore:.* order is not that of the training, the predictions are wrong"
HEADS = [(True, True), (True, False), (False, True), (False, False)]
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]


@pytest.fixture(scope="module")
def open_clip() -> ModuleType:
    with warnings.catch_warnings(action="ignore"):
        return pytest.importorskip("open_clip", reason="open_clip_torch is not installed")


class OriginalSystem(nn.Module):
    """The original's model, after the description of its layers; its names make the state_dict."""

    def __init__(
        self, visual: nn.Module, width: int, taxonomy: Taxonomy, norm: bool, linear: bool
    ) -> None:
        super().__init__()
        self.categories = taxonomy.categories
        self.clip_model = nn.ModuleDict({"visual": visual})
        if norm:
            layers = [nn.BatchNorm1d(width) for _ in self.categories]
            self.b_norm = nn.ModuleDict({"bn_layers": nn.ModuleList(layers)})
        if linear:
            layers = [nn.Linear(width, width // 2) for _ in self.categories]
            self.inter_linear = nn.ModuleDict({"ln_layers": nn.ModuleList(layers)})
        for category, tasks in zip(self.categories, taxonomy.slots, strict=True):
            hidden = width // 2 if linear else width
            heads = [nn.Linear(hidden, len(taxonomy.tasks[t].classes)) for t in tasks]
            self.add_module(f"{category.lower()}_fcs", nn.ModuleList(heads))

    def fit_norm(self, features: Tensor) -> None:
        """Statistics and weights of BatchNorm as training leaves them: all of them different."""
        for layer in self.b_norm["bn_layers"]:
            layer.running_mean.copy_(features.mean(0) + 0.1 * features.std(0) * torch.randn(1))
            layer.running_var.copy_(features.var(0) * (1 + torch.rand(1)))
            nn.init.normal_(layer.weight, 1.0, 0.3)
            nn.init.normal_(layer.bias, 0.0, 0.3)

    def logits(self, features: Tensor, category: int) -> list[Tensor]:
        """Of each attribute of a category, dropout being off."""
        if hasattr(self, "b_norm"):
            features = self.b_norm["bn_layers"][category](features)
        if hasattr(self, "inter_linear"):
            features = self.inter_linear["ln_layers"][category](features).relu()
        heads = getattr(self, f"{self.categories[category].lower()}_fcs")
        return [head(features) for head in heads]


def normalised(images: Tensor) -> Tensor:
    return (images / 255 - MEAN) / STD


def same_answers(
    system: OriginalSystem, features: Tensor, logits: Tensor, taxonomy: Taxonomy
) -> int:
    """Compare row by row, row i being of category i mod K; the number of different answers."""
    answers = set()
    for row in range(len(features)):
        category = row % len(taxonomy.categories)
        for slot, expected in enumerate(system.logits(features[row : row + 1], category)):
            found = logits[row, slot, : expected.shape[1]]
            torch.testing.assert_close(found, expected[0], atol=1e-4, rtol=0)
            assert found.argmax() == expected.argmax()
            answers.add((category, slot, int(found.argmax())))
    return len(answers)


def categories_of(rows: int, taxonomy: Taxonomy) -> Tensor:
    return torch.arange(rows) % len(taxonomy.categories)


@pytest.mark.filterwarnings(ORDER_IS_UNCHECKED)
@pytest.mark.parametrize(("norm", "linear"), HEADS)
@pytest.mark.parametrize("patch", [32, 14])
@torch.no_grad()
def test_a_file_gives_the_answers_of_the_model_that_was_saved(
    open_clip, thin_towers, taxonomy, attributes_config, tmp_path, patch, norm, linear
) -> None:
    visual = open_clip.model.VisionTransformer(224, patch, 64, 2, 1, 4.0, output_dim=24)
    system = OriginalSystem(visual, 24, taxonomy, norm, linear).eval()
    images = torch.randint(0, 256, (6, 3, 224, 224), dtype=torch.uint8)
    features = visual(normalised(images))
    if norm:
        system.fit_norm(features)
    torch.save({"state_dict": system.state_dict(), "epoch": 1}, tmp_path / "a.pt")
    checkpoint = read_original(tmp_path / "a.pt", attributes_config)
    assert checkpoint.model.backbone == {32: "ViT-B-32", 14: "ViT-L-14"}[patch]
    assert (checkpoint.model.batch_norm, checkpoint.model.inter_linear) == (norm, linear)
    logits = checkpoint.classifier()(images, categories_of(6, taxonomy))
    same_answers(system, features, logits, taxonomy)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    """64 real images, drawn ones where the real are absent, as the original resized them."""
    folder = SHARED / "data" / "apparel" / "images"
    if not folder.is_dir():
        drawn = tmp_path_factory.mktemp("drawn")
        synthesize(drawn, rows=64, image_size=256, workers=1)
        folder = drawn / "images"
    paths = sorted(folder.iterdir())
    paths = paths[:: len(paths) // 64][:64]
    assert len(paths) == 64
    return torch.stack([torch.from_numpy(_resized(path)).permute(2, 0, 1) for path in paths])


def _resized(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        squashed = image.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
    return np.array(squashed)


@pytest.mark.slow
@pytest.mark.filterwarnings(ORDER_IS_UNCHECKED)
@torch.no_grad()
def test_64_images_have_the_labels_of_a_vit_b_32_of_open_clip(open_clip, images) -> None:
    taxonomy = Taxonomy.read(COMPETITION)
    with warnings.catch_warnings(action="ignore"):
        visual = open_clip.create_model("ViT-B-32").visual.eval()
    expected = torch.cat([visual(normalised(part)) for part in images.split(16)])
    systems = {heads: OriginalSystem(visual, 512, taxonomy, *heads).eval() for heads in HEADS}
    encoder, ours = None, expected
    for (norm, _), system in systems.items():
        if norm:
            system.fit_norm(expected)
        content = {"state_dict": system.state_dict()}
        config, weights, *_ = convert_original(Path("a.pt"), content, taxonomy, COMPETITION)
        model = Checkpoint(taxonomy, config, weights).classifier()
        if encoder is None:  # the tower is the same for all four
            encoder = model.encoder
            ours = torch.cat([encoder(part) for part in images.split(16)])
        category = categories_of(64, taxonomy)
        logits = model.heads.by_slot(model.heads(ours, category).logits, category)
        answers = same_answers(system, expected, logits, taxonomy)
        assert not norm or answers > 2 * len(taxonomy.tasks)


def test_the_taxonomy_of_the_competition_has_its_five_categories_and_42_attributes() -> None:
    taxonomy = Taxonomy.read(COMPETITION)
    assert (len(taxonomy.categories), len(taxonomy.tasks)) == (5, 42)
    assert taxonomy.categories[-1] == "Women Tops & Tunics"
    facts = SHARED / "data" / "meesho_taxonomy.json"
    if facts.is_file():
        assert taxonomy == Taxonomy.read(facts)


@pytest.fixture
def refused(thin_towers, taxonomy, original_content) -> Iterator[object]:
    """A function that converts the content, or another, and expects a message."""

    def convert(message: str, names: Taxonomy = taxonomy) -> None:
        with pytest.raises(InputError, match=message):
            convert_original(Path("a.pt"), original_content, names, Path("attrs.json"))

    return convert


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"Kurtis": None},
            r"attrs\.json does not fit a\.pt: category 2 is missing, in the model 'kurtis'",
        ),
        ({"Tops": {"color": ["red"]}}, "category 3 is 'tops', in the model missing .*sarees, kurt"),
        (
            {"Sarees": {"border": ["zari", "no", "woven"]}},
            "category 'Sarees' has 1 attributes, in the model 2; give the JSON that the model was",
        ),
        (
            {"Kurtis": {"color": ["red", "green"], "sleeve": ["a", "b"], "occasion": ["c"]}},
            r"attribute 'Kurtis/sleeve' has 2 classes, in the model 3 \(kurtis_fcs\.1\)",
        ),
    ],
)
def test_the_first_difference_from_the_taxonomy_is_named(
    refused, taxonomy, changes, message
) -> None:
    mapping = {name: value for name, value in {**taxonomy.to_dict(), **changes}.items() if value}
    refused(message, Taxonomy.from_dict(mapping))


def test_categories_in_another_order_are_refused(refused, taxonomy) -> None:
    turned = dict(reversed(taxonomy.to_dict().items()))
    refused("category 1 is 'kurtis', in the model 'sarees'", Taxonomy.from_dict(turned))


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("b_norm.bn_layers.2.weight", [24], r"2 categories, in the model 3 \(b_norm\.bn_layers"),
        ("inter_linear.ln_layers.0.weight", [11, 24], r"ln_layers\.0\.weight is \(11, 24\), exp"),
        ("b_norm.bn_layers.1.running_var", [23], r"running_var is \(23,\), expected \(24,\) behi"),
        ("sarees_fcs.0.bias", None, r"a\.pt: lacks 1 weights: sarees_fcs\.0\.bias"),
        ("sarees_fcs.0.weight", None, "'Sarees' has 2 attributes, in the model 1"),
        ("gate.weight", [3], r"besides those of the original system, 1 weights: gate\.weight"),
        ("clip_model.visual.proj", None, r"2 missing: head\.weight, head\.bias"),
        ("clip_model.visual.conv1.weight", None, "image tower is none of ViT-B-32, ViT-L-14"),
        ("clip_model.visual.conv1.weight", [64, 3, 16, 16], "image tower is none of .*16, 16"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    refused, original_content, name, tensor, message
) -> None:
    state = original_content["state_dict"]
    state.pop(name, None)
    if tensor is not None:
        state[name] = torch.zeros(tensor)
    refused(message)


def test_prefixes_of_data_parallel_and_the_text_tower_change_nothing(
    thin_towers, taxonomy, original_content
) -> None:
    state = original_content["state_dict"]
    text = {"logit_scale": torch.zeros(()), "transformer.resblocks.0.ln_1.weight": torch.zeros(3)}
    text = {f"clip_model.{name}": value for name, value in text.items()}
    wrapped = {f"module.{name}": value for name, value in (state | text).items()}
    plain, other = (
        convert_original(Path("a.pt"), content, taxonomy, Path("attrs.json"))
        for content in (original_content, {"state_dict": wrapped})
    )
    assert plain.weights.keys() == other.weights.keys()
    assert all(torch.equal(plain.weights[name], other.weights[name]) for name in plain.weights)


def test_half_precision_becomes_float32(thin_towers, taxonomy, original_content) -> None:
    state = original_content["state_dict"]
    state.update({name: tensor.half() for name, tensor in state.items()})
    converted = convert_original(Path("a.pt"), original_content, taxonomy, Path("attrs.json"))
    assert {tensor.dtype for tensor in converted.weights.values()} == {torch.float32}


def test_epochs_count_from_0_and_scores_keep_our_names(
    thin_towers, taxonomy, original_content
) -> None:
    def convert() -> tuple[int, dict[str, float]]:
        return convert_original(Path("a.pt"), original_content, taxonomy, Path("attrs.json"))[2:]

    scores = original_content["metrics"]["Overall Scores"]
    scores |= {name: float(score) for name, score in scores.items()}
    assert convert() == (2, {"hm": 0.5, "micro": 0.75, "macro": 0.25})
    scores["Macro F1-Score"] = float("nan")
    assert convert() == (2, {})
    original_content["metrics"] = original_content["epoch"] = None
    assert convert() == (-1, {})


@pytest.mark.parametrize("content", [None, [1], {}, {"state_dict": 3}, {"state_dict": {1: 2}}])
def test_other_contents_are_no_checkpoint_of_the_original(content) -> None:
    assert not is_original(content)


def test_a_bare_state_dict_is_one(original_content) -> None:
    assert is_original(original_content["state_dict"])
