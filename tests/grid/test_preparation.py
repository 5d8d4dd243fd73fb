"""Which runs of a grid share their rows."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from visual_taxonomy.catalogue import CatalogueConfig
from visual_taxonomy.config import DataConfig
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.grid.preparation import rows_key

OTHERS: dict[str, dict[str, Any]] = {
    "id_column": {"id_column": "sku"},
    "category_column": {"category_column": ("gender", "type")},
    "category_name": {"category_name": "Tops"},
    "image_column": {"image_column": ("front", "back")},
    "image_pattern": {"image_pattern": "{id}_*.jpg"},
    "text_columns": {"text_columns": ("title",)},
    "csv_encoding": {"csv_encoding": "latin-1"},
    "merged_labels": {"merged_labels": {"color": {"red": ("rot",)}}},
    "min_rows": {"min_rows": 2},
    "rare_class": {"min_rows": 2, "rare_class": "other"},
    "rare_labels": {"rare_labels": {"color": {"Tops": {"": ("mauve",)}}}},
    "missing_values": {"missing_values": ("?",)},
    "attribute_columns": {"attribute_columns": ("color",)},
}
"""Setting of the rows -> settings in which it is another than by default."""


def test_every_role_of_a_column_is_tried_below() -> None:
    names = {entry.name for config in (CatalogueConfig, LabelReading) for entry in fields(config)}
    # The file itself is read when the settings are made, and forgotten.
    assert names - {"catalogue"} == OTHERS.keys()


@pytest.mark.parametrize("name", OTHERS)
def test_runs_that_differ_in_a_role_do_not_share_their_rows(name: str) -> None:
    one = DataConfig(Path("images"), Path("train.csv"))
    other = replace(one, **OTHERS[name])
    assert getattr(one, name) != getattr(other, name)
    assert rows_key(one) != rows_key(other)


@pytest.mark.parametrize("name", ["img_dir", "csv_path", "val_csv_path", "parq_path"])
def test_runs_of_other_files_do_not_share_their_rows(name: str) -> None:
    one = DataConfig(Path("images"), Path("train.csv"))
    assert rows_key(one) != rows_key(replace(one, **{name: Path("other")}))


def test_runs_that_differ_in_their_epochs_batches_or_augmentation_share_their_rows() -> None:
    one = DataConfig(Path("images"), Path("train.csv"))
    assert rows_key(one) == rows_key(replace(one, val_ratio=0.3, mixup=0.2, random_state=1))
