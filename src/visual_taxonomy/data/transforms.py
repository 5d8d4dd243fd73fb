"""From decoded pixels to the uint8 tensor that a batch holds.

Scaling to mean and standard deviation is the model's work, on its device: a uint8 batch is a
quarter of the memory to move between processes and to the GPU.

Torch resizes uint8 tensors whose channels stand last in memory (as decoders give them) several
times as fast as Pillow, and warps them in one step faster than Pillow in three;
benchmarks/load.py prints both.

Shapes: H and W in pixels. Points are (x, y) in pixels from the upper left corner of an image; the
center of its first pixel is (0.5, 0.5).
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

Transform = Callable[[Tensor], Tensor]

# 14 pixels of 224: a garment that fills its image stays in it.
_SHIFT_PARTS = 16


def training_transform(image_size: tuple[int, int], interpolation: str = "bicubic") -> Transform:
    """The augmentation of the original system.

    RandomResizedCrop (area 0.9 to 1, ratio 3/4 to 4/3), then in one bilinear resampling
    horizontal flip with probability 0.5, rotation up to 10 degrees, perspective of 0.1 with
    probability 0.5. Random numbers are drawn from torch's generator as torchvision's transforms of
    these names draw them.

    Args:
        image_size: Height and width in pixels.
        interpolation: Filter of the resizing, a name of `preprocessing.INTERPOLATIONS`.

    Returns:
        A function from an RGB image, uint8 [3, H, W], to a uint8 tensor of the image size.
    """
    crop = partial(_random_crop, image_size=image_size, interpolation=interpolation)
    return v2.Compose([crop, _random_warp])


def light_transform(image_size: tuple[int, int], interpolation: str = "bicubic") -> Transform:
    """Horizontal flip with probability 0.5, and a shift of up to 1/16 of each side.

    The shift is by whole pixels, each of them as likely, and the border is repeated where nothing
    is known: that is torchvision's RandomHorizontalFlip and RandomCrop with padding "edge".

    Args:
        image_size: Height and width in pixels.
        interpolation: Filter of the resizing, a name of `preprocessing.INTERPOLATIONS`.

    Returns:
        A function from an RGB image, uint8 [3, H, W], to a uint8 tensor of the image size.
    """
    resize = partial(_resize, image_size=image_size, interpolation=interpolation)
    return v2.Compose([resize, _random_shift])


def evaluation_transform(image_size: tuple[int, int], interpolation: str = "bicubic") -> Transform:
    """Resize to height and width in pixels, without keeping the ratio.

    Args:
        image_size: Height and width in pixels.
        interpolation: Filter of the resizing, a name of `preprocessing.INTERPOLATIONS`.

    Returns:
        A function from an RGB image, uint8 [3, H, W], to a uint8 tensor of the image size.

    Example:
        >>> import torch
        >>> evaluation_transform((4, 2))(torch.full((3, 10, 10), 7, dtype=torch.uint8)).unique()
        tensor([7], dtype=torch.uint8)
    """
    return partial(_resize, image_size=image_size, interpolation=interpolation)


AUGMENTATIONS: dict[str, Callable[[tuple[int, int], str], Transform]] = {
    "standard": training_transform,
    "light": light_transform,
    "none": evaluation_transform,
}
"""Values of `augmentation`, each with what makes its transform."""


def rotation(angle: float, height: int, width: int) -> np.ndarray:
    """The points of an image [3, 3] that a rotation about its center takes to given ones.

    Args:
        angle: In degrees, counter-clockwise as seen.
        height: H of the image.
        width: W of the image.

    Example:
        >>> rotation(90, height=4, width=4) @ [1.0, 3.0, 1.0]  # (1, 3) shows what was at (1, 1)
        array([1., 1., 1.])
    """
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x, y = width / 2, height / 2
    return np.array(
        [
            [cosine, -sine, x - cosine * x + sine * y],
            [sine, cosine, y - sine * x - cosine * y],
            [0.0, 0.0, 1.0],
        ]
    )


def homography(source: Sequence[Sequence[float]], target: Sequence[Sequence[float]]) -> np.ndarray:
    """The matrix [3, 3] that takes four points to four others.

    Args:
        source: [4, 2], no three of them on a line.
        target: [4, 2], likewise.

    Example:
        >>> square = [(0, 0), (1, 0), (1, 1), (0, 1)]
        >>> (homography(square, [(0, 0), (2, 0), (2, 2), (0, 2)]) + 0.0).round(6)
        array([[2., 0., 0.],
               [0., 2., 0.],
               [0., 0., 1.]])
    """
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    # Four pairs of points fix eight numbers; the ninth is the scale, set to 1.
    return np.append(np.linalg.solve(rows, np.ravel(target)), 1.0).reshape(3, 3)


def warp(image: Tensor, matrix: np.ndarray) -> Tensor:
    """Resample an image, bilinear, black outside.

    Args:
        image: uint8 [3, H, W].
        matrix: [3, 3], takes a point of the result to the point of the image shown there.

    Returns:
        uint8 [3, H, W], channels last in memory.

    Example:
        >>> mirror = np.array([[-1, 0, 3], [0, 1, 0], [0, 0, 1]])
        >>> warp(torch.tensor([10, 20, 30], dtype=torch.uint8).expand(3, 1, 3), mirror)[0]
        tensor([[30, 20, 10]], dtype=torch.uint8)
    """
    _, height, width = image.shape
    # grid_sample counts from -1 to 1, from edge to edge (align_corners false).
    to_unit = np.array([[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1]])
    of_x, of_y, of_one = torch.from_numpy(to_unit @ matrix).float()[..., None].unbind(1)
    of_row = of_y * torch.arange(0.5, height) + of_one
    points = (of_x * torch.arange(0.5, width))[:, None] + of_row[..., None]
    # Homogeneous points: without perspective the divisor is 1.
    grid = points[:2].div_(points[2]).permute(1, 2, 0)
    sampled = F.grid_sample(image[None].float(), grid[None], align_corners=False)[0]
    # A plain conversion cuts off, and would darken the image by half a level on average.
    channels = sampled.round_().numpy().astype(np.uint8)  # three times as fast as torch's
    return torch.from_numpy(np.stack(list(channels), axis=-1)).permute(2, 0, 1)


def _resize(image: Tensor, image_size: tuple[int, int], interpolation: str) -> Tensor:
    if interpolation == "lanczos":  # torch has no such filter for tensors
        pillow = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
        pixels = np.array(pillow.resize(image_size[::-1], Image.Resampling.LANCZOS))
        return torch.from_numpy(pixels).permute(2, 0, 1)
    # Not v2.Resize: looking for images in what it gets takes it a twentieth of the time.
    return functional.resize(image, list(image_size), InterpolationMode(interpolation))


def _random_crop(image: Tensor, image_size: tuple[int, int], interpolation: str) -> Tensor:
    # The recipe of the original system: scale, ratio, and below 10 degrees and 0.1.
    top, left, height, width = v2.RandomResizedCrop.get_params(image, [0.9, 1.0], [3 / 4, 4 / 3])
    crop = image[:, top : top + height, left : left + width]
    # Copied first: torch resizes a view of a larger image slowly.
    dense = crop.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    return _resize(dense, image_size, interpolation)


def _random_shift(image: Tensor) -> Tensor:
    height, width = image.shape[1:]
    is_mirrored = bool(torch.rand(1) < 0.5)
    rows, columns = (_shifted(size) for size in (height, width))
    # By NumPy's take, in the order of the memory: indexing takes ten times as long.
    pixels = image.permute(1, 2, 0).numpy().take(rows, axis=0)
    shown = pixels.take(columns[::-1] if is_mirrored else columns, axis=1)
    return torch.from_numpy(shown).permute(2, 0, 1)


def _shifted(size: int) -> np.ndarray:
    """The positions along a side that a random shift shows, its ends repeated."""
    most = size // _SHIFT_PARTS
    by = int(torch.randint(-most, most + 1, (1,)))
    return np.clip(np.arange(by, size + by), 0, size - 1)


def _random_warp(image: Tensor) -> Tensor:
    _, height, width = image.shape
    matrix = np.eye(3)
    if torch.rand(1) < 0.5:
        # x -> width - x: in points the center of the first pixel, 0.5, goes to that of the last.
        matrix[0] = -1.0, 0.0, width
    # More would leave larger black corners.
    matrix = matrix @ rotation(v2.RandomRotation.get_params([-10.0, 10.0]), height, width)
    if torch.rand(1) < 0.5:
        corners, moved = v2.RandomPerspective.get_params(width, height, 0.1)
        # torchvision's lists, swapped: the matrix leads from the result back to the image.
        matrix = matrix @ homography(moved, corners)
    return warp(image, matrix)
