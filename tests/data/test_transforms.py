import numpy as np
import pytest
import torch
from PIL import Image

from visual_taxonomy.data.transforms import evaluation_transform, training_transform


def noise(height: int, width: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("size", [(16, 16), (12, 20), (40, 9)])
@pytest.mark.parametrize("make", [training_transform, evaluation_transform])
def test_a_picture_becomes_uint8_of_height_and_width(make, size):
    image = make(size)(noise(30, 24))
    assert image.dtype == torch.uint8
    assert image.shape == (3, *size)


@pytest.mark.parametrize(("height", "width"), [(50, 30), (7, 9), (16, 24)])
def test_evaluation_is_the_bicubic_resize_of_pillow(height, width):
    picture = noise(height, width)
    expected = np.asarray(picture.resize((24, 16), Image.Resampling.BICUBIC))
    image = evaluation_transform((16, 24))(picture)
    assert np.array_equal(image.permute(1, 2, 0), expected)


def test_evaluation_shows_the_whole_picture_without_keeping_its_ratio():
    picture = Image.new("RGB", (100, 10), "white")
    picture.paste("black", (0, 0, 50, 10))
    image = evaluation_transform((8, 8))(picture)
    assert (image[:, :, :3] == 0).all()
    assert (image[:, :, 5:] == 255).all()


def test_evaluation_draws_nothing_at_random():
    before = torch.get_rng_state()
    evaluation_transform((8, 8))(noise(9, 9))
    assert torch.equal(torch.get_rng_state(), before)


def test_training_depends_on_the_random_state_of_torch_alone():
    transform, picture = training_transform((16, 16)), noise(30, 24)
    images = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        images.append(transform(picture))
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


def test_training_mirrors_about_half_of_the_pictures():
    picture = Image.new("RGB", (32, 32), "white")
    picture.paste("black", (0, 0, 16, 32))
    transform = training_transform((32, 32))
    mirrored = [bool(transform(picture)[0, 16, 8] > 128) for _ in range(60)]
    assert 18 <= sum(mirrored) <= 42  # 3 standard deviations of a fair coin
