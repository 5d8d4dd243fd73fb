"""The index against comparing all pairs, in float64, and connected components of SciPy."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from visual_taxonomy.data import neighbours
from visual_taxonomy.data.duplicates import group_near_duplicates
from visual_taxonomy.data.neighbours import first_copies

COUNT = 2000


def noise(random: np.random.Generator) -> np.ndarray:
    images = random.uniform(0, 255, (COUNT, 768))
    strength = random.uniform(0, 9, (COUNT // 2, 1))
    copies = images[: COUNT // 2] + strength * random.normal(0, 1, (COUNT // 2, 768))
    return np.concatenate([images[: COUNT // 2], copies])


def solid_colours(random: np.random.Generator) -> np.ndarray:
    return np.tile(random.uniform(0, 40, (COUNT, 3)), 256)


def nearly_white(random: np.random.Generator) -> np.ndarray:
    return 255 - np.abs(random.normal(0, 1.5, (COUNT, 768)))


def a_cloud_with_a_centre(random: np.random.Generator) -> np.ndarray:
    return 128 + random.normal(0, 1, (COUNT, 768)) * random.uniform(0, 3, (COUNT, 1))


def a_cloud_without_a_centre(random: np.random.Generator) -> np.ndarray:
    return 128 + random.normal(0, 2, (COUNT, 768))


def clouds(random: np.random.Generator) -> np.ndarray:
    centres = random.uniform(40, 210, (20, 768))[random.integers(0, 20, COUNT)]
    strength = random.uniform(0, 14, (COUNT, 1))
    return centres + strength * random.normal(0, 1, (COUNT, 768))


def smooth_images(random: np.random.Generator) -> np.ndarray:
    """Of few principal components, as photographs have."""
    waves = np.linalg.qr(random.normal(0, 1, (768, 12)))[0].T
    images = 128 + random.normal(0, 300, (COUNT, 12)) * np.arange(12, 0, -1) / 12 @ waves
    images[::3] = images[1::3][: len(images[::3])] * random.uniform(0.9, 1, (667, 1))
    return images


def a_staircase(random: np.random.Generator) -> np.ndarray:
    """Crowds that are neighbours of each other."""
    images = np.tile(100.0 + 1.5 * random.integers(0, 6, (COUNT, 1)).round(), 768)
    images[np.arange(COUNT), random.integers(0, 768, COUNT)] += random.integers(0, 4, COUNT)
    return images


def a_placeholder(random: np.random.Generator) -> np.ndarray:
    images = np.full((COUNT, 768), 255.0)
    images[::3] = random.uniform(0, 255, (len(images[::3]), 768))
    return images


@pytest.mark.parametrize(
    "draw",
    [
        noise,
        solid_colours,
        nearly_white,
        a_cloud_with_a_centre,
        a_cloud_without_a_centre,
        clouds,
        smooth_images,
        a_staircase,
        a_placeholder,
    ],
)
def test_groups_are_those_of_comparing_all_pairs(monkeypatch, draw):
    monkeypatch.setattr(neighbours, "_LEAF", 40)
    monkeypatch.setattr(neighbours, "_TILE", 300)
    monkeypatch.setattr(neighbours, "_PAIRS", 64)
    prints = np.ones((COUNT, 769), dtype=np.uint8)
    prints[:, 1:] = draw(np.random.default_rng(0)).round().clip(0, 255)
    np.testing.assert_array_equal(group_near_duplicates(prints), groups_of_all_pairs(prints))


def groups_of_all_pairs(prints: np.ndarray) -> np.ndarray:
    images = prints[:, 1:].astype(np.float64)
    sizes = (images**2).sum(1)
    squared = (sizes[:, None] + sizes - 2 * images @ images.T) / 768
    contrast = prints[:, 1:].astype(np.float32).std(1).astype(np.float64)
    limits = np.maximum(0.1 * np.minimum(contrast[:, None], contrast), 2)
    # Whole numbers: a little more keeps pairs exactly at the limit, as 2 grey levels apart.
    _, labels = connected_components(coo_array(squared <= limits**2 + 1e-9))
    firsts = np.unique(labels, return_index=True)[1]
    return firsts[labels]


def test_copies_are_known_by_their_bytes():
    thumbnails = np.array([[1, 2, 3], [9, 9, 9], [1, 2, 3], [9, 9, 9], [1, 2, 4]], dtype=np.uint8)
    assert first_copies(thumbnails, np.array([1, 2, 3, 4])).tolist() == [1, 2, 1, 4]


def test_others_with_the_same_checksum_are_no_copies(monkeypatch):
    """2^64 of them would be needed; here a factor of 0 gives all the same."""
    even = SimpleNamespace(integers=lambda high, size, dtype: np.full(size, 2**63, dtype))
    monkeypatch.setattr(np.random, "default_rng", lambda seed: even)
    thumbnails = np.zeros((4, 16), dtype=np.uint8)
    thumbnails[:, [0, 8]] = [[1, 2], [1, 2], [2, 1], [3, 0]]  # sums of words, factor 1
    assert first_copies(thumbnails, np.arange(4)).tolist() == [0, 0, 2, 3]


@pytest.mark.parametrize("kind", ["noise", "white", "copies"])
def test_twenty_thousand_images_are_grouped_whether_all_some_or_none_are_alike(kind):
    random = np.random.default_rng(0)
    prints = np.ones((20_000, 769), dtype=np.uint8)
    if kind == "white":
        prints[:, 1:] = 255 - random.integers(0, 2, (20_000, 768))
    else:
        prints[:, 1:] = random.integers(0, 256, (20_000, 768))
    if kind == "copies":
        prints[:] = prints[np.arange(20_000) % 200]
    groups = group_near_duplicates(prints)
    assert len(np.unique(groups)) == {"noise": 20_000, "white": 1, "copies": 200}[kind]
