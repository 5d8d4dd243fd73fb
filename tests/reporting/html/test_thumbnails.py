import base64
import io

import numpy as np
import pytest
from PIL import Image

from visual_taxonomy.data.images import UnreadableImage
from visual_taxonomy.reporting.html.thumbnails import SIDE, thumbnail


def content_of(address):
    return base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))


def test_sides_keep_their_proportion(tmp_path):
    Image.new("RGB", (1000, 500), "teal").save(tmp_path / "a.jpg")
    with Image.open(io.BytesIO(content_of(thumbnail(tmp_path / "a.jpg")))) as image:
        assert (image.format, image.size) == ("JPEG", (SIDE, SIDE // 2))


def test_small_pictures_stay_small(tmp_path):
    Image.new("RGB", (20, 30), "teal").save(tmp_path / "a.png")
    with Image.open(io.BytesIO(content_of(thumbnail(tmp_path / "a.png")))) as image:
        assert image.size == (20, 30)


def test_noise_is_bounded(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    assert len(content_of(thumbnail(tmp_path / "a.png"))) <= 40_000


def test_metadata_of_the_file_is_not_copied(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "where the photographer lives"
    Image.new("RGB", (300, 300)).save(tmp_path / "a.jpg", exif=exif)
    assert b"photographer" not in content_of(thumbnail(tmp_path / "a.jpg"))


def test_unreadable_pictures_are_said_so(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(UnreadableImage, match="not a JPEG"):
        thumbnail(tmp_path / "a.jpg")
