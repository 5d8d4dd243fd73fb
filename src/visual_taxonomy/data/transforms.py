"""From decoded pixels to the uint8 tensor that a batch holds.

Scaling to mean and standard deviation is the model's work, on its device: a uint8 batch is a
quarter of the memory to move between processes and to the GPU.

Torch resizes uint8 tensors whose channels stand last in memory (as decoders give them) several
times as fast as Pillow; benchmarks/load.py prints both.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional
from typing_extensions import override

Transform = Callable[[Tensor], Tensor]


def training_transform(image_size: tuple[int, int]) -> Transform:
    """The augmentation of the original system.

    RandomResizedCrop (area 0.9 to 1, ratio 3/4 to 4/3, bicubic), horizontal flip with
    probability 0.5, rotation up to 10 degrees, perspective of 0.1 with probability 0.5.

    Args:
        image_size: Height and width in pixels.

    Returns:
        A function from an RGB picture, uint8 [3, H, W], to a uint8 tensor of the image size.
    """
    return v2.Compose(
        [
            _DenseRandomResizedCrop(
                image_size,
                scale=(0.9, 1.0),
                ratio=(3 / 4, 4 / 3),
                interpolation=InterpolationMode.BICUBIC,
            ),
            v2.ToPILImage(),  # what follows is faster with Pillow, both ways included
            v2.RandomHorizontalFlip(),
            v2.RandomRotation(10),
            v2.RandomPerspective(distortion_scale=0.1, p=0.5),
            v2.PILToTensor(),
        ]
    )


def evaluation_transform(image_size: tuple[int, int]) -> Transform:
    """Resize to height and width in pixels, bicubic, without keeping the ratio.

    Returns:
        A function from an RGB picture, uint8 [3, H, W], to a uint8 tensor of the image size.

    Example:
        >>> import torch
        >>> evaluation_transform((4, 2))(torch.full((3, 10, 10), 7, dtype=torch.uint8)).unique()
        tensor([7], dtype=torch.uint8)
    """
    return v2.Resize(image_size, interpolation=InterpolationMode.BICUBIC)


class _DenseRandomResizedCrop(v2.RandomResizedCrop):  # type: ignore[misc]
    """Copies the crop before it resizes it: torch resizes a view of a larger picture slowly."""

    @override
    def transform(self, picture: Tensor, params: dict[str, Any]) -> Tensor:
        crop = functional.crop(picture, **params)
        dense = crop.permute(1, 2, 0).contiguous().permute(2, 0, 1)
        return functional.resize(dense, self.size, self.interpolation)
