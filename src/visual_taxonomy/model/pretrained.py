"""Read pretrained weights into a backbone: open_clip/GCL files, timm files, timm's published ones.

Nothing is ever unpickled: files are read with `weights_only=True` or as safetensors.
"""

import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import clean_state_dict, load_state_dict_from_hf
from torch import Tensor

from visual_taxonomy.errors import InputError
from visual_taxonomy.model.backbone import BACKBONES, Backbone
from visual_taxonomy.model.download import check_download

Weights = dict[str, Tensor]

# Where files keep their weights: open_clip and timm training, DeiT and other research code.
_SECTIONS = ("state_dict", "model")
_PATCH_WEIGHTS = ("visual.conv1.weight", "patch_embed.proj.weight")


def load_pretrained(backbone: Backbone, source: Path | str) -> None:
    """Replace the weights of a backbone by pretrained ones, all of them or none at all.

    Understood are a `.safetensors`, `.pt` or `.pth` file in timm's layout or in the layout of
    open_clip and GCL (`state_dict` with `module.visual.*` or `visual.*`; text tower and
    optimizer state beside it are ignored), `timm` for the weights timm publishes under the
    backbone's name, and `hf-hub:owner/model`. timm's own conversion renames the keys and resizes
    position embeddings to the backbone's image size. A classifier in the file is dropped where
    the backbone has none. Afterwards BatchNorm keeps its statistics
    (see `Backbone.freeze_batch_norm`).

    Args:
        backbone: Changed in place.
        source: A file, or "timm", or "hf-hub:owner/model".

    Raises:
        InputError: The file is missing, damaged or not made of plain tensors; a weight is
            missing, unexpected or of another shape; the hub cannot be reached.

    Example:
        >>> import tempfile
        >>> from visual_taxonomy.model.backbone import create_backbone
        >>> first, second = create_backbone("test_vit"), create_backbone("test_vit")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "vit.pt")
        ...     torch.save(first.model.state_dict(), file)
        ...     load_pretrained(second, file)
        >>> torch.equal(first.model.pos_embed, second.model.pos_embed)
        True
    """
    if isinstance(source, str) and (source == "timm" or source.startswith("hf-hub:")):
        weights = _fetch(backbone, source)
    else:
        weights = _select_weights(source, _read_file(backbone, Path(source)))
    # Checked as a whole by now: load_state_dict copies what fits before it complains.
    backbone.model.load_state_dict(convert_weights(backbone, source, weights))
    backbone.hold_statistics()


def convert_weights(backbone: Backbone, source: Path | str, weights: Weights) -> Weights:
    """Weights in any layout that `load_pretrained` understands, under the backbone's own names.

    Args:
        backbone: Whose names and shapes they get; only read, so it may be on the meta device.
        source: Where they come from, for messages.
        weights: By name, without the prefixes of DataParallel and torch.compile.

    Raises:
        InputError: A weight is missing, unexpected or of another shape.
    """
    _check_patch_size(backbone, source, weights)
    weights = _convert(backbone, source, weights)
    _check_keys(backbone, source, weights)
    return weights


def _fetch(backbone: Backbone, source: str) -> Weights:
    config = getattr(backbone.model, "pretrained_cfg", None) or {}  # absent in your own models
    hub_id = config.get("hf_hub_id") if source == "timm" else source.removeprefix("hf-hub:")
    if not hub_id:
        raise InputError(
            f"the hub has no weights of timm for backbone {backbone.name}; give a file, or 'none' "
            "for random weights"
        )
    try:
        weights = load_state_dict_from_hf(hub_id, weights_only=True)
    # The hub client raises its own, urllib's and its HTTP library's errors, depending on version.
    except Exception as error:
        raise InputError(
            f"weights '{hub_id}' cannot be fetched ({type(error).__name__}: {error}). Offline, "
            f"give a local file: {_remedy(backbone)}"
        ) from error
    return _select_weights(hub_id, weights)


def _remedy(backbone: Backbone) -> str:
    if backbone.name in BACKBONES:
        return f"`vtax download-weights {backbone.name}` fetches the published one"
    return (
        "a .safetensors, .pt or .pth file in timm's layout; or name 'timm' to fetch timm's own "
        "weights when online, 'none' for random weights"
    )


