from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from visual_taxonomy.config import DataConfig, ObjectiveConfig, TrainConfig
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting import BackwardOptions
from visual_taxonomy.training.setup import _backward_options, _pictures


def test_defaults_of_the_flags_are_those_of_the_engine() -> None:
    assert _backward_options(ObjectiveConfig(method="EW")) == BackwardOptions()


@pytest.mark.parametrize(("flag", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
def test_rows_are_kept_in_the_type_of_the_flag(flag: str, dtype: torch.dtype) -> None:
    assert _backward_options(ObjectiveConfig(row_dtype=flag)).row_dtype == dtype


def test_flags_of_the_gradients_reach_the_engine() -> None:
    config = ObjectiveConfig(
        method="MGDA",
        gradient_source="features",
        update_weights_every=5,
        head_scale="unit",
        normalize_direction="mean",
        row_budget_mb=3,
    )
    assert _backward_options(config) == BackwardOptions(
        source="features",
        update_weights_every=5,
        head_scale="unit",
        normalize_direction="mean",
        row_budget_bytes=3 * 2**20,
    )


def test_pictures_in_memory_are_refused_for_several_machines(
    table_of: Callable[[int], Table],
) -> None:
    config = TrainConfig(DataConfig(Path("a"), Path("b"), image_cache=Path("ram")))
    fabric = SimpleNamespace(strategy=SimpleNamespace(num_nodes=2))
    with pytest.raises(InputError, match="--image_cache ram is for one machine; name a folder"):
        _pictures(config, fabric, table_of(1), (8, 8), Console(quiet=True))
