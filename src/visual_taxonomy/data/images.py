"""Decode one picture of any common kind to 8-bit RGB, or say in a few words why not."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
"""Suffixes of picture files, in lower case, the preferred one first."""

MAX_PIXELS = 178_000_000
"""Pixels (width x height) above which a picture is taken for a decompression bomb."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what sets the picture upright."""


class UnreadableImage(Exception):  # noqa: N818 - it says what the picture is
    """A picture that cannot be decoded; the message is a short reason without the file's name.

    Example:
        >>> raise UnreadableImage("the file is empty")
        Traceback (most recent call last):
        ...
        visual_taxonomy.data.images.UnreadableImage: the file is empty
    """


def read_image(
    source: Path | bytes | Image.Image,
    max_pixels: int = MAX_PIXELS,
    least_side: int | None = None,
) -> Image.Image:
    """Decode a JPEG, PNG, WebP, BMP or GIF (its first frame) to an upright RGB picture.

    Grey, palette and CMYK become RGB, transparency is laid on white, 16 bits are scaled to 8,
    and the EXIF orientation is applied. The kind is told by the content, not by the suffix.

    Args:
        source: Path of the file, or its content. A picture that Pillow has opened becomes RGB in
            the same way, but is taken as it stands: whoever opened it may have turned it.
        max_pixels: Most pixels accepted; checked in the header, before anything is decoded.
        least_side: Decode a JPEG at 1/2, 1/4 or 1/8 of its size (faster) as long as both
            sides keep this many pixels. None decodes the full size.

    Raises:
        UnreadableImage: The file is missing, empty, no picture, oversized or damaged.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("L", (3, 2), 255).save(file, "PNG")
        >>> image = read_image(file.getvalue())
        >>> image.mode, image.size
        ('RGB', (3, 2))
        >>> read_image(b"GIF, is it?")
        Traceback (most recent call last):
        ...
        visual_taxonomy.data.images.UnreadableImage: not a JPEG, PNG, WebP, BMP or GIF picture
    """
    try:
        if isinstance(source, Image.Image):
            source.load()
            return _to_rgb(source)
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            return _decode(file, max_pixels, least_side)
    except FileNotFoundError:
        raise UnreadableImage("the file is missing") from None
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"oversized: {error}") from error
    except MemoryError as error:
        raise UnreadableImage("too large for this machine's memory") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else f"truncated or damaged ({error})"
        raise UnreadableImage(reason) from error
    except Exception as error:  # decoders fail in many ways on damaged files; each costs one row
        raise UnreadableImage(f"truncated or damaged ({error})") from error


def _decode(file: IO[bytes], max_pixels: int, least_side: int | None) -> Image.Image:
    head = file.read(16)
    if not head:
        raise UnreadableImage("the file is empty")
    file.seek(0)
    image = _reader(head)(file)
    if image.width * image.height > max_pixels:
        raise UnreadableImage(
            f"oversized: {image.width} x {image.height} pixels, at most {max_pixels:,} in all"
        )
    if least_side is not None:
        image.draft(None, (least_side, least_side))
    image.load()
    return _upright(_to_rgb(image), image)


def _reader(head: bytes) -> Callable[[IO[bytes]], ImageFile.ImageFile]:
    """The Pillow class for a file that starts with `head`.

    Not Image.open: it warns of large pictures by a limit that is one global of the process.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GifImagePlugin.GifImageFile
    if head.startswith(b"BM"):
        return BmpImagePlugin.BmpImageFile
    raise UnreadableImage("not a JPEG, PNG, WebP, BMP or GIF picture")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits; Pillow's own conversion clips at 255
        levels = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _upright(rgb: Image.Image, image: Image.Image) -> Image.Image:
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF data is no reason to lose the picture
        turn = None
    return rgb if turn is None else rgb.transpose(turn)
