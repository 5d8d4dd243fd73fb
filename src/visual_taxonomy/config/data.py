"""What is learnt from: images, labels and how they become batches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from visual_taxonomy.catalogue import CatalogueConfig
from visual_taxonomy.config_checks import not_negative
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import MISSING_VALUES
from visual_taxonomy.typed_values import LARGEST


@dataclass(frozen=True)
class DataConfig(CatalogueConfig):
    """Images, labels and how they become batches."""

    img_dir: Path | None = None
    """Folder of the images, named by id: `000123.jpg` or `123.png` for id 123.
    None: the images stand in a column of --csv_path (Parquet)."""
    # Required, too; dataclasses want a default behind that of `img_dir`.
    csv_path: Path = tyro.MISSING
    """Labelled CSV (or Parquet): id, Category, len, attr_1 ... attr_10.
    Empty cells mean unknown, and so do NA, N/A, NaN, None, null, ... (--missing_values)."""
    attributes_config: Path | None = None
    """Taxonomy {category: {attribute: [classes]}}; by default it is built from the CSV."""
    parq_path: Path | None = None
    """Parquet with the attribute names of each category, for a taxonomy built from the CSV."""
    val_ratio: float = 0.2
    """Fraction of the rows used for validation."""
    test_ratio: float = 0.0
    """Fraction of the rows held out for a final test; they choose no checkpoint."""
    random_state: int = 42
    """Seed of batch order, augmentation and initial weights."""
    split_seed: int | None = None
    """Seed of the split; None: the value of --random_state."""
    split_path: Path | None = None
    """split.csv (id, split) of an earlier run, to reuse its split."""
    folds: int | None = None
    """Cut the rows into this many folds and validate on one of them, instead of --val_ratio.
    `vtax train` takes --fold; `vtax cross-validate` takes each in turn (None: 5)."""
    final: bool = False
    """Train on all rows, none for validation, for all --epochs, and keep the last: final.pt."""
    decision_from: Path | None = None
    """held_out.npz of `vtax cross-validate`, which the decision of final.pt is fitted on."""
    fold: int | None = None
    """The fold of --folds that `vtax train` validates on, from 0."""
    val_csv_path: Path | None = None
    """Labelled file with the validation rows, instead of a fraction of --csv_path."""
    test_csv_path: Path | None = None
    """Labelled file with the test rows, instead of --test_ratio."""
    group_duplicates: bool = True
    """Keep near-duplicate images in the same part of the split."""
    batch_sampling: Literal["mixed", "sequential", "joint", "balanced"] = "mixed"
    """mixed, sequential: one category per batch, taking turns or one after another.
    joint: batches mix the categories; balanced: so, and rows of rare classes come more often."""
    feature_cache: Path | None = None
    """Folder that keeps the features of a frozen backbone (--freeze_backbone), computed once."""
    feature_views: int = 0
    """Augmented views of each training image in the feature cache; 0: the image unchanged."""
    augmentation: Literal["standard", "light", "none"] = "standard"
    """Random changes of training images. standard: crop, mirror, rotation, perspective;
    light: mirror, and a shift of up to 6 % of each side."""
    randaugment: tuple[int, int] | None = None
    """Then change each training image by N random operations of magnitude M (RandAugment; colours,
    contrast, shear, rotation, ...): 2 9 is usual, M at most 30. None: off."""
    random_erasing: float = 0.0
    """Probability that a rectangle of a training image becomes random pixels; 0 is off, 0.25 is
    usual."""
    mixup: float = 0.0
    """Blend each training image with another one of its category; each of the two labels counts by
    its share, drawn from Beta(mixup, mixup) for a batch. 0 is off, 0.1 to 0.8 is usual."""
    cutmix: float = 0.0
    """The same by a rectangle cut out of the other image (CutMix), whose area is drawn likewise; 0
    is off, 1 is usual. With --mixup, each batch is mixed by one of the two."""
    train_workers: int = 5
    """Processes that load training images; at most one per core."""
    val_workers: int = 2
    """Processes that load validation images; at most one per core."""
    image_cache: Path | None = None
    """Folder that keeps decoded images for later epochs and runs; ram keeps them in memory."""
    missing_values: tuple[str, ...] = MISSING_VALUES
    """Cell texts that mean an unknown label (case-sensitive); empty cells always do."""
    attribute_columns: tuple[str, ...] | None = None
    """Columns that hold labels; None: attr_1, attr_2, ..., or else all but free text."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.csv_path is tyro.MISSING:
            raise TypeError("DataConfig needs csv_path, the labelled file")
        if not 0 < self.val_ratio < 1:
            raise InputError(f"`val_ratio` must lie between 0 and 1, not {self.val_ratio}")
        if not 0 <= self.test_ratio < 1 - self.val_ratio:
            raise InputError(
                f"`test_ratio` must be 0 or more and leave rows to train on beside `val_ratio` "
                f"{self.val_ratio}, not {self.test_ratio}"
            )
        self._check_sources()
        if self.min_rows is not None and self.attributes_config is not None:
            raise InputError(
                "`min_rows` and `attributes_config` both say which classes there are; give one"
            )
        if self.decision_from is not None and not self.final:
            raise InputError("`decision_from` is for `final`; other runs fit on their own rows")
        names = ("train_workers", "val_workers", "random_state", "feature_views")
        self._check_augmentation()
        not_negative(**{name: getattr(self, name) for name in names})
        if self.random_state > LARGEST:
            raise InputError(f"`random_state` must be at most {LARGEST}, not {self.random_state}")
        if self.split_seed is not None:
            not_negative(split_seed=self.split_seed)
        self._check_folds()

    def _check_augmentation(self) -> None:
        not_negative(mixup=self.mixup, cutmix=self.cutmix)
        if not 0 <= self.random_erasing <= 1:
            raise InputError(f"`random_erasing` must lie in [0, 1], not {self.random_erasing}")
        if self.randaugment is None:
            return
        operations, magnitude = self.randaugment
        if operations < 1 or not 0 <= magnitude <= 30:
            raise InputError(
                f"`randaugment` is 1 or more operations and a magnitude of 0 to 30, not "
                f"{operations} and {magnitude}"
            )

    def _check_folds(self) -> None:
        if self.fold is not None and self.folds is None:
            raise InputError(f"`fold` {self.fold} needs `folds`, the number of folds")
        if self.folds is None:
            return
        if self.folds < 2:
            raise InputError(f"`folds` must be 2 or more, not {self.folds}")
        if self.fold is not None and not 0 <= self.fold < self.folds:
            raise InputError(
                f"`fold` must be one of 0 ... {self.folds - 1} for `folds` {self.folds}, "
                f"not {self.fold}"
            )
        if self.test_ratio:
            raise InputError(
                "`folds` holds out each row once, so it leaves none for `test_ratio`; name rows "
                "of another file with `test_csv_path`"
            )

    def _check_sources(self) -> None:
        for one, other, part in (
            ("split_path", "val_csv_path", "validation"),
            ("split_path", "test_ratio", "test"),
            ("test_csv_path", "test_ratio", "test"),
            ("folds", "split_path", "validation"),
            ("folds", "val_csv_path", "validation"),
            *(("final", name, "validation") for name in ("folds", "split_path", "val_csv_path")),
        ):
            if getattr(self, one) and getattr(self, other):
                raise InputError(
                    f"`{one}` and `{other}` both say which rows are for {part}; give one of them"
                )
