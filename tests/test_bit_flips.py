"""One bit of a file that we wrote is flipped, all over the file: refused, or nothing changes.

pytest tests/test_bit_flips.py -o log_cli=true -o log_cli_level=INFO    # prints the table
BIT_FLIPS=2000 pytest tests/test_bit_flips.py                           # tries more of them
"""

import logging
import os
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from visual_taxonomy.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from visual_taxonomy.config import DataConfig, ModelConfig, TrainConfig
from visual_taxonomy.config_values import read_toml, to_dict, to_toml
from visual_taxonomy.data import image_cache
from visual_taxonomy.data.image_cache import cache_in_folder
from visual_taxonomy.data.split import read_split, write_split
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import (
    MANIFEST,
    TAXONOMY,
    WEIGHTS,
    Bundle,
    Preprocessing,
    checksums,
    read_bundle,
    write_manifest,
)
from visual_taxonomy.model.download import check_download
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training import feature_file
from visual_taxonomy.training.feature_cache import cached_features
from visual_taxonomy.training.run_folder import check_unchanged

FLIPS = int(os.environ.get("BIT_FLIPS", "200"))
SIZE = (16, 12)


class Kind(NamedTuple):
    """A kind of file."""

    files: Callable[[Path], Path]
    """Writes it, and what it needs, into a folder."""
    read: Callable[[Path], object]
    """What the product makes of it, to be compared with ==; raises InputError if it refuses."""
    start: Callable[[bytes], int] = lambda content: 0
    """The first byte to flip."""


def write_small_checkpoint(folder: Path) -> Path:
    taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"], "color": ["red"]}})
    weights = {"a.weight": torch.randn(40, 30), "a.bias": torch.randn(40), "n": torch.tensor(3)}
    training = {"step": 3, "random": torch.arange(50), "history": [{"lr": 0.1}]}
    counts = {"Sarees/border": [7, 9], "Sarees/color": [5]}
    metrics = {"hm": 0.5}
    content = Checkpoint(taxonomy, ModelConfig(), weights, 3, metrics, counts, training)
    write_checkpoint(folder / "best.pt", content)
    return folder / "best.pt"


def plain(value: object) -> object:
    """With the bytes of tensors in place of tensors."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.numpy().tobytes()
    if isinstance(value, dict):
        return [(key, plain(each)) for key, each in value.items()]
    return [plain(each) for each in value] if isinstance(value, list) else value


def read_small_checkpoint(path: Path) -> object:
    found = read_checkpoint(path)
    rest = {
        name: getattr(found, name) for name in ("weights", "metrics", "class_counts", "training")
    }
    return found.taxonomy, found.model, found.epoch, plain(rest)


def directory_of(content: bytes) -> int:
    """Where the directory of a zip file begins."""
    return content.index(b"PK\x01\x02")


def write_cache(folder: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 20, 15, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder / "cache" / "pixels_16x12.bin"


def read_cache(pixels: Path) -> object:
    folder = pixels.parent.parent
    cached = cache_in_folder(folder / "cache", sorted(folder.glob("*.png")), SIZE)
    return [cached(row).tobytes() for row in range(6)]


def write_features(folder: Path) -> Path:
    cached_features(folder, "key", 2, lambda view: torch.randn(20, 24) + view)
    return folder / "key.npy"


def read_features(path: Path) -> object:
    return plain(feature_file.open_features(path))


def write_bundle(folder: Path) -> Path:
    taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"], "color": ["red"]}})
    (folder / TAXONOMY).write_text(taxonomy.to_json())
    save_file({"weight": torch.randn(20, 30)}, folder / WEIGHTS)
    preprocessing = Preprocessing((32, 48), (0.48, 0.45, 0.4), (0.26, 0.25, 0.27))
    source = {"name": "best.pt", "epoch": 3, "metrics": {"hm": 0.5}}
    bundle = Bundle(folder, taxonomy, ModelConfig(), preprocessing, checksums(folder))
    write_manifest(replace(bundle, source=source, class_counts={"Sarees/border": [3, 4]}))
    return folder / MANIFEST


def read_whole_bundle(path: Path) -> object:
    return astuple(read_bundle(path.parent)), (path.parent / WEIGHTS).read_bytes()


def beside(name: str, write: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Another file of those that are written."""
    return lambda folder: write(folder).parent / name


