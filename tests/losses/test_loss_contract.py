"""What every loss of the table must keep, whatever its formula."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from visual_taxonomy.errors import InputError
from visual_taxonomy.losses import LOSSES, build_loss
from visual_taxonomy.losses.base import Loss, checked

NAMES = list(LOSSES)
SOFT = [name for name, loss in LOSSES.items() if loss.soft_targets]
HARD_ONLY = [name for name in NAMES if name not in SOFT]
DEFAULTS = {
    "CE": {"smoothing": 0.0},
    "LDAM": {"max_margin": 0.5, "scale": 30.0},
    "Focal": {"gamma": 2.0},
    "IB": {"alpha": 1000.0, "epsilon": 1e-3, "max_factor": None, "detach_factor": True},
    "IBFocal": {
        "gamma": 1.0,
        "alpha": 1000.0,
        "epsilon": 1e-3,
        "max_factor": None,
        "detach_factor": True,
    },
    "CE-CB": {"beta": 0.9999},
    "F-CB": {"beta": 0.9999, "gamma": 2.0},
    "VS": {"gamma": 0.3, "tau": 1.0},
    "CDT": {"gamma": 0.3},
    "LA": {"tau": 1.0},
    "BalancedSoftmax": {},
    "GLA": {"tau": 1.0, "learn_tau": True},
    "ASL": {"gamma_positive": 0.0, "gamma_negative": 4.0, "smoothing": 0.1},
    "Poly1": {"epsilon": 2.0, "gamma": 0.0},
}
COUNTS = torch.tensor([500, 40, 1, 0, 7])
C = len(COUNTS)


def drawn(n: int = 8, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Logits [n, C], targets [n] and features [n, 6]."""
    logits = torch.randn(n, C, dtype=dtype, requires_grad=True)
    return logits, torch.arange(n) % C, torch.randn(n, 6, dtype=dtype)


def differentiable(name: str) -> Loss:
    """The loss with its whole formula in the graph."""
    loss = build_loss(name, COUNTS)
    if name.startswith("IB"):
        loss = build_loss(name, COUNTS, detach_factor=False)
    return loss


@pytest.mark.parametrize("name", NAMES)
def test_is_a_finite_positive_scalar_with_a_gradient(name):
    logits, target, features = drawn()
    loss = build_loss(name, COUNTS)(logits, target, None, features)
    loss.backward()
    assert loss.shape == ()
    assert loss.isfinite()
    assert loss > 0
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().sum() > 0


@pytest.mark.parametrize("name", NAMES)
def test_order_of_the_batch_changes_nothing(name):
    logits, target, features = drawn()
    loss, weights = build_loss(name, COUNTS), torch.rand(C)
    order = torch.randperm(len(target))
    shuffled = loss(logits[order], target[order], weights, features[order])
    assert_close(shuffled, loss(logits, target, weights, features))


@pytest.mark.parametrize("name", NAMES)
def test_unit_class_weights_change_nothing(name):
    logits, target, features = drawn()
    loss = build_loss(name, COUNTS)
    weighted = loss(logits, target, torch.ones(C), features)
    assert_close(weighted, loss(logits, target, None, features))


@pytest.mark.parametrize("name", NAMES)
def test_scale_of_the_class_weights_matters_for_a_plain_mean_only(name):
    logits, target, features = drawn()
    loss, weights = build_loss(name, COUNTS), torch.rand(C) + 0.5
    factor = 3.0 if loss.weight_reduction == "plain" else 1.0
    tripled = loss(logits, target, 3 * weights, features)
    assert_close(tripled, factor * loss(logits, target, weights, features))


@pytest.mark.parametrize("name", NAMES)
def test_permuting_the_classes_changes_nothing(name):
    logits, target, features = drawn()
    weights, order = torch.rand(C), torch.randperm(C)
    before = build_loss(name, COUNTS)(logits, target, weights, features)
    moved = build_loss(name, COUNTS[order])
    after = moved(logits[:, order], order.argsort()[target], weights[order], features)
    assert_close(after, before)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"VS", "CDT"}])
def test_constant_added_to_the_logits_changes_nothing(name):
    logits, target, features = drawn(dtype=torch.float64)
    loss = build_loss(name, COUNTS)
    shifted = loss(logits + 3, target, None, features)
    assert_close(shifted, loss(logits, target, None, features))


