import io
import struct
import threading
import warnings
import zlib
from contextlib import suppress

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageCms, ImageFile

from visual_taxonomy.data.images import UnreadableImage, decode_image, read_image

RED, GREEN = (255, 0, 0), (0, 255, 0)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def left_red_right_green(width: int = 40, height: int = 20) -> Image.Image:
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height))
    return image


def pixels(content: bytes) -> np.ndarray:
    image = read_image(content)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def png_header(width: int, height: int) -> bytes:
    """A PNG of 60 bytes that claims to be of any size."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "JPEG"])
def test_every_kind_is_read_with_its_colours(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    options |= {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    image = left_red_right_green()
    tolerance = 3 if kind == "JPEG" else 0
    assert abs(pixels(encode(image, kind, **options)) - np.asarray(image)).max() <= tolerance


def test_a_path_is_read_by_its_content_whatever_its_suffix(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(left_red_right_green(), "PNG"))
    assert read_image(path).getpixel((0, 0)) == RED


def test_the_image_outlives_its_file(tmp_path):
    path = tmp_path / "a.png"
    left_red_right_green().save(path)
    image = read_image(path)
    path.unlink()
    assert image.resize((1, 1)).mode == "RGB"


def test_grayscale_becomes_three_equal_channels():
    for kind in ("PNG", "JPEG"):
        assert (pixels(encode(Image.new("L", (4, 4), 90), kind)) == 90).all()


def test_black_and_white_becomes_0_and_255():
    assert pixels(encode(Image.new("1", (4, 4), 1), "PNG")).min() == 255


def test_cmyk_becomes_rgb():
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # magenta and yellow ink: red
    assert abs(pixels(encode(image, "JPEG", quality=95)) - RED).max() <= 5


def test_progressive_jpeg_is_read():
    content = encode(left_red_right_green(), "JPEG", progressive=True, quality=95)
    assert abs(pixels(content)[5, 5] - RED).max() <= 5


def test_a_palette_becomes_colours():
    assert (pixels(encode(left_red_right_green().quantize(2), "PNG"))[5, 5] == RED).all()


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_colour_becomes_white(kind):
    image = Image.new("P", (4, 4), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((1, 1), 1)
    content = encode(image, kind, transparency=0)
    assert (pixels(content)[0, 0] == 255).all()
    assert (pixels(content)[1, 1] == RED).all()


def test_a_palette_with_a_transparency_for_each_colour_is_composited():
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((1, 0), 1)
    content = encode(image, "PNG", transparency=bytes([0, 255]))
    assert pixels(content).tolist() == [[[255, 255, 255], list(RED)]]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_alpha_is_laid_on_white(kind):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 51))
    options = {"lossless": True} if kind == "WEBP" else {}
    assert (pixels(encode(image, kind, **options)) == 204).all()  # 255 - 51


def test_gray_with_alpha_is_laid_on_white():
    assert (pixels(encode(Image.new("LA", (4, 4), (0, 0)), "PNG")) == 255).all()


def test_a_transparent_colour_of_an_rgb_png_becomes_white():
    content = encode(left_red_right_green(), "PNG", transparency=RED)
    assert (pixels(content)[0, 0] == 255).all()
    assert (pixels(content)[0, -1] == GREEN).all()


def test_16_bits_are_scaled_not_clipped():
    levels = np.array([[0, 257, 32_896, 65_278, 65_535]], dtype=np.uint16)
    content = encode(Image.fromarray(levels), "PNG")
    assert pixels(content)[0, :, 0].tolist() == [0, 1, 128, 254, 255]


@pytest.mark.parametrize(
    ("orientation", "red_corner"),
    list(zip(range(1, 9), [(0, 0), (0, -1), (-1, -1), (-1, 0)] * 2, strict=True)),
)
def test_the_exif_orientation_is_applied(orientation, red_corner):
    """EXIF 2.32, table 6: where the 0th row and column of the stored image stand."""
    image = Image.new("RGB", (6, 3))
    image.putpixel((0, 0), RED)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = pixels(encode(image, "PNG", exif=exif))
    assert upright.shape == ((3, 6, 3) if orientation < 5 else (6, 3, 3))
    assert (upright[red_corner] == RED).all()
    assert upright.sum() == 255


def test_damaged_exif_data_does_not_cost_the_image():
    content = encode(left_red_right_green(), "JPEG", exif=b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x05\x01")
    with pytest.warns(UserWarning, match="Corrupt EXIF data"):
        assert read_image(content).size == (40, 20)


def test_an_icc_profile_does_not_matter():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read_image(encode(left_red_right_green(), "PNG", icc_profile=profile)).mode == "RGB"


def test_one_pixel_is_an_image():
    assert pixels(encode(Image.new("RGB", (1, 1), RED), "PNG")).tolist() == [[list(RED)]]


def test_a_jpeg_can_be_decoded_at_reduced_size():
    content = encode(Image.new("RGB", (512, 400), RED), "JPEG")
    assert read_image(content, least_side=100).size == (128, 100)
    assert read_image(content, least_side=101).size == (256, 200)
    assert read_image(content, least_side=900).size == (512, 400)
    assert read_image(encode(Image.new("RGB", (64, 64)), "PNG"), least_side=8).size == (64, 64)


def photograph(height: int, width: int) -> Image.Image:
    """Smooth shades, edges and grain: harder to reduce than most images."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    smooth.paste((20, 30, 40), (width // 3, height // 4, width // 2, height))
    grain = random.normal(0, 8, (height, width, 1))
    return Image.fromarray((np.asarray(smooth) + grain).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 20}])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_jpeg_has_the_pixels_that_pillow_gives_it(mode, options, subsampling):
    options = options | ({"subsampling": subsampling} if mode == "RGB" else {})
    content = encode(photograph(83, 121).convert(mode), "JPEG", **options)
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(decode_image(content), image.convert("RGB"))


