"""What becomes of an image before the backbone sees it: the same in training, prediction, bundles.

Nothing here imports torch: a bundle is run without it.
"""

from dataclasses import dataclass

from visual_taxonomy.errors import InputError

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")


@dataclass(frozen=True)
class Preprocessing:
    """Size, filter and normalisation of the images.

    Images are RGB, transparency laid on white, EXIF turns applied.

    Args:
        image_size: (H, W) in pixels that an image is resized to, its ratio not kept.
        mean: Of the red, green and blue channel, on the scale 0 to 1; subtracted in the model.
        std: Standard deviation of the channels, same scale, above 0; divided by in the model.
        interpolation: The filter of the resizing, with antialiasing: "nearest", "bilinear",
            "bicubic" or "lanczos".

    Raises:
        InputError: A value is out of range.

    Example:
        >>> Preprocessing((224, 168), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)).interpolation
        'bicubic'
    """

    image_size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"

    def __post_init__(self) -> None:
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise InputError(
                f"image size {self.image_size}: expected height and width, each at least 1 pixel"
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise InputError(
                f"mean {self.mean} and std {self.std}: expected three numbers each, std above 0"
            )
        if self.interpolation not in INTERPOLATIONS:
            raise InputError(
                f"interpolation '{self.interpolation}' is none of: {', '.join(INTERPOLATIONS)}"
            )
