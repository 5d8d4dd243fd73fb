"""Fixtures of all tests."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

if TYPE_CHECKING:
    from visual_taxonomy.checkpoint import Checkpoint
    from visual_taxonomy.data.table import Table
    from visual_taxonomy.inference.bundle import Bundle
    from visual_taxonomy.taxonomy import Taxonomy


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
    """A function that draws N pictures, of Sarees and Kurtis in turn, and gives their table."""
    from PIL import Image

    from visual_taxonomy.data.table import Table

    def draw(num_rows: int) -> "Table":
        folder = tmp_path / "pictures"
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
