"""Images small enough to lie inside the page."""

import base64
import io

from visual_taxonomy.data.images import ImageSource, read_image

SIDE = 224
"""Pixels of the longer side; sharp at 150 CSS pixels on a phone."""
_QUALITY = 72
_MOST_BYTES = 40_000
"""Of one thumbnail; noise does not compress, and forty of them would fill the page."""


def thumbnail(source: ImageSource) -> str:
    """An image as a `data:` address: a JPEG of at most 224 pixels a side and 40 kB.

    Raises:
        UnreadableImage: The file is missing, damaged, oversized, or no image.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp()) / "red.png"
        >>> Image.new("RGB", (30, 40), "red").save(path)
        >>> thumbnail(path)[:27]
        'data:image/jpeg;base64,/9j/'
    """
    image = read_image(source, least_side=SIDE)
    image.thumbnail((SIDE, SIDE))
    content = b""
    for quality in (_QUALITY, 40, 15):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        content = file.getvalue()
        if len(content) <= _MOST_BYTES:
            break
    return "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")
