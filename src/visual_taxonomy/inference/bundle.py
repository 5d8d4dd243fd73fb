"""The folder that `vtax export` writes: a model, and all that its answers depend on.

    bundle.json         what the folder holds: format, preprocessing, versions, checksums, scores
    taxonomy.json       category -> attribute -> classes, in the order of the outputs
    witnesses.npz       what it answers from beside the image: words, and labels that are known
    weights.safetensors for torch;  model.onnx  for ONNX Runtime;  model.xml, .bin  for OpenVINO
    requirements.txt    the packages that run it without torch
    README.md           the model card, for people

Nothing in it is unpickled, and reading it needs neither torch nor any of the engines.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from visual_taxonomy.atomic import write_atomically, write_text
from visual_taxonomy.catalogue import CatalogueConfig, from_remembered
from visual_taxonomy.config import ModelConfig
from visual_taxonomy.config_values import from_dict, to_dict
from visual_taxonomy.errors import InputError
from visual_taxonomy.preprocessing import Preprocessing
from visual_taxonomy.taxonomy import Taxonomy

if TYPE_CHECKING:
    from visual_taxonomy.decision.decision import Decision
    from visual_taxonomy.witnesses.combination import Witnesses

FORMAT = 2
"""Number of the format; a reader refuses those it does not know."""

_READABLE = (1, FORMAT)
"""Format 1 has no decision: its answers are the most probable classes."""

MANIFEST = "bundle.json"
CARD = "README.md"
REQUIREMENTS = "requirements.txt"
TAXONOMY = "taxonomy.json"
WEIGHTS = "weights.safetensors"
WITNESSES = "witnesses.npz"
ONNX = "model.onnx"
OPENVINO = "model.xml"

_PLAIN = ("files", "int8", "class_counts", "decision_figures", "source", "versions", "measured")
"""Fields of a bundle that stand in the manifest as they are."""

# Read at a time for the checksum: a bundle of gigabytes takes no memory.
_CHUNK_BYTES = 1 << 20
# What reading a manifest raises that is no JSON, or not the JSON of a manifest.
# Not ValueError, though JSON's errors are such: InputError is one too, and has its own words.
_DAMAGE = (
    KeyError,
    TypeError,
    AttributeError,
    UnicodeDecodeError,
    json.JSONDecodeError,
    RecursionError,
)


@dataclass(frozen=True)
class Bundle:
    """What a bundle folder says.

    Args:
        folder: Where it lies.
        taxonomy: What the outputs mean.
        model: Backbone and heads, as in the checkpoint.
        preprocessing: From a decoded image to what the model takes.
        files: Name of each model file -> its SHA-256.
        int8: Whether the matrix products of the graph are in 8 bits.
        class_counts: Task name -> training labels of each class.
        decision: From its probabilities to answers; None: the most probable classes.
        decision_figures: As in the checkpoint.
        source: The checkpoint: its name, SHA-256, epoch and validation scores, and whether its
            training CSV named its label columns by the attributes; which column was what in it.
        versions: Package -> version the folder was made with.
        measured: Agreement with the checkpoint on given rows; empty if it was not measured.
    """

    folder: Path
    taxonomy: Taxonomy
    model: ModelConfig
    preprocessing: Preprocessing
    files: Mapping[str, str] = field(default_factory=dict)
    int8: bool = False
    class_counts: Mapping[str, list[int]] = field(default_factory=dict)
    decision: "Decision | None" = None
    decision_figures: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def witnesses(self) -> "Witnesses | None":
        """What it answers from beside the image; None for the image alone.

        Raises:
            InputError: The file is damaged.
        """
        if not self.has(WITNESSES):
            return None
        return _read_witnesses(self.folder / WITNESSES, self.taxonomy)

    @property
    def columns(self) -> CatalogueConfig:
        """Which column of the training CSV was what."""
        return from_remembered(self.source.get("columns", {}), str(self.folder / MANIFEST))

    @property
    def named_columns(self) -> bool:
        """Whether the training CSV named its label columns by the attributes."""
        return bool(self.source.get("named_columns", False))

    def has(self, name: str) -> bool:
        """Whether the folder holds the model file of that name."""
        return name in self.files


def is_bundle(path: Path) -> bool:
    """Whether a path is a folder with a manifest."""
    return (path / MANIFEST).is_file()


def write_manifest(bundle: Bundle) -> None:
    """Write the manifest; taxonomy and model files are there already."""
    content = {
        "format": FORMAT,
        "model": to_dict(bundle.model),
        "preprocessing": {
            "image_size": bundle.preprocessing.image_size,
            "mean": bundle.preprocessing.mean,
            "std": bundle.preprocessing.std,
            "resize": bundle.preprocessing.interpolation,
            "color": "RGB",
        },
        "decision": {} if bundle.decision is None else bundle.decision.to_dict(),
        **{name: getattr(bundle, name) for name in _PLAIN},
    }
    content["sha256"] = _digest(content)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_text(bundle.folder / MANIFEST, text)


def read_bundle(folder: Path) -> Bundle:
    """Read the manifest of a bundle, and check it and every model file against their checksums.

    Raises:
        InputError: There is no bundle, it is of another format, or a file is missing or altered.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = content["format"]
        if known not in _READABLE:
            raise InputError(
                f"{path}: format {known}, but this version of vtax reads format {FORMAT}; export "
                "the checkpoint again, or install the version that wrote it"
            )
        # Bundles of version 0.1 have none.
        if "sha256" in content and content.pop("sha256") != _digest(content):
            raise InputError(
                f"{path}: not what was exported (its SHA-256 differs); copy it again, or export "
                "the checkpoint again"
            )
        _check_files(folder, content["files"])
        preprocessing = content["preprocessing"]
        taxonomy = Taxonomy.read(folder / TAXONOMY)
        return Bundle(
            folder,
            taxonomy,
            from_dict(ModelConfig, content["model"], str(path)),
            Preprocessing(
                tuple(preprocessing["image_size"]),
                tuple(preprocessing["mean"]),
                tuple(preprocessing["std"]),
                preprocessing["resize"],
            ),
            decision=_decision(content["decision"], taxonomy, path),
            # Format 1 has no figures of a decision.
            **{name: content.get(name, {}) if known == 1 else content[name] for name in _PLAIN},
        )
    except FileNotFoundError:
        raise InputError(
            f"{folder}: not a bundle of `vtax export` ({MANIFEST} is missing)"
        ) from None
    except _DAMAGE as error:
        raise InputError(f"{path}: damaged ({error!r}); export the checkpoint again") from None


