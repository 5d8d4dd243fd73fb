"""Fixtures of all tests."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
import torch

if TYPE_CHECKING:
    from visual_taxonomy.checkpoint import Checkpoint
    from visual_taxonomy.data.table import Table
    from visual_taxonomy.decision.decision import Decision
    from visual_taxonomy.decision.held_out import HeldOut
    from visual_taxonomy.inference.bundle import Bundle
    from visual_taxonomy.taxonomy import Taxonomy
    from visual_taxonomy.witnesses.combination import Witnesses


class Rows(NamedTuple):
    """Rows of the taxonomy of the tests, with titles and brands."""

    taxonomy: "Taxonomy"
    texts: np.ndarray
    categories: np.ndarray
    targets: np.ndarray


@pytest.fixture(autouse=True)
def seed() -> None:
    """Every test starts from the same random state."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is found out about the processor is kept for the tests only, not for the user."""
    from visual_taxonomy import processor

    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processor, "cache_folder", lambda: folder)
        yield


@pytest.fixture(scope="session")
def taxonomy() -> "Taxonomy":
    """Two categories of two and three slots; the task Kurtis/occasion has one class."""
    from visual_taxonomy.taxonomy import Taxonomy

    return Taxonomy.from_dict(
        {
            "Sarees": {"border": ["zari", "no", "woven"], "color": ["red", "blue"]},
            "Kurtis": {
                "color": ["red", "green"],
                "sleeve": ["short", "long", "three-quarter"],
                "occasion": ["default"],
            },
        }
    )


@pytest.fixture(scope="session")
def checkpoint(taxonomy: "Taxonomy") -> "Checkpoint":
    """A tiny classifier with random weights for 32 x 48 pixels."""
    from visual_taxonomy.checkpoint import Checkpoint
    from visual_taxonomy.config import ModelConfig
    from visual_taxonomy.model.classifier import build_classifier

    config = ModelConfig(backbone="test_vit", image_size=(32, 48), head="linear")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_classifier(taxonomy, config)
    return Checkpoint(taxonomy, config, model.state_dict())


