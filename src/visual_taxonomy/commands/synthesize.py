"""`vtax synthesize`."""

from dataclasses import dataclass
from pathlib import Path

from visual_taxonomy.commands.terminal import console, show_progress


@dataclass(frozen=True)
class Synthesize:
    """Draw a catalogue of garments, with images that show their labels."""

    out: Path
    """Folder to create."""
    rows: int = 2000
    """Number of products, training and test together."""
    seed: int = 0
    """The same seed draws the same catalogue."""
    image_size: int = 160
    """Height of the images in pixels; the width is three quarters of it."""
    test_share: float = 0.2
    """Fraction of the products in test.csv."""
    views: int = 1
    """Images of each product, 1 to 4: front, back, chest and hem. Several are read with
    --image_pattern '{id}_*.jpg'."""


def synthesize(options: Synthesize) -> int:
    """Draw a catalogue of garments, with images that show their labels."""
    from visual_taxonomy.synthetic.catalogue import synthesize as draw

    with show_progress(console, "drawing", options.rows) as advance:
        try:
            draw(
                options.out,
                options.rows,
                options.seed,
                options.image_size,
                options.test_share,
                views=options.views,
                on_progress=advance,
            )
        except OSError as error:  # of a file in a folder that has a temporary name until the end
            error.add_note(f"while writing {options.out}")
            raise
    console.print(f"{options.rows} products: {options.out}")
    return 0
