"""`vtax download-weights`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from visual_taxonomy.commands.terminal import console, show_progress


@dataclass(frozen=True)
class DownloadWeights:
    """Download the published fashion weights of a backbone."""

    name: tyro.conf.Positional[Literal["ViT-B-32", "ViT-L-14"]]
    """Backbone."""
    out_dir: Path = Path("weights")
    """Folder for the file."""
    base_url: str | None = None
    """Address of a mirror; None: the publisher."""


def download_weights(options: DownloadWeights) -> int:
    """Download the published fashion weights of a backbone."""
    from visual_taxonomy.model.download import download_weights as fetch

    with show_progress(console, f"downloading {options.name}") as advance:
        path = fetch(options.name, options.out_dir, options.base_url, advance)
    console.print(f"{path}")
    return 0