IDS = [str(number) for number in (*range(1, 40), *range(100, 130), 1000, 12345)] + ["x-1", "y 1"]


def write_small_split(folder: Path) -> Path:
    write_split(folder / "split.csv", IDS, np.arange(len(IDS)) % 3 == 0)
    return folder / "split.csv"


def read_small_split(path: Path) -> object:
    return read_split(path, IDS).tolist()


def write_config(folder: Path) -> Path:
    (folder / "config.toml").write_text(to_toml(TrainConfig(DataConfig(Path("a"), Path("b")))))
    return folder / "config.toml"


def resume_with(path: Path) -> object:
    """What of a resumed run its config decides; last.pt has a copy with a checksum."""
    config = read_toml(TrainConfig, path)
    kept = TrainConfig(DataConfig(Path("a"), Path("b")))
    check_unchanged(config, kept, path.with_name("last.pt"), "")
    sections = to_dict(config)
    return sections["model"], sections["objective"]


def write_download(folder: Path) -> Path:
    (folder / "weights.pt").write_bytes(np.random.default_rng(0).bytes(1000))
    digest = next(value for name, value in checksums(folder).items() if name == "weights.pt")
    (folder / "weights.pt.sha256").write_text(f"{digest}  weights.pt\n")
    return folder / "weights.pt"


def read_download(path: Path) -> object:
    path = path.with_name("weights.pt")
    check_download(path)
    return path.read_bytes()


KINDS = {
    "checkpoint": Kind(write_small_checkpoint, read_small_checkpoint),
    "checkpoint, directory": Kind(write_small_checkpoint, read_small_checkpoint, directory_of),
    "image cache, pixels": Kind(write_cache, read_cache),
    "image cache, index": Kind(beside("index_16x12.json", write_cache), read_cache),
    "feature cache": Kind(write_features, read_features),
    "feature cache, checksums": Kind(
        write_features, read_features, lambda content: len(content) - 40
    ),
    "bundle.json": Kind(write_bundle, read_whole_bundle),
    "bundle, taxonomy.json": Kind(beside(TAXONOMY, write_bundle), read_whole_bundle),
    "bundle, weights": Kind(beside(WEIGHTS, write_bundle), read_whole_bundle),
    "split.csv": Kind(write_small_split, read_small_split),
    "config.toml of a resumed run": Kind(write_config, resume_with),
    "downloaded weights": Kind(write_download, read_download),
    "downloaded weights, .sha256": Kind(beside("weights.pt.sha256", write_download), read_download),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feature file has several blocks, and a cache is not looked through when it is opened."""
    monkeypatch.setattr(feature_file, "BLOCK_BYTES", 512)
    monkeypatch.setattr(image_cache, "_CHECKED", 0)


def flipped(content: bytes, start: int, number: int, count: int) -> bytes:
    """With a random bit of the `number`-th of `count` parts flipped."""
    random = np.random.default_rng([number, count])
    edges = np.linspace(8 * start, 8 * len(content), count + 1).astype(int)
    bit = int(random.integers(edges[number], max(edges[number] + 1, edges[number + 1])))
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("name", KINDS)
def test_a_flipped_bit_is_refused_or_changes_nothing(name, tmp_path):
    kind = KINDS[name]
    path = kind.files(tmp_path)
    expected = kind.read(path)
    there = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}
    refusals: list[str] = []
    for number in range(FLIPS):
        path.write_bytes(flipped(there[path], kind.start(there[path]), number, FLIPS))
        try:
            assert kind.read(path) == expected, f"flip {number} of {FLIPS}"
        except InputError as refusal:
            refusals.append(str(refusal))
        for each, content in there.items():
            if each.read_bytes() != content:
                each.write_bytes(content)
    assert all(str(tmp_path) in message for message in refusals)
    harmless = FLIPS - len(refusals)
    row = "| %s | %d | %d refused | %d harmless | 0 wrong |"
    logging.getLogger(__name__).info(row, name, FLIPS, len(refusals), harmless)