def _read_file(backbone: Backbone, path: Path) -> object:
    if not path.is_file():
        raise InputError(f"{path}: no such file of pretrained weights; {_remedy(backbone)}")
    check_download(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Mapped, a file's optimizer state is never read into memory.
        is_zip = zipfile.is_zipfile(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except UnpicklingError as error:
        raise InputError(
            f"{path}: not a file of plain tensors ({_unsafe_names(path)}). Unpickling could run "
            "any program, so it is refused; where you trust the file, save its tensors alone with "
            "torch.save(checkpoint['state_dict'], ...) or as .safetensors"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read, the file may be cut off ({error}); {_remedy(backbone)}"
        ) from error


def _unsafe_names(path: Path) -> str:
    if not zipfile.is_zipfile(path):
        return "damaged, or of another format"
    return "it holds " + ", ".join(torch.serialization.get_unsafe_globals_in_checkpoint(path))


def _select_weights(source: Path | str, content: object) -> Weights:
    """The named tensors of a file, without the prefixes of DataParallel and torch.compile."""
    for section in _SECTIONS:
        if isinstance(content, Mapping) and isinstance(content.get(section), Mapping):
            content = content[section]
    entries = content if isinstance(content, Mapping) else {}
    weights = {key: value for key, value in entries.items() if isinstance(value, Tensor)}
    if not weights:
        found = ", ".join(map(str, list(entries)[:5])) or type(content).__name__
        raise InputError(f"{source}: holds no named tensors (found: {found})")
    return clean_state_dict(weights)


def _check_patch_size(backbone: Backbone, source: Path | str, weights: Weights) -> None:
    """Refuse what timm would resample silently: a ViT made for patches of another size."""
    # timm resamples patches of another size without a word, which costs accuracy unnoticed.
    own = backbone.model.state_dict().get("patch_embed.proj.weight")
    for key, value in weights.items():
        if own is None or not key.endswith(_PATCH_WEIGHTS) or value.ndim != 4:
            continue
        if value.shape[-2:] != own.shape[-2:]:
            raise InputError(
                f"{source}: made for patches of {value.shape[-2]}x{value.shape[-1]} pixels, "
                f"backbone {backbone.name} has {own.shape[-2]}x{own.shape[-1]}"
            )


def _convert(backbone: Backbone, source: Path | str, weights: Weights) -> Weights:
    """Weights under the names of the backbone's own, position embeddings resized."""
    model = backbone.model
    # timm keeps the conversion of foreign layouts beside the model class, always by this name.
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if convert is not None:
        try:
            weights = convert(weights, model)
        except (LookupError, AttributeError, ValueError, RuntimeError, AssertionError) as error:
            raise InputError(
                f"{source}: cannot be converted for backbone {backbone.name} "
                f"({type(error).__name__}: {error})"
            ) from error
    if getattr(model, "num_classes", True):  # your own models may have no classifier to drop
        return weights
    return {key: value for key, value in weights.items() if not _is_classifier(backbone, key)}


def _is_classifier(backbone: Backbone, key: str) -> bool:
    config = getattr(backbone.model, "pretrained_cfg", None) or {}
    names = config.get("classifier") or ()
    names = (names,) if isinstance(names, str) else names
    # With no name known nothing is dropped: no text starts with one of no prefixes.
    return key.startswith(tuple(f"{name}." for name in names))


def _check_keys(backbone: Backbone, source: Path | str, weights: Weights) -> None:
    own = backbone.model.state_dict()
    # Files older than this counter lack it; torch then starts it at 0.
    missing = [k for k in own if k not in weights and not k.endswith("num_batches_tracked")]
    unexpected = [key for key in weights if key not in own]
    misshapen = [
        f"{key} {tuple(weights[key].shape)} for {tuple(own[key].shape)}"
        for key in own
        if key in weights and weights[key].shape != own[key].shape
    ]
    problems = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    if any(problems.values()):
        listed = "; ".join(
            f"{len(keys)} {problem}: {', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''}"
            for problem, keys in problems.items()
            if keys
        )
        raise InputError(
            f"{source}: does not fit backbone {backbone.name} ({len(own)} weights). {listed}"
        )
