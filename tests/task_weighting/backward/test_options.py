import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting import BackwardOptions, build_task_weighting


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"source": "logits"}, "source 'logits' is none of: parameters, features, last_layer"),
        ({"head_scale": "two"}, "head_scale 'two' is none of: unit, weights"),
        ({"normalize_direction": "max"}, "normalize_direction 'max' is none of: sum, mean"),
        ({"update_weights_every": 0}, "update_weights_every must be at least 1, not 0"),
        ({"max_consecutive": 0}, "max_consecutive must be at least 1, not 0"),
        ({"row_budget_bytes": -1}, "row_budget_bytes must not be negative, not -1"),
        ({"row_dtype": torch.float16}, "row_dtype is float32, bfloat16 or float64"),
    ],
)
def test_values_out_of_range_are_refused(setting, message):
    with pytest.raises(InputError, match=message):
        BackwardOptions(**setting)


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("EW", {"update_weights_every": 2}, "has no weights to reuse"),
        ("MoCo", {"update_weights_every": 2}, "has no weights to reuse"),
        ("EW", {"source": "features"}, "works on 'parameters' only"),
        ("GradDrop", {"source": "parameters"}, "works on 'features' only"),
        ("UW", {"normalize_direction": "sum"}, "takes no gradient per task"),
        ("GradDrop", {"normalize_direction": "sum"}, "takes no gradient per task"),
        ("GradDrop", {"head_scale": "weights"}, "has no task weights"),
    ],
)
def test_settings_without_effect_are_refused(name, setting, message):
    with pytest.raises(InputError, match=message):
        BackwardOptions(**setting).check(build_task_weighting(name, ["c/a"]))


@pytest.mark.parametrize("name", ["MGDA", "GradNorm"])
def test_gramian_methods_take_every_setting(name):
    options = BackwardOptions(
        source="features", update_weights_every=3, head_scale="unit", normalize_direction="mean"
    )
    options.check(build_task_weighting(name, ["c/a"]))
