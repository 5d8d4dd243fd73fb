"""From a decoded picture to the uint8 tensor that a batch holds.

Scaling to mean and standard deviation is the model's work, on its device: a uint8 batch is a
quarter of the memory to move between processes and to the GPU.
"""

from collections.abc import Callable

from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

Transform = Callable[[Image.Image], Tensor]


def training_transform(image_size: tuple[int, int]) -> Transform:
    """The augmentation of the original system.

    RandomResizedCrop (area 0.9 to 1, ratio 3/4 to 4/3, bicubic), horizontal flip with
    probability 0.5, rotation up to 10 degrees, perspective of 0.1 with probability 0.5.

    Args:
        image_size: Height and width in pixels.

    Returns:
        A function from an RGB picture to a uint8 tensor [3, H, W].
    """
    return v2.Compose(
        [
            v2.RandomResizedCrop(
                image_size,
                scale=(0.9, 1.0),
                ratio=(3 / 4, 4 / 3),
                interpolation=InterpolationMode.BICUBIC,
            ),
            v2.RandomHorizontalFlip(),
            v2.RandomRotation(10),
            v2.RandomPerspective(distortion_scale=0.1, p=0.5),
            v2.PILToTensor(),
        ]
    )


def evaluation_transform(image_size: tuple[int, int]) -> Transform:
    """Resize to height and width in pixels, bicubic, without keeping the ratio.

    Returns:
        A function from an RGB picture to a uint8 tensor [3, H, W].

    Example:
        >>> evaluation_transform((4, 2))(Image.new("RGB", (10, 10), "red"))[:, 0, 0]
        tensor([255,   0,   0], dtype=torch.uint8)
    """
    return v2.Compose(
        [v2.Resize(image_size, interpolation=InterpolationMode.BICUBIC), v2.PILToTensor()]
    )
