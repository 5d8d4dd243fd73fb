"""Which network."""

from dataclasses import dataclass, field
from typing import Literal

from visual_taxonomy.config.choices import Parameters
from visual_taxonomy.config_checks import below_one, positive
from visual_taxonomy.errors import InputError


@dataclass(frozen=True)
class ModelConfig:
    """The backbone, which parts of it train, and the heads."""

    backbone: str = "ViT-B-32"
    """ViT-B-32, ViT-L-14 (CLIP, with projection) or any image model of timm by its name."""
    pretrained_ckpt: str = "auto"
    """Weights of the backbone: a file; none: random; timm: those of timm, downloaded.
    auto: fashion weights (`vtax download-weights`) for ViT-B-32 and ViT-L-14, timm for others."""
    backbone_parameters: Parameters = field(default_factory=dict)
    """Further arguments of timm.create_model, as NAME VALUE pairs: pad_type same."""
    image_size: tuple[int, int] | None = None
    """Height and width of the images in pixels; None: the size of the backbone."""
    normalization: Literal["backbone", "clip", "imagenet", "inception"] = "backbone"
    """Mean and standard deviation of the pixels; inception scales to -1 ... 1.
    backbone: as the weights file says (its metadata, or config.json of timm), else as in timm."""
    interpolation: Literal["bicubic", "bilinear", "nearest", "lanczos", "backbone"] = "bicubic"
    """Filter that resizes the images; backbone: the one the backbone was published with."""
    unlock_block: int = -8
    """Train the blocks (stages) from this index on; 0 trains the whole backbone."""
    unfreeze_proj: bool = True
    """Train the projection behind a CLIP ViT."""
    unfreeze_cls: bool = False
    """Train the class token."""
    unfreeze_pos: bool = False
    """Train the position embedding."""
    unfreeze_top: bool = False
    """Train the first convolution and the first norm."""
    freeze_backbone: bool = False
    """Train only the heads."""
    batch_norm: bool = True
    """Put a BatchNorm per category after the backbone."""
    inter_linear: bool = True
    """Put a linear layer per category (to half the width), dropout and ReLU before the heads."""
    dropout: float = 0.4
    """Dropout probability before the heads."""
    drop_path: float = 0.0
    """Probability that training skips the last residual branch of the backbone for an image; it
    rises from 0 at the first one. The same as drop_path_rate in --backbone_parameters."""
    head: Literal["auto", "linear", "cosine"] = "auto"
    """Kind of classifier; auto: the one in the paper of the loss."""
    shared_heads: bool = False
    """Train the classifiers of attributes of one name as a base that the categories share, class by
    class, plus an offset of each category that starts at 0. Saved as plain classifiers."""
    tta: Literal["none", "flip"] = "none"
    """Test-time averaging, in validation and in all predictions of the checkpoint.
    flip: mean probabilities of image and mirrored image, at twice the time."""

    def __post_init__(self) -> None:
        below_one(dropout=self.dropout, drop_path=self.drop_path)
        if self.drop_path and "drop_path_rate" in self.backbone_parameters:
            raise InputError("`drop_path` and drop_path_rate of `backbone_parameters` are the same")
        if self.image_size is not None:
            positive(image_size=min(self.image_size))
