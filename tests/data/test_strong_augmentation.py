from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from visual_taxonomy.data.strong_augmentation import RandAugment, RandomPixels, strengthened
from visual_taxonomy.data.transforms import evaluation_transform


@pytest.fixture
def image() -> torch.Tensor:
    """A coarse image, channels last in memory as decoders give it."""
    coarse = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    pixels = np.array(Image.fromarray(coarse).resize((24, 32), Image.Resampling.BICUBIC))
    return torch.from_numpy(pixels).permute(2, 0, 1)


@pytest.mark.parametrize("seed", range(8))
def test_the_operations_are_those_of_torchvision(image: torch.Tensor, seed: int) -> None:
    torch.manual_seed(seed)
    found = RandAugment(3, 12)(image)
    torch.manual_seed(seed)
    theirs = v2.RandAugment(3, 12, interpolation=InterpolationMode.BILINEAR)
    expected = theirs(Image.fromarray(image.permute(1, 2, 0).numpy()))
    assert torch.equal(found, v2.functional.pil_to_tensor(expected))
    assert (found.shape, found.dtype) == (image.shape, torch.uint8)


def test_a_larger_magnitude_changes_more(image: torch.Tensor) -> None:
    def change(magnitude: int) -> float:
        torch.manual_seed(0)
        changed = [RandAugment(1, magnitude)(image).float() - image for _ in range(60)]
        return torch.stack(changed).abs().mean().item()

    assert change(0) < change(9) < change(20)


def test_one_rectangle_of_some_images_is_erased_and_nothing_else_changes() -> None:
    image = torch.full((3, 40, 30), 7, dtype=torch.uint8)
    counts, erase = Counter(), RandomPixels(0.25)
    for _ in range(400):
        changed = (erase(image) != image).any(dim=0)
        counts[bool(changed.any())] += 1
        if changed.any():
            rows, columns = changed.any(dim=1).nonzero(), changed.any(dim=0).nonzero()
            height, width = (int(each.max() - each.min()) + 1 for each in (rows, columns))
            # Of a random pixel all three values are 7 once in 256 ** 3.
            assert changed.sum() == height * width
            # Sides are rounded, by half a pixel of at least 6.
            assert 0.015 < height * width / (40 * 30) < 0.37
            assert 0.25 < height / width < 3.9
    assert 65 < counts[True] < 135  # four standard deviations around 100
    assert (image == 7).all()


def test_an_image_too_small_for_a_rectangle_stays() -> None:
    image = torch.zeros(3, 1, 1, dtype=torch.uint8)
    assert torch.equal(RandomPixels(1.0)(image), image)


def test_both_come_after_the_transform(image: torch.Tensor) -> None:
    resize = evaluation_transform((16, 12))
    assert strengthened(resize, None, 0.0) is resize
    both = strengthened(resize, (1, 5), 1.0)
    torch.manual_seed(4)
    found = both(image)
    torch.manual_seed(4)
    expected = RandomPixels(1.0)(RandAugment(1, 5)(resize(image)))
    assert torch.equal(found, expected)