def _decision(content: Mapping[str, Any], taxonomy: Taxonomy, path: Path) -> "Decision | None":
    # Not above: `vtax list` imports this module for `is_bundle`, and should not wait for numpy.
    from visual_taxonomy.decision.decision import Decision

    try:
        return Decision.from_dict(taxonomy, content) if content else None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def write_witnesses(folder: Path, witnesses: "Witnesses") -> None:
    """Write what a bundle answers from beside the image."""
    import numpy as np

    arrays: dict[str, Any] = {**witnesses.to_arrays()}
    with write_atomically(folder / WITNESSES) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _read_witnesses(path: Path, taxonomy: Taxonomy) -> "Witnesses":
    import numpy as np

    from visual_taxonomy.witnesses.combination import Witnesses

    try:
        # NumPy leaves a file open that it cannot read, so it is opened here.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return Witnesses.from_arrays(taxonomy, {name: file[name] for name in file.files})
    except (BadZipFile, ValueError, OSError, EOFError) as error:
        raise InputError(f"{path}: damaged ({error}); export the checkpoint again") from None


def checksums(folder: Path) -> dict[str, str]:
    """Name of each file of a folder -> its SHA-256."""
    return {path.name: checksum(path) for path in sorted(folder.iterdir())}


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of the values of a manifest, however its text is laid out."""
    plain = json.loads(json.dumps(content))  # tuples become lists, as when it is read
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    # Always checked: a manifest that leaves it out expects "", which is no file's checksum.
    for name, expected in {TAXONOMY: "", **files}.items():
        path = folder / name
        # A name with a folder in it would read files outside of the bundle.
        if Path(name).name != name or not path.is_file():
            raise InputError(f"{path}: missing from the bundle; copy the whole folder again")
        if checksum(path) != expected:
            raise InputError(
                f"{path}: not the file that was exported (its SHA-256 differs); copy it again"
            )