@pytest.mark.parametrize("name", ["CE", "VS", "CDT", "LA", "BalancedSoftmax", "GLA"])
def test_adjusted_logits_are_those_that_cross_entropy_sees(name):
    logits, target, _ = drawn()
    loss = build_loss(name, COUNTS)
    expected = torch.nn.functional.cross_entropy(loss.adjusted(logits), target)
    assert_close(loss(logits, target), expected)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_that_of_finite_differences(name):
    logits, target, features = drawn(n=5, dtype=torch.float64)
    loss, weights = differentiable(name).double(), torch.rand(C, dtype=torch.float64)
    features.requires_grad_(loss.needs_features)
    assert torch.autograd.gradcheck(
        lambda z, h: loss(z, target, weights, h), (logits, features), eps=1e-6, atol=1e-4
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_computed_in_float32(name, dtype):
    logits, target, features = drawn()
    logits, features = logits.to(dtype), features.to(dtype)
    loss, weights = build_loss(name, COUNTS), torch.rand(C)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = loss(logits, target, weights, features)
    assert half.dtype == torch.float32
    whole = loss(logits.float(), target, weights, features.float())
    assert_close(half, whole, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_float64_stays_float64(name):
    logits, target, features = drawn(dtype=torch.float64)
    loss = build_loss(name, COUNTS)
    assert loss(logits, target, torch.ones(C), features).dtype == torch.float64


@pytest.mark.parametrize("scale", [1e4, -1e4])
@pytest.mark.parametrize("name", NAMES)
def test_huge_logits_give_finite_losses_and_gradients(name, scale):
    _, target, features = drawn(n=C)
    logits = (scale * torch.eye(C)[target]).requires_grad_()  # p of the target is 1, or 0
    loss = build_loss(name, COUNTS)(logits, target, torch.rand(C), features)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_one_entry_suffices(name):
    logits, target, features = drawn(n=1)
    assert build_loss(name, COUNTS)(logits, target, torch.ones(C), features).isfinite()


@pytest.mark.parametrize("name", NAMES)
def test_head_of_one_class_has_no_loss_and_no_gradient(name):
    logits = torch.randn(3, 1, requires_grad=True)
    loss = build_loss(name, torch.tensor([7]))
    value = loss(logits, torch.zeros(3, dtype=torch.long), torch.ones(1), torch.randn(3, 2))
    value.backward()
    assert value == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_targets_of_weight_zero_alone_give_zero(name):
    logits, _, features = drawn(n=2)
    weights = torch.tensor([1.0, 1, 1, 0, 1])
    loss, target = build_loss(name, COUNTS), torch.tensor([3, 3])
    value = loss(logits, target, weights, features)
    value.backward()
    assert value == 0
    assert (logits.grad == 0).all()
    if loss.soft_targets:
        assert loss(logits, torch.eye(C)[target], weights) == 0


@settings(deadline=None)
@given(
    counts=st.lists(st.sampled_from([0, 1, 2, 1000, 10**9, 10**15]), min_size=1, max_size=5),
    name=st.sampled_from(NAMES),
)
def test_any_counts_give_finite_tables_and_losses(counts, name):
    loss = build_loss(name, torch.tensor(counts))
    logits = torch.zeros(len(counts), len(counts), requires_grad=True)
    target = torch.arange(len(counts))
    value = loss(logits, target, None, torch.ones(len(counts), 2))
    value.backward()
    assert all(table.isfinite().all() for table in loss.state_dict().values())
    assert value.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_checkpoint_holds_the_tables(name):
    logits, target, features = drawn()
    saved, other = build_loss(name, COUNTS), build_loss(name, COUNTS.flip(0))
    other.load_state_dict(saved.state_dict())
    after = other(logits, target, None, features)
    assert_close(after, saved(logits, target, None, features), rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_tables_are_float32_and_follow_the_device(name):
    loss = build_loss(name, COUNTS).to("meta")
    assert all(table.dtype == torch.float32 for table in loss.state_dict().values())
    assert all(table.device.type == "meta" for table in loss.state_dict().values())


@pytest.mark.parametrize("name", NAMES)
def test_forward_never_waits_for_the_device(name):
    # on the meta device there are no values, so reading one or selecting by one fails
    logits, target, features = (tensor.to("meta") for tensor in drawn())
    loss = build_loss(name, COUNTS).to("meta")
    assert loss(logits, target, torch.ones(C, device="meta"), features).shape == ()
    if loss.soft_targets:
        assert loss(logits, torch.softmax(logits, 1), None, features).shape == ()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", SOFT)
def test_one_hot_target_equals_the_index(name, weighted):
    logits, target, _ = drawn()
    loss, weights = build_loss(name, COUNTS), torch.rand(C) if weighted else None
    soft = loss(logits, torch.eye(C)[target], weights)
    assert_close(soft, loss(logits, target, weights))


@pytest.mark.parametrize("name", SOFT)
def test_soft_target_gives_the_mean_over_its_labels(name):
    logits, first, _ = drawn()
    second = (first + 1) % C
    loss, eye = build_loss(name, COUNTS), torch.eye(C)
    mixed = loss(logits, 0.3 * eye[first] + 0.7 * eye[second])
    assert_close(mixed, 0.3 * loss(logits, first) + 0.7 * loss(logits, second))


@pytest.mark.parametrize("name", SOFT)
def test_soft_target_may_be_of_another_precision(name):
    logits, target, _ = drawn()
    loss, soft = build_loss(name, COUNTS), torch.eye(C)[target]
    expected = loss(logits, soft, torch.ones(C))
    for dtype in (torch.bfloat16, torch.float64):
        value = loss(logits, soft.to(dtype), torch.ones(C))
        assert_close(value, expected, check_dtype=False)
        assert_close(loss(logits, soft.to(dtype)), expected, check_dtype=False)


@pytest.mark.parametrize("name", SOFT)
def test_gradient_for_soft_targets_is_that_of_finite_differences(name):
    logits, _, features = drawn(n=4, dtype=torch.float64)
    loss, weights = differentiable(name).double(), torch.rand(C, dtype=torch.float64)
    soft = torch.softmax(torch.randn(4, C, dtype=torch.float64), dim=1)
    assert torch.autograd.gradcheck(
        lambda z: loss(z, soft, weights, features), logits, eps=1e-6, atol=1e-4
    )


@pytest.mark.parametrize("name", HARD_ONLY)
def test_soft_target_is_refused_where_the_formula_has_none(name):
    logits, target, features = drawn()
    with pytest.raises(InputError, match="turn mixup or distillation off"):
        build_loss(name, COUNTS)(logits, torch.eye(C)[target], None, features)


@pytest.mark.parametrize("name", [name for name in NAMES if LOSSES[name].needs_features])
def test_missing_features_are_an_error(name):
    logits, target, _ = drawn()
    with pytest.raises(InputError, match="IB and IBFocal need features, the input of the head"):
        build_loss(name, COUNTS)(logits, target)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_defaults_are_the_documented_ones(name):
    parameters = list(inspect.signature(LOSSES[name]).parameters.values())
    assert parameters[0].name == "class_counts"
    assert {entry.name: entry.default for entry in parameters[1:]} == DEFAULTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_docstring_has_summary_formula_parameters_and_source(name):
    lines = inspect.getdoc(LOSSES[name]).splitlines()
    assert lines[0].endswith(".")
    assert any(line.startswith("    ") and "=" in line for line in lines[:6])
    assert "References:" in lines
    arguments = lines[lines.index("Args:") :]
    for parameter in ["class_counts", *DEFAULTS[name]]:
        assert any(line.startswith(f"    {parameter}: ") for line in arguments)


def test_declared_needs_are_those_of_the_papers():
    assert {name for name in NAMES if LOSSES[name].head == "cosine"} == {"LDAM"}
    assert {name for name in NAMES if LOSSES[name].needs_features} == {"IB", "IBFocal"}
    assert {name for name in NAMES if LOSSES[name].reweights} == {"CE-CB", "F-CB"}
    warm_ups = {name: LOSSES[name].warm_up for name in NAMES if LOSSES[name].warm_up}
    assert warm_ups == {"IB": "CE", "IBFocal": "CE"}


def test_loss_without_forward_says_so():
    with pytest.raises(NotImplementedError):
        Loss()(torch.zeros(1, 2), torch.tensor([0]))


def test_names_are_matched_without_case():
    assert type(build_loss("ce-cb", COUNTS)) is LOSSES["CE-CB"]


def test_unknown_names_and_parameters_are_errors_that_say_what_exists():
    with pytest.raises(InputError, match=r"'LDMA' is none of: CE, LDAM.* Did you mean 'LDAM'"):
        build_loss("LDMA", COUNTS)
    with pytest.raises(InputError, match="LDAM: 'gamma' is none of: max_margin, scale"):
        build_loss("LDAM", COUNTS, gamma=2.0)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("CE", {"smoothing": 1.5}),
        ("LDAM", {"scale": 0}),
        ("LDAM", {"max_margin": -0.1}),
        ("Focal", {"gamma": -1}),
        ("Focal", {"gamma": float("nan")}),
        ("Focal", {"gamma": "2"}),
        ("IB", {"alpha": 0}),
        ("IB", {"epsilon": 0.0}),
        ("IB", {"max_factor": 0}),
        ("IBFocal", {"gamma": -1}),
        ("CE-CB", {"beta": 1.1}),
        ("F-CB", {"beta": -0.1}),
        ("VS", {"gamma": -1}),
        ("VS", {"tau": float("inf")}),
        ("CDT", {"gamma": -1}),
        ("LA", {"tau": -1}),
        ("GLA", {"tau": -1}),
        ("ASL", {"gamma_negative": -1}),
        ("Poly1", {"epsilon": -2}),
    ],
)
def test_values_out_of_range_are_errors_that_name_the_parameter(name, parameters):
    with pytest.raises(InputError, match=f"^{next(iter(parameters))}: .* (expected|is not) a"):
        build_loss(name, COUNTS, **parameters)


def test_range_is_part_of_the_message():
    with pytest.raises(InputError, match="smoothing: 2, expected a finite number >= 0 and <= 1"):
        checked("smoothing", 2, low=0, high=1)