@pytest.mark.parametrize("divisor", [2, 4, 8])
def test_reduced_decoding_at_twice_the_size_keeps_the_pixels(divisor):
    """Mean difference of at most 1.5 of 255 after the resize, 1 pixel in 100 above 10."""
    content = encode(photograph(960, 1280), "JPEG", quality=90)
    size = (1280 // divisor // 2, 960 // divisor // 2)
    full = read_image(content)
    reduced = read_image(content, least_side=2 * size[1])
    assert reduced.height == 960 // divisor
    difference = abs(
        np.asarray(full.resize(size, Image.Resampling.BICUBIC)).astype(int)
        - np.asarray(reduced.resize(size, Image.Resampling.BICUBIC))
    )
    assert difference.mean() <= 1.5
    assert np.percentile(difference, 99) <= 10


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_both_sides_of_the_upright_image_keep_the_least_size(orientation, mode):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(Image.new(mode, (400, 100)), "JPEG", exif=exif)
    upright = (100, 400) if orientation < 5 else (400, 100)
    assert decode_image(content).shape[:2] == upright
    half = (upright[0] // 2, upright[1] // 2)
    assert decode_image(content, least_size=(half[0], 10)).shape[:2] == half
    assert decode_image(content, least_size=(10, half[1])).shape[:2] == half
    assert decode_image(content, least_size=(half[0] + 1, 10)).shape[:2] == upright


def test_a_jpeg_that_the_fast_decoder_complains_of_is_read_by_pillow():
    content = encode(left_red_right_green(), "JPEG", quality=95)
    odd = content[:-2] + bytes(9) + content[-2:]  # bytes that belong to nothing
    with pytest.raises(ValueError, match="xtraneous"):
        simplejpeg.decode_jpeg(odd)
    assert np.array_equal(decode_image(odd), decode_image(content))


def test_a_jpeg_of_two_sizes_is_read_at_the_size_that_was_checked(monkeypatch):
    content = encode(left_red_right_green(), "JPEG")
    monkeypatch.setattr(simplejpeg, "decode_jpeg_header", lambda content: (9999, 9999, "", ""))
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_, **__: pytest.fail("decoded"))
    assert decode_image(content).shape == (20, 40, 3)


def test_decoded_pixels_can_be_written_to():
    for kind in ("PNG", "JPEG"):
        pixels = decode_image(encode(left_red_right_green(), kind))
        assert pixels.flags.c_contiguous
        pixels[:] = 0


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(UnreadableImage, match="the file is missing"):
        read_image(tmp_path / "none.jpg")


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(UnreadableImage, match="Is a directory"):
        read_image(tmp_path)


@pytest.mark.parametrize("kind", ["path", "bytes"])
def test_an_empty_file_says_so(tmp_path, kind):
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(UnreadableImage, match="the file is empty"):
        read_image(path if kind == "path" else b"")


@pytest.mark.parametrize("content", [b"x", b"<html>not found</html>", b"%PDF-1.7", b"\0" * 100])
def test_something_else_is_no_image(content):
    with pytest.raises(UnreadableImage, match="not a JPEG, PNG, WebP, BMP or GIF image"):
        read_image(content)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "JPEG"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_truncated_file_says_so(kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    content = encode(Image.fromarray(noise), kind)
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        read_image(content[: max(20, int(len(content) * share))])


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "JPEG"])
def test_whatever_is_damaged_nothing_but_unreadable_image_is_raised(kind):
    random = np.random.default_rng(0)
    content = encode(left_red_right_green(), kind)
    for _ in range(200):
        damaged = bytearray(content)
        for place in random.integers(0, min(len(content), 400), 4):
            damaged[place] = random.integers(256)
        with suppress(UnreadableImage):
            assert read_image(bytes(damaged), max_pixels=1_000_000).mode == "RGB"


def test_an_oversized_image_is_refused_by_its_header():
    with pytest.raises(UnreadableImage, match="oversized: 40000 x 40000 pixels, at most"):
        read_image(png_header(40_000, 40_000))
    with pytest.raises(UnreadableImage, match=r"oversized: 40 x 20 pixels, at most 799 in all"):
        read_image(encode(left_red_right_green(), "JPEG"), max_pixels=799)
    assert read_image(encode(left_red_right_green(), "JPEG"), max_pixels=800).size == (40, 20)


def test_pillows_own_limit_neither_warns_nor_decides(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(encode(left_red_right_green(), "PNG")).size == (40, 20)


def test_a_limit_that_pillow_enforces_itself_is_an_oversized_image(monkeypatch):
    content = encode(left_red_right_green(), "WEBP")

    def refuse(*_args):
        raise Image.DecompressionBombError("Image size exceeds limit")

    monkeypatch.setattr("visual_taxonomy.data.images._decode", refuse)
    with pytest.raises(UnreadableImage, match="oversized: Image size exceeds limit"):
        read_image(content)


def test_too_little_memory_costs_the_image_only(monkeypatch):
    def refuse(*_args):
        raise MemoryError

    monkeypatch.setattr("visual_taxonomy.data.images._decode", refuse)
    with pytest.raises(UnreadableImage, match="too large for this machine's memory"):
        read_image(b"x")


def test_pillows_settings_stay_as_they_are():
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    read_image(encode(left_red_right_green(), "PNG"))
    with pytest.raises(UnreadableImage, match="truncated"):
        read_image(encode(left_red_right_green(), "PNG")[:50])
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


def test_threads_can_read_at_the_same_time():
    content = encode(left_red_right_green(), "PNG")
    sizes = []
    threads = [
        threading.Thread(target=lambda: sizes.append(read_image(content).size)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [(40, 20)] * 8