@pytest.fixture
def table_of(tmp_path: Path, taxonomy: "Taxonomy") -> Callable[[int], "Table"]:
    """A function that draws N images, of Sarees and Kurtis in turn, and gives their table."""
    from PIL import Image

    from visual_taxonomy.data.table import Table

    def draw(num_rows: int) -> "Table":
        folder = tmp_path / "images"
        folder.mkdir()
        random = np.random.default_rng(0)
        names = np.array([f"{row:06d}.png" for row in range(num_rows)])
        for name in names:
            coarse = random.integers(0, 256, (5, 4, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((40, 50), Image.Resampling.BICUBIC).save(folder / name)
        categories = np.arange(num_rows) % 2
        labels = np.array([[0, 1, -1], [1, 2, 0]])[categories]
        labels[::3, 0] = -1
        ids = np.array([str(row) for row in range(num_rows)])
        return Table(taxonomy, ids, categories, labels, names, folder)

    return draw


@pytest.fixture(scope="session")
def checkpoint_path(checkpoint: "Checkpoint", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint as a file."""
    from visual_taxonomy.checkpoint import write_checkpoint

    path = tmp_path_factory.mktemp("checkpoint") / "best.pt"
    write_checkpoint(path, checkpoint)
    return path


@pytest.fixture(scope="session")
def bundle(checkpoint_path: Path, tmp_path_factory: pytest.TempPathFactory) -> "Bundle":
    """The checkpoint as a bundle with weights and an ONNX graph; not to be written to."""
    from visual_taxonomy.inference.export.bundle_writer import export

    return export(checkpoint_path, tmp_path_factory.mktemp("bundle") / "model", "bundle")


@pytest.fixture(scope="session")
def held_out(taxonomy: "Taxonomy") -> "HeldOut":
    """400 rows of a model that has learnt how rare the classes are, and is too sure of it."""
    from visual_taxonomy.decision.held_out import HeldOut

    random = np.random.default_rng(0)
    rows, slots = np.arange(400), taxonomy.num_slots
    categories = rows % 2
    shares = np.array([0.8, 0.15, 0.05])
    logits = (random.normal(0, 1, (400, slots, 3)) + np.log(shares)).astype(np.float32)
    targets = np.full((400, slots), -1)
    for category, tasks in enumerate(taxonomy.slots):
        of_category = categories == category
        for slot in range(slots):
            size = len(taxonomy.tasks[tasks[slot]].classes) if slot < len(tasks) else 0
            logits[of_category, slot, size:] = -np.inf
            if size:
                labels = random.choice(size, 200, p=shares[:size] / shares[:size].sum())
                logits[rows[of_category], slot, labels] += 1.5
                targets[of_category, slot] = labels
    odds = np.exp(2 * logits)
    odds /= np.maximum(odds.sum(axis=2, keepdims=True), 1e-9)
    counts = {task.name: [800, 150, 50][: len(task.classes)] for task in taxonomy.tasks}
    ids = np.array([str(row) for row in rows])
    return HeldOut(taxonomy, counts, ids, categories, rows, odds, targets)


@pytest.fixture(scope="session")
def decision(held_out: "HeldOut") -> "Decision":
    """A decision that is not argmax."""
    from visual_taxonomy.decision.fitting import fit_decision

    return fit_decision(held_out)


@pytest.fixture(scope="session")
def rows(taxonomy: "Taxonomy") -> Rows:
    """300 rows; a title names each class four times in five, and a third has no title."""
    random = np.random.default_rng(1)
    categories = np.arange(300) % 2
    targets = np.full((300, taxonomy.num_slots), -1)
    texts = np.full((300, 2), "", dtype=object)
    for row, category in enumerate(categories.tolist()):
        names = []
        for slot, task in enumerate(taxonomy.slots[category]):
            classes = taxonomy.tasks[task].classes
            # The same number in each slot, as far as it goes: labels say something of one another.
            number = row // 2 % 3 if random.random() < 0.7 else random.integers(3)
            label = int(number % len(classes))
            targets[row, slot] = label if random.random() < 0.8 else -1
            names.append(classes[label] if random.random() < 0.8 else "fine")
        if row % 3:
            texts[row] = [f"Lovely {' '.join(names)} no. {row}", ("Acme", "Zeta")[row % 2]]
    return Rows(taxonomy, texts, categories, targets)


@pytest.fixture(scope="session")
def heard(rows: Rows) -> "HeldOut":
    """300 rows that a model of images, words of two thirds, and labels speak of."""
    from visual_taxonomy.decision.held_out import HeldOut
    from visual_taxonomy.witnesses.known_label_fitting import fit_known_labels
    from visual_taxonomy.witnesses.word_fitting import fit_words

    words = fit_words(rows.taxonomy, ("title", "brand"), *rows[1:])
    known = fit_known_labels(rows.taxonomy, rows.categories, rows.targets)
    random = np.random.default_rng(5)
    odds = np.zeros((300, rows.taxonomy.num_slots, 3))
    for row, category in enumerate(rows.categories.tolist()):
        for slot, task in enumerate(rows.taxonomy.slots[category]):
            size = len(rows.taxonomy.tasks[task].classes)
            odds[row, slot, :size] = np.exp(random.normal(0, 1, size))
            # More often right than not.
            if rows.targets[row, slot] >= 0 and random.random() < 0.5:
                odds[row, slot, rows.targets[row, slot]] += 2.0
    odds[7] = 0.0  # without an image
    image = (odds / np.maximum(odds.sum(axis=2, keepdims=True), 1e-9)).astype(np.float32)
    said = {
        "words": words.probabilities(rows.texts, rows.categories),
        "known labels": known.probabilities(rows.targets, rows.categories),
    }
    counts = {task.name: [800, 150, 50][: len(task.classes)] for task in rows.taxonomy.tasks}
    ids = np.arange(300)
    arrays = ids.astype(str), rows.categories, ids, image, rows.targets
    return HeldOut(rows.taxonomy, counts, *arrays, witnesses=said)


@pytest.fixture(scope="session")
def witnesses(rows: Rows, heard: "HeldOut") -> "Witnesses":
    """Words, known labels and all combinations, fitted on these rows."""
    from visual_taxonomy.witnesses.combining import fit_witnesses
    from visual_taxonomy.witnesses.known_label_fitting import fit_known_labels
    from visual_taxonomy.witnesses.word_fitting import fit_words

    words = fit_words(rows.taxonomy, ("title", "brand"), *rows[1:])
    known = fit_known_labels(rows.taxonomy, rows.categories, rows.targets)
    return fit_witnesses(heard, words, known)


@pytest.fixture
def thin_towers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CLIP towers under their names, but two blocks of width 64 and 24 features."""
    from dataclasses import replace

    import timm

    from visual_taxonomy.model.backbone import BACKBONES

    create, thin = timm.create_model, {"embed_dim": 64, "depth": 2, "num_heads": 1}
    monkeypatch.setattr(timm, "create_model", lambda name, **given: create(name, **thin, **given))
    for name, tower in BACKBONES.items():
        monkeypatch.setitem(BACKBONES, name, replace(tower, width=24))


@pytest.fixture
def original_content(taxonomy: "Taxonomy") -> dict[str, object]:
    """What a checkpoint of the original system with a thin ViT-B-32 holds, for `thin_towers`."""
    block = {"ln_1": [64], "attn.in_proj_": [192, 64], "attn.out_proj": [64, 64], "ln_2": [64]}
    block |= {"mlp.c_fc": [256, 64], "mlp.c_proj": [64, 256]}
    shapes = {"conv1.weight": [64, 3, 32, 32], "class_embedding": [64], "proj": [64, 24]}
    shapes |= {"positional_embedding": [50, 64]}
    layers = {"ln_pre": [64], "ln_post": [64]}
    layers |= {f"transformer.resblocks.{i}.{n}": s for i in (0, 1) for n, s in block.items()}
    shapes = {f"clip_model.visual.{name}": shape for name, shape in shapes.items()}
    layers = {f"clip_model.visual.{name}": shape for name, shape in layers.items()}
    layers |= {f"b_norm.bn_layers.{k}": [24] for k in (0, 1)}
    layers |= {f"inter_linear.ln_layers.{k}": [12, 24] for k in (0, 1)}
    layers |= {
        f"{category.lower()}_fcs.{slot}": [len(taxonomy.tasks[t].classes), 12]
        for category, tasks in zip(taxonomy.categories, taxonomy.slots, strict=True)
        for slot, t in enumerate(tasks)
    }
    for layer, shape in layers.items():
        dot = "" if layer.endswith("_") else "."
        shapes |= {f"{layer}{dot}weight": shape, f"{layer}{dot}bias": shape[:1]}
    state = {name: torch.randn(shape) / 4 for name, shape in shapes.items()}
    for k in (0, 1):
        state[f"b_norm.bn_layers.{k}.running_mean"] = torch.randn(24)
        state[f"b_norm.bn_layers.{k}.running_var"] = torch.rand(24) + 0.5
        state[f"b_norm.bn_layers.{k}.num_batches_tracked"] = torch.tensor(7)
    scores = {"H.M F1-Score": np.float64(0.5), "Micro F1-Score": np.float32(0.75)}
    return {
        "state_dict": state,
        "metrics": {"Loss": {}, "Overall Scores": {**scores, "Macro F1-Score": 0.25}},
        "epoch": 3,
        "args": {"backbone": "ViT-B-32", "batch_norm": True, "inter_linear": True, "method": None},
    }


@pytest.fixture
def original_path(original_content: dict[str, object], tmp_path: Path) -> Path:
    """The same as a file."""
    torch.save(original_content, tmp_path / "original.pt")
    return tmp_path / "original.pt"


@pytest.fixture
def attributes_config(taxonomy: "Taxonomy", tmp_path: Path) -> Path:
    """The taxonomy as a file."""
    (tmp_path / "attrs.json").write_text(taxonomy.to_json(), encoding="utf-8")
    return tmp_path / "attrs.json"
