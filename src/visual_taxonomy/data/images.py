"""Decode one image of any common kind to 8-bit RGB, or say in a few words why not.

Shapes: H and W in pixels, of the upright image.
"""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
import simplejpeg  # type: ignore[import-untyped]
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

from visual_taxonomy.regular_file import irregular_kind

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
"""Suffixes of image files, in lower case, the preferred one first."""

MAX_PIXELS = 178_000_000
"""Pixels (width x height) above which an image is taken for a decompression bomb."""

NO_IMAGE = -1
"""Category of a row of a batch that holds no image: a filler, or a file that is unreadable."""

DECODE_MARGIN = 2
"""JPEGs are decoded at reduced size as long as both sides keep this many times the image size."""

# EXIF orientation -> what sets the image upright.
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}

# The longest signature, of WebP, ends at byte 12.
_HEAD_BYTES = 16

# From this orientation on, width and height change places.
_LAID_ON_ITS_SIDE = 5


ImageSource = Path | bytes | Image.Image
"""An image as it is found: a file, its content, or what Pillow has opened."""


class UnreadableImage(Exception):  # noqa: N818 - it says what the image is
    """An image that cannot be decoded; the message is a short reason without the file's name.

    Example:
        >>> raise UnreadableImage("the file is empty")
        Traceback (most recent call last):
        ...
        visual_taxonomy.data.images.UnreadableImage: the file is empty
    """


def read_image(
    source: ImageSource,
    max_pixels: int = MAX_PIXELS,
    least_side: int | None = None,
) -> Image.Image:
    """`decode_image` as a Pillow image.

    Args:
        source: Path of the file, its content, or an image that Pillow has opened.
        max_pixels: Most pixels accepted.
        least_side: Pixels that both sides keep at least; None decodes the full size.

    Raises:
        UnreadableImage: The file is missing, empty, no image, oversized or damaged.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("L", (3, 2), 255).save(file, "PNG")
        >>> image = read_image(file.getvalue())
        >>> image.mode, image.size
        ('RGB', (3, 2))
    """
    least_size = None if least_side is None else (least_side, least_side)
    return Image.fromarray(decode_image(source, max_pixels, least_size))


def is_image(content: bytes) -> bool:
    """Whether bytes start like an image of a kind that is read here.

    Example:
        >>> is_image(b"GIF89a..."), is_image(b"tops/1.gif")
        (True, False)
    """
    try:
        _reader(content[:_HEAD_BYTES])
    except UnreadableImage:
        return False
    return True


