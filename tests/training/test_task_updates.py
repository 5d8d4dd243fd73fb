import pytest
import torch
from torch import nn

from visual_taxonomy.config import ObjectiveConfig
from visual_taxonomy.task_weighting import BackwardOptions
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.task_updates import backward_options, build_method


def test_defaults_of_the_flags_are_those_of_the_engine() -> None:
    assert backward_options(ObjectiveConfig(method="EW")) == BackwardOptions()


@pytest.mark.parametrize(("flag", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
def test_rows_are_kept_in_the_type_of_the_flag(flag: str, dtype: torch.dtype) -> None:
    assert backward_options(ObjectiveConfig(row_dtype=flag)).row_dtype == dtype


def test_flags_of_the_gradients_reach_the_engine() -> None:
    config = ObjectiveConfig(
        method="MGDA",
        gradient_source="features",
        update_weights_every=5,
        head_scale="unit",
        normalize_direction="mean",
        row_budget_mb=3,
    )
    assert backward_options(config) == BackwardOptions(
        source="features",
        update_weights_every=5,
        head_scale="unit",
        normalize_direction="mean",
        row_budget_bytes=3 * 2**20,
    )


@pytest.mark.parametrize(("name", "screens"), [("none", False), ("NONE", False), ("EW", True)])
def test_the_plain_sum_stops_at_what_equal_weights_leave_out(
    name: str, screens: bool, taxonomy: Taxonomy
) -> None:
    method = build_method(ObjectiveConfig(method=name), taxonomy)
    assert method.screens == screens
    assert backward_options(ObjectiveConfig(), method.screens).screen == screens
    assert method(torch.tensor([0.8, 1.5]), [0, 1]).item() == pytest.approx(2.3)


def test_a_method_that_asks_for_initial_losses_gets_those_of_guessing(taxonomy: Taxonomy) -> None:
    method = build_method(ObjectiveConfig(method="gradnorm"), taxonomy)
    assert isinstance(method, nn.Module)
    expected = torch.tensor([3, 2, 2, 3, 2]).log()
    torch.testing.assert_close(method.initial_losses.float(), expected)


def test_parameters_of_the_flags_reach_the_method(taxonomy: Taxonomy) -> None:
    config = ObjectiveConfig(method="GradNorm", method_parameters={"asymmetry": 0.5})
    assert build_method(config, taxonomy).asymmetry == 0.5
