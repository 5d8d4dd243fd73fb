"""What every schedule of the table must keep, whatever its formula."""

import inspect
from dataclasses import FrozenInstanceError

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from visual_taxonomy.class_weighting import CLASS_WEIGHTINGS, build_class_weighting
from visual_taxonomy.class_weighting.base import ClassWeighting
from visual_taxonomy.errors import InputError

NAMES = list(CLASS_WEIGHTINGS)
DEFAULTS = {
    "None": {},
    "DRW": {"beta": 0.9999, "onset": 0.8},
    "CBReweight": {"beta": 0.9999},
    "IBReweight": {},
}


@settings(deadline=None)
@given(
    counts=st.lists(st.sampled_from([0, 1, 2, 1000, 10**9, 10**15]), min_size=1, max_size=6),
    name=st.sampled_from(NAMES),
    epoch=st.integers(0, 9),
)
def test_weights_are_finite_with_mean_one_over_present_classes(counts, name, epoch):
    given_counts = torch.tensor(counts)
    weights = build_class_weighting(name, 10)(given_counts, epoch)
    assert weights.dtype == torch.float32
    assert weights.shape == (len(counts),)
    assert weights.isfinite().all()
    assert (weights[given_counts == 0] == 0).all()
    if any(counts):
        assert weights[given_counts > 0].mean().item() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_permuting_the_classes_permutes_the_weights(name):
    counts, order = torch.tensor([70, 0, 3, 12]), torch.tensor([2, 0, 3, 1])
    schedule = build_class_weighting(name, 10)
    assert_close(schedule(counts[order], 9), schedule(counts, 9)[order])


@pytest.mark.parametrize("name", NAMES)
def test_balanced_counts_give_equal_weights(name):
    weights = build_class_weighting(name, 10)(torch.tensor([6, 6, 6]), 9)
    assert_close(weights, torch.ones(3))


@pytest.mark.parametrize("name", NAMES)
def test_same_arguments_give_the_same_weights_in_any_order_of_epochs(name):
    counts, schedule = torch.tensor([70, 3, 12]), build_class_weighting(name, 10)
    forwards = [schedule(counts, epoch) for epoch in range(10)]
    backwards = [schedule(counts, epoch) for epoch in reversed(range(10))][::-1]
    assert all(map(torch.equal, forwards, backwards))


@pytest.mark.parametrize("name", NAMES)
def test_schedule_cannot_be_changed(name):
    with pytest.raises(FrozenInstanceError, match="num_epochs"):
        build_class_weighting(name, 10).num_epochs = 3


@pytest.mark.parametrize("name", NAMES)
def test_run_without_epochs_is_an_error(name):
    with pytest.raises(InputError, match="num_epochs must be at least 1, not 0"):
        build_class_weighting(name, 0)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_defaults_are_the_documented_ones(name):
    parameters = list(inspect.signature(CLASS_WEIGHTINGS[name]).parameters.values())
    assert parameters[0].name == "num_epochs"
    assert {entry.name: entry.default for entry in parameters[1:]} == DEFAULTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_docstring_has_summary_formula_and_parameters(name):
    lines = inspect.getdoc(CLASS_WEIGHTINGS[name]).splitlines()
    assert lines[0].endswith(".")
    assert any("weight[c] =" in line for line in lines)
    assert ("References:" in lines) == (name != "None")
    for parameter in ["num_epochs", *DEFAULTS[name]]:
        assert any(line.startswith(f"    {parameter}: ") for line in lines)


def test_schedule_without_weights_says_so():
    with pytest.raises(NotImplementedError):
        ClassWeighting(10)(torch.tensor([1]), 0)


def test_unknown_names_and_parameters_are_errors_that_say_what_exists():
    with pytest.raises(InputError, match="'DWR' is none of: None, DRW, CBReweight, IBReweight"):
        build_class_weighting("DWR", 10)
    with pytest.raises(InputError, match="'onset' is none of: beta"):
        build_class_weighting("CBReweight", 10, onset=0.5)
