"""`vtax convert`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from visual_taxonomy.commands.terminal import console
from visual_taxonomy.errors import InputError


@dataclass(frozen=True)
class Convert:
    """Convert a checkpoint of the original competition system."""

    checkpoint: tyro.conf.Positional[Path]
    """Checkpoint of the original system."""
    attributes_config: Path
    """The JSON it was trained with. The checkpoint has no names: their order here counts."""
    out: Path
    """File to write."""
    batch_norm: bool = True
    """Whether it has a BatchNorm per category. Detected; a no is checked against the weights."""
    inter_linear: bool = True
    """Whether it has a linear layer per category. Detected; a no is checked against the weights."""


def convert(options: Convert) -> int:
    """Convert a checkpoint of the original competition system."""
    from visual_taxonomy.checkpoint import read_original, write_checkpoint

    if options.out.exists():
        raise InputError(f"--out {options.out}: already exists; name another file, or remove it")
    checkpoint = read_original(options.checkpoint, options.attributes_config)
    for layer in ("batch_norm", "inter_linear"):
        if getattr(checkpoint.model, layer) and not getattr(options, layer):
            raise InputError(
                f"--no-{layer}: {options.checkpoint} has the weights of that layer; leave the "
                "flag out"
            )
    write_checkpoint(options.out, checkpoint)
    console.print(
        f"{checkpoint.model.backbone}, {len(checkpoint.taxonomy.categories)} categories, "
        f"{len(checkpoint.taxonomy.tasks)} attributes: {options.out}"
    )
    return 0
