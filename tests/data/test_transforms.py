import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from visual_taxonomy.data.transforms import evaluation_transform, training_transform


def noise(height: int, width: int) -> Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def half_black(height: int, width: int) -> Tensor:
    picture = torch.full((3, height, width), 255, dtype=torch.uint8)
    picture[:, :, : width // 2] = 0
    return picture


@pytest.mark.parametrize("size", [(16, 16), (12, 20), (40, 9)])
@pytest.mark.parametrize("make", [training_transform, evaluation_transform])
def test_a_picture_becomes_uint8_of_height_and_width(make, size):
    image = make(size)(noise(30, 24))
    assert image.dtype == torch.uint8
    assert image.shape == (3, *size)


@pytest.mark.parametrize(("height", "width"), [(50, 30), (7, 9), (16, 24)])
def test_evaluation_is_the_bicubic_resize_of_pillow(height, width):
    picture = noise(height, width)
    image = Image.fromarray(picture.permute(1, 2, 0).numpy())
    expected = np.asarray(image.resize((24, 16), Image.Resampling.BICUBIC)).astype(int)
    difference = abs(evaluation_transform((16, 24))(picture).permute(1, 2, 0).numpy() - expected)
    assert difference.max() <= 4  # noise is the hardest: photographs differ by 2 at most
    assert difference.mean() <= 0.3


def test_the_layout_in_memory_does_not_matter():
    picture = noise(50, 30)
    for make in (training_transform, evaluation_transform):
        images = []
        for layout in (picture, picture.contiguous()):
            torch.manual_seed(1)
            images.append(make((24, 16))(layout).int())
        assert abs(images[0] - images[1]).max() <= 1


def test_evaluation_shows_the_whole_picture_without_keeping_its_ratio():
    image = evaluation_transform((8, 8))(half_black(10, 100))
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


@pytest.mark.parametrize("seed", range(5))
def test_training_crops_as_torchvision_does(seed):
    options = {"scale": (0.9, 1.0), "interpolation": v2.InterpolationMode.BICUBIC}
    expected = v2.RandomResizedCrop((24, 16), **options)
    crop = training_transform((24, 16)).transforms[0]
    images = []
    for transform in (expected, crop):
        torch.manual_seed(seed)
        images.append(transform(noise(50, 40)))
    assert torch.equal(*images)


def test_training_mirrors_about_half_of_the_pictures():
    picture = half_black(32, 32)
    transform = training_transform((32, 32))
    mirrored = [bool(transform(picture)[0, 16, 8] > 128) for _ in range(60)]
    assert 18 <= sum(mirrored) <= 42  # 3 standard deviations of a fair coin