def decode_image(
    source: ImageSource,
    max_pixels: int = MAX_PIXELS,
    least_size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Decode a JPEG, PNG, WebP, BMP or GIF (its first frame) to upright RGB pixels.

    Grey, palette and CMYK become RGB, transparency is laid on white, 16 bits are scaled to 8,
    and the EXIF orientation is applied. The kind is told by the content, not by the suffix.

    Args:
        source: Path of the file, or its content. An image that Pillow has opened becomes RGB in
            the same way, but is taken as it stands: whoever opened it may have turned it.
        max_pixels: Most pixels accepted; checked in the header, before anything is decoded.
        least_size: Decode a JPEG at 1/2, 1/4 or 1/8 of its size (faster) as long as the upright
            image keeps this height and width. None decodes the full size.

    Returns:
        [H, W, 3] uint8. JPEGs come from simplejpeg where it reads them without complaint and
        from Pillow otherwise; both are libjpeg-turbo and give the same pixels.

    Raises:
        UnreadableImage: The file is missing, empty, no image, oversized or damaged.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (512, 400), "red").save(file, "JPEG")
        >>> decode_image(file.getvalue(), least_size=(200, 100)).shape
        (200, 256, 3)
        >>> decode_image(b"GIF, is it?")
        Traceback (most recent call last):
        ...
        visual_taxonomy.data.images.UnreadableImage: not a JPEG, PNG, WebP, BMP or GIF image
    """
    with _naming_damage():
        if isinstance(source, Image.Image):
            source.load()
            return np.array(_to_rgb(source))
        with _opened(source) as file:
            # Turned images are views with negative strides, which torch refuses.
            return np.ascontiguousarray(_decode(file, max_pixels, least_size))


def image_kind(source: Path | bytes, max_pixels: int = MAX_PIXELS) -> str:
    """JPEG, PNG, WEBP, BMP or GIF: what the header says; no pixel is decoded.

    Args:
        source: Path of the file, or its content.
        max_pixels: Most pixels accepted.

    Raises:
        UnreadableImage: The file is missing, empty, no image, oversized, or its header damaged.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("L", (3, 2)).save(file, "PNG")
        >>> image_kind(file.getvalue())
        'PNG'
    """
    with _naming_damage(), _opened(source) as file:
        return str(_read_header(file, max_pixels).format)


@contextmanager
def _naming_damage() -> Iterator[None]:
    """Whatever goes wrong in the block becomes an `UnreadableImage`."""
    try:
        yield
    except FileNotFoundError:
        raise UnreadableImage("the file is missing") from None
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"oversized: {error}") from error
    except MemoryError as error:
        raise UnreadableImage("too large for this machine's memory") from error
    except OSError as error:
        # Pillow reports damage as an OSError too, but one without a number.
        reason = os.strerror(error.errno) if error.errno else f"truncated or damaged ({error})"
        raise UnreadableImage(reason) from error
    except Exception as error:  # decoders fail in many ways on damaged files; each costs one row
        raise UnreadableImage(f"truncated or damaged ({error})") from error


def _opened(source: Path | bytes) -> IO[bytes]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    kind = irregular_kind(source)
    if kind is not None:
        raise UnreadableImage(f"{kind}, not an image")
    return source.open("rb")


def _read_header(file: IO[bytes], max_pixels: int) -> ImageFile.ImageFile:
    head = file.read(_HEAD_BYTES)
    if not head:
        raise UnreadableImage("the file is empty")
    file.seek(0)
    image = _reader(head)(file)
    # Of the header, before a pixel is decoded: a bomb of a few kB would take all memory.
    if image.width * image.height > max_pixels:
        raise UnreadableImage(
            f"oversized: {image.width} x {image.height} pixels, at most {max_pixels:,} in all"
        )
    return image


def _decode(file: IO[bytes], max_pixels: int, least_size: tuple[int, int] | None) -> np.ndarray:
    image = _read_header(file, max_pixels)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        orientation = _orientation(image)
        pixels = _decode_jpeg(file, image, _reduction(image, orientation, least_size))
    else:
        image.load()
        pixels = np.array(_to_rgb(image))
        orientation = _orientation(image)  # some kinds have it behind the pixels
    return _TURNS[orientation](pixels) if orientation in _TURNS else pixels


def _reduction(image: Image.Image, orientation: int, least_size: tuple[int, int] | None) -> int:
    """The number (1, 2, 4, 8) by which both sides can be divided."""
    if least_size is None:
        return 1
    height, width = least_size if orientation < _LAID_ON_ITS_SIDE else least_size[::-1]
    # Divisors that libjpeg gets for free: it leaves out coefficients.
    room = min(image.height // height, image.width // width)
    return next((divisor for divisor in (8, 4, 2) if divisor <= room), 1)


def _decode_jpeg(file: IO[bytes], image: JpegImagePlugin.JpegImageFile, divisor: int) -> np.ndarray:
    height, width = -(-image.height // divisor), -(-image.width // divisor)
    if image.mode in ("RGB", "L"):
        file.seek(0)
        content = file.read()
        # Whatever it complains of is left to Pillow, which may cope with it or says why not.
        with suppress(ValueError):
            # The size that was checked is the one of Pillow: damaged files may hold several.
            if simplejpeg.decode_jpeg_header(content)[:2] == image.size[::-1]:
                return simplejpeg.decode_jpeg(content, min_height=height, min_width=width)
        file.seek(0)
    # Pillow's way to the same reduction, for CMYK and what simplejpeg refuses.
    image.draft(None, (image.width // divisor, image.height // divisor))
    image.load()
    return np.array(_to_rgb(image))


def _reader(head: bytes) -> Callable[[IO[bytes]], ImageFile.ImageFile]:
    """The Pillow class for a file that starts with `head`.

    Not Image.open: it warns of large images by a limit that is one global of the process.
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
    raise UnreadableImage("not a JPEG, PNG, WebP, BMP or GIF image")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits; Pillow's own conversion clips at 255
        levels = np.asarray(image).astype(np.int64).clip(0, 65535)
        # 257 = 65535 / 255; half of it rounds to the nearest level.
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        # On white, as shops show products; what lies under full transparency is arbitrary, often
        # black.
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF data is no reason to lose the image
        return 1
