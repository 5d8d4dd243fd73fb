"""RandAugment and random erasing: changes of a training image after it has its size.

Shapes: H and W in pixels.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, RandomErasing, v2

from visual_taxonomy.data.transforms import Transform

# Share of the image and ratio of its sides; torchvision's, the paper's but for 0.4 in place of
# 0.33.
_ERASED_SHARE, _ERASED_RATIO = [0.02, 0.33], [0.3, 3.3]


def strengthened(
    transform: Transform, randaugment: tuple[int, int] | None, erasing: float
) -> Transform:
    """A transform that is followed by RandAugment, random erasing, both or none of them.

    Args:
        transform: From an RGB image, uint8 [3, H, W], to a uint8 tensor of the image size.
        randaugment: Number of operations of an image, >= 1, and their magnitude, 0 to 30; None
            leaves it out.
        erasing: Probability that a part of an image is erased; 0 leaves it out.

    Example:
        >>> strengthened(torch.flip, None, erasing=0.0) is torch.flip
        True
    """
    steps: list[Transform] = [transform]
    if randaugment is not None:
        steps.append(RandAugment(*randaugment))
    if erasing:
        steps.append(RandomPixels(erasing))
    return steps[0] if len(steps) == 1 else v2.Compose(steps)


class RandAugment:
    """Operations drawn from torchvision's fourteen, such as shear, rotation, contrast, equalize.

    Drawn from torch's generator, as torchvision draws them. What comes in from outside of the image
    is black. They are Pillow's operations: on the small images of training they take half the time
    of those on tensors.

    Args:
        num_operations: Of an image, one after the other; >= 1. The paper's N.
        magnitude: Of all of them, 0 to 30; the paper's M.

    References:
        Cubuk et al., NeurIPS 2020, https://arxiv.org/abs/1909.13719; torchvision, `RandAugment`.

    Example:
        >>> RandAugment(2, 9)(torch.zeros(3, 8, 6, dtype=torch.uint8)).shape
        torch.Size([3, 8, 6])
    """

    def __init__(self, num_operations: int, magnitude: int) -> None:
        # Bilinear, as all of our other warps; torchvision's default is the nearest pixel.
        self._augment = v2.RandAugment(
            num_operations, magnitude, interpolation=InterpolationMode.BILINEAR
        )

    def __call__(self, image: Tensor) -> Tensor:
        """Augment an image, uint8 [3, H, W]."""
        pillow = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
        return torch.from_numpy(np.array(self._augment(pillow))).permute(2, 0, 1)


class RandomPixels:
    """Random erasing: with some probability, a rectangle becomes pixels of random colour.

    Its area is drawn between 2 and 33 % of the image, its ratio of sides between 0.3 and 3.3.

    Args:
        probability: Of an image, in (0, 1].

    References:
        Zhong et al., AAAI 2020, https://arxiv.org/abs/1708.04896 (its variant RE-R);
        torchvision, `RandomErasing`, which draws the rectangle.

    Example:
        >>> image = torch.zeros(3, 8, 8, dtype=torch.uint8)
        >>> bool((RandomPixels(1.0)(image) > 0).any())
        True
    """

    def __init__(self, probability: float) -> None:
        self._probability = probability

    def __call__(self, image: Tensor) -> Tensor:
        """Erase a part of an image, uint8 [3, H, W], or nothing."""
        if torch.rand(1) >= self._probability:
            return image
        top, left, height, width, _ = RandomErasing.get_params(
            image, _ERASED_SHARE, _ERASED_RATIO, [0.0]
        )
        # torchvision has found no rectangle that fits, and says so by the whole image.
        if (height, width) == image.shape[1:]:
            return image
        erased = image.clone()
        pixels = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
        erased[:, top : top + height, left : left + width] = pixels
        return erased
