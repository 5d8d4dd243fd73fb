import pytest
import torch
import torch.nn.functional as F
from torch import nn

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting import (
    BackwardOptions,
    build_task_weighting,
    multi_task_backward,
)
from visual_taxonomy.task_weighting.base import GramianWeighting


class Given(GramianWeighting):
    """Weights 1, 2, 3, ... whatever the gradients."""

    paper = "none"

    def forward(self, gramian, losses, tasks, generator=None):
        self.seen = gramian
        return torch.tensor([1.0 + task for task in tasks], dtype=torch.float64)


def combine(per_task, weights, names):
    """Sum of weight x gradient of the parameters whose name is in `names`."""
    total = {}
    for gradients, weight in zip(per_task, weights, strict=True):
        for name in names & gradients.keys():
            total[name] = total.get(name, 0) + weight * gradients[name]
    return total


def shared_names(catalogue):
    ids = {id(parameter) for parameter in catalogue.shared}
    return {name for name, parameter in catalogue.named_parameters() if id(parameter) in ids}


def assert_same(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(
            found[name], gradient, msg=lambda m, n=name: f"{n}: {m}", **tolerance
        )


SOURCES = ["parameters", "features", "last_layer"]
TOLERANCE = {"atol": 1e-6, "rtol": 1e-4}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("budget", [None, 0, 1000])
@pytest.mark.parametrize("head_scale", ["unit", "weights"])
def test_gradients_are_the_weighted_sums_of_those_of_single_passes(
    source, budget, head_scale, catalogue
):
    per_task = catalogue.naive_gradients()
    options = BackwardOptions(source=source, row_budget_bytes=budget, head_scale=head_scale)
    weights, found = catalogue.step(Given(catalogue.tasks), options=options)
    assert [weight.item() for weight in weights.values()] == [1.0, 2.0, 3.0, 4.0, 5.0]
    shared = shared_names(catalogue)
    heads = found.keys() - shared
    expected = combine(per_task, [1, 2, 3, 4, 5], shared)
    head_weights = [1, 2, 3, 4, 5] if head_scale == "weights" else [1] * 5
    assert_same(found, expected | combine(per_task, head_weights, heads), **TOLERANCE)


@pytest.mark.parametrize("budget", [None, 0, 1000])
def test_gramian_is_that_of_the_gradients_of_all_shared_parameters(budget, catalogue):
    per_task = catalogue.naive_gradients()
    names = sorted(shared_names(catalogue))
    rows = [
        torch.cat([g.get(n, torch.zeros_like(catalogue.get_parameter(n))).flatten() for n in names])
        for g in per_task
    ]
    jacobian = torch.stack(rows).double()
    method = Given(catalogue.tasks)
    catalogue.step(method, options=BackwardOptions(row_budget_bytes=budget))
    torch.testing.assert_close(method.seen, jacobian @ jacobian.T, atol=1e-6, rtol=1e-5)


def test_feature_gramian_keeps_the_images_apart(catalogue):
    features = catalogue.features(catalogue.images)
    losses = catalogue.losses(features)
    rows = [torch.autograd.grad(loss, features, retain_graph=True)[0] for loss in losses.values()]
    flat = torch.stack(rows).flatten(1).double()
    method = Given(catalogue.tasks)
    catalogue.step(method, options=BackwardOptions(source="features"))
    torch.testing.assert_close(method.seen, flat @ flat.T, atol=1e-7, rtol=1e-5)
    assert method.seen[0, 3] == 0  # tasks of two categories share no image


def test_last_layer_is_the_matrix_of_the_neck(catalogue):
    per_task = catalogue.naive_gradients()
    method = Given(catalogue.tasks)
    catalogue.step(method, options=BackwardOptions(source="last_layer"))
    first = [per_task[i]["necks.A.1.weight"].flatten().double() for i in range(3)]
    expected = torch.stack(first) @ torch.stack(first).T
    torch.testing.assert_close(method.seen[:3, :3], expected, atol=1e-7, rtol=1e-5)
    assert method.seen[:3, 3:].abs().max() == 0


def test_last_layer_is_in_the_backbone_where_the_neck_has_no_matrix(catalogue):
    per_task = catalogue.naive_gradients()
    method = Given(catalogue.tasks)
    for neck in catalogue.necks.values():
        neck[1].weight.requires_grad_(False)
    catalogue.step(method, options=BackwardOptions(source="last_layer"))
    rows = torch.stack(
        [gradients["backbone.2.weight"].flatten() for gradients in per_task]
    ).double()
    torch.testing.assert_close(method.seen, rows @ rows.T, atol=1e-7, rtol=1e-5)


def test_last_layer_needs_a_shared_matrix():
    parameter = torch.zeros(2, requires_grad=True)
    options = BackwardOptions(source="last_layer")
    with pytest.raises(InputError, match="no weight matrix is shared; use 'parameters'"):
        multi_task_backward({"c/a": parameter.sum()}, Given(["c/a"]), [parameter], options=options)


@pytest.mark.parametrize(
    ("name", "options", "passes"),
    [
        ("EW", {}, 1),
        ("EW", {"head_scale": "unit"}, 1),
        ("GradDrop", {}, 1),
        ("GradNorm", {}, 1),
        ("MGDA", {}, 5),
        ("MGDA", {"source": "features"}, 1),
        ("PCGrad", {"source": "features"}, 1),
        ("PCGrad", {"source": "last_layer"}, 1),
        ("DB_MTL", {}, 5),
    ],
)
def test_passes_through_the_backbone_are_those_promised(name, options, passes, catalogue):
    method = build_task_weighting(name, catalogue.tasks)
    catalogue.step(method, options=BackwardOptions(**options))
    assert catalogue.passes == passes


def test_weights_are_reused_between_updates(catalogue):
    method = build_task_weighting("MGDA", catalogue.tasks)
    options = BackwardOptions(update_weights_every=5)
    first, found = catalogue.step(method, options=options)
    for _ in range(4):
        again, same = catalogue.step(method, options=options)
        assert again == first
        assert_same(same, found, **TOLERANCE)
    assert catalogue.passes == 5 + 4
    catalogue.step(method, options=options)
    assert catalogue.passes == 5 + 4 + 5


def test_reused_weights_keep_the_limit_on_the_length(catalogue):
    method = build_task_weighting("Nash_MTL", catalogue.tasks)
    options = BackwardOptions(update_weights_every=2)
    _, found = catalogue.step(method, options=options)
    _, again = catalogue.step(method, options=options)
    assert_same(again, found, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("source", SOURCES)
def test_parameters_of_absent_tasks_and_categories_are_not_touched(source, catalogue):
    options = BackwardOptions(source=source)
    _, found = catalogue.step(Given(catalogue.tasks), ["A/x", "A/z"], options=options)
    assert {name for name in found if name.startswith("heads")} == {
        "heads.A/x.weight",
        "heads.A/x.bias",
        "heads.A/z.weight",
        "heads.A/z.bias",
    }
    assert not any(name.startswith("necks.B") for name in found)


def test_gradients_accumulate(catalogue):
    method = Given(catalogue.tasks)
    _, once = catalogue.step(method)
    for _ in range(2):
        features = catalogue.features(catalogue.images)
        multi_task_backward(catalogue.losses(features), method, catalogue.shared, features)
    twice = catalogue.gradients()
    assert_same(twice, {name: 2 * gradient for name, gradient in once.items()})


@pytest.mark.parametrize("name", ["EW", "MGDA", "GradDrop", "MoCo"])
def test_frozen_backbone_leaves_neck_and_heads_to_train(name, catalogue):
    catalogue.backbone.requires_grad_(False)
    _, found = catalogue.step(build_task_weighting(name, catalogue.tasks))
    assert not any(name.startswith("backbone") for name in found)
    assert any(name.startswith("necks") for name in found)


def test_graddrop_is_the_plain_sum_where_the_backbone_is_frozen(catalogue):
    catalogue.backbone.requires_grad_(False)
    _, found = catalogue.step(build_task_weighting("GradDrop", catalogue.tasks))
    _, expected = catalogue.step(build_task_weighting("EW", catalogue.tasks))
    assert_same(found, expected)


def test_frozen_part_of_the_backbone_gets_nothing(catalogue):
    catalogue.backbone[0].requires_grad_(False)
    per_task = catalogue.naive_gradients()
    _, found = catalogue.step(Given(catalogue.tasks))
    assert "backbone.0.weight" not in found
    expected = combine(per_task, [1, 2, 3, 4, 5], {"backbone.2.weight"})
    torch.testing.assert_close(
        found["backbone.2.weight"], expected["backbone.2.weight"], **TOLERANCE
    )


@pytest.mark.parametrize("budget", [None, 0])
def test_without_features_the_same_update_comes_out(budget, catalogue):
    method = build_task_weighting("MGDA", catalogue.tasks)
    _, expected = catalogue.step(method)
    losses = catalogue.losses(catalogue.features(catalogue.images))
    options = BackwardOptions(row_budget_bytes=budget)
    multi_task_backward(losses, method, catalogue.shared, options=options)
    assert_same(catalogue.gradients(), expected, **TOLERANCE)


def test_rows_in_bfloat16_give_nearly_the_same_update(catalogue):
    method = build_task_weighting("IMTL", catalogue.tasks)
    _, expected = catalogue.step(method)
    _, found = catalogue.step(method, options=BackwardOptions(row_dtype=torch.bfloat16))
    assert_same(found, expected, atol=2e-3, rtol=5e-2)


@pytest.mark.parametrize("name", ["EW", "MGDA", "GradDrop", "MoCo", "IMTL"])
def test_autocast_to_bfloat16_works_with_batch_normalization(name, catalogue):
    with torch.autocast("cpu", torch.bfloat16):
        features = catalogue.features(catalogue.images)
        losses = catalogue.losses(features)
    method = build_task_weighting(name, catalogue.tasks)
    weights = multi_task_backward(losses, method, catalogue.shared, features).weights
    assert weights.keys() == set(catalogue.tasks)
    for gradient in catalogue.gradients().values():
        assert gradient.dtype == torch.float32
        assert torch.isfinite(gradient).all()


def test_non_reentrant_checkpointing_gives_the_same_update(catalogue):
    method = build_task_weighting("MGDA", catalogue.tasks)
    _, expected = catalogue.step(method)
    images = catalogue.images
    features = torch.utils.checkpoint.checkpoint(catalogue.backbone, images, use_reentrant=False)
    multi_task_backward(catalogue.losses(features), method, catalogue.shared, features)
    assert_same(catalogue.gradients(), expected, **TOLERANCE)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("name", ["MGDA", "Nash_MTL", "MoCo", "DB_MTL"])
def test_normalized_direction_is_as_long_as_the_sum_or_mean(name, reduction, catalogue):
    per_task = catalogue.naive_gradients()
    shared = shared_names(catalogue)
    total = combine(per_task, [1] * 5, shared)
    length = torch.stack([gradient.norm() for gradient in total.values()]).norm()
    method = build_task_weighting(name, catalogue.tasks)
    options = BackwardOptions(normalize_direction=reduction)
    _, found = catalogue.step(method, options=options)
    norm = torch.stack([found[name].norm() for name in shared]).norm()
    expected = length / (5 if reduction == "mean" else 1)
    torch.testing.assert_close(norm, expected, **TOLERANCE)


@pytest.mark.parametrize("name", ["EW", "MGDA", "MoCo", "GradDrop"])
def test_a_watched_update_holds_the_gramian_with_the_names(name, catalogue):
    method = build_task_weighting(name, catalogue.tasks)
    update, _ = catalogue.update(method, ["A/y", "B/x"], watch=True)
    names, gramian = update.gramian
    assert names == tuple(update.weights) == ("A/y", "B/x")
    assert gramian.shape == (2, 2)
    assert gramian.dtype == torch.float64


@pytest.mark.parametrize("name", ["EW", "MGDA", "MoCo", "GradDrop"])
def test_an_update_that_nobody_watches_holds_no_gramian(name, catalogue):
    update, _ = catalogue.update(build_task_weighting(name, catalogue.tasks))
    assert update.gramian is None
    assert not update.is_reused


def test_reused_weights_say_so_and_have_no_gramian(catalogue):
    method = build_task_weighting("MGDA", catalogue.tasks)
    options = BackwardOptions(update_weights_every=2)
    first, _ = catalogue.update(method, options=options, watch=True)
    again, _ = catalogue.update(method, options=options, watch=True)
    assert (first.is_reused, again.is_reused) == (False, True)
    assert again.gramian is None
    assert again.weights == first.weights


def test_watching_the_gradients_of_a_cheap_method_changes_nothing_and_costs_no_pass(catalogue):
    method = build_task_weighting("EW", catalogue.tasks)
    _, expected = catalogue.step(method)
    before = catalogue.passes
    _, found = catalogue.step(method, watch=True)
    assert_same(found, expected)
    assert catalogue.passes == before + 1


def test_a_frozen_backbone_is_watched_by_the_gradients_of_its_features():
    features, neck = torch.randn(4, 3, requires_grad=True), nn.Linear(3, 2)
    targets = torch.randn(2, 4)

    def losses() -> dict[str, torch.Tensor]:
        hidden = neck(features).tanh()
        return {f"c/{i}": (hidden[:, i] - targets[i]).square().mean() for i in range(2)}

    gradients = [
        torch.autograd.grad(loss, features, retain_graph=True)[0] for loss in losses().values()
    ]
    expected = torch.tensor([[(a * b).sum() for b in gradients] for a in gradients]).double()
    own = torch.autograd.grad(sum(losses().values()), neck.weight)[0]
    method = build_task_weighting("EW", ["c/0", "c/1"])
    update = multi_task_backward(losses(), method, neck.parameters(), features, watch=True)
    names, gramian = update.gramian
    assert names == ("c/0", "c/1")
    torch.testing.assert_close(gramian, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(neck.weight.grad, own)


def test_nothing_active_adds_nothing(catalogue):
    method = build_task_weighting("MGDA", catalogue.tasks)
    assert multi_task_backward({}, method, catalogue.shared) is None
    assert catalogue.gradients() == {}


def test_a_task_without_shared_gradient_still_trains_its_head():
    shared, head = nn.Linear(3, 2), torch.zeros(2, requires_grad=True)
    output = shared(torch.ones(1, 3)).sum()
    losses = {"c/a": (output - 1) ** 2, "c/b": F.mse_loss(head, torch.ones(2))}
    method = build_task_weighting("MGDA", ["c/a", "c/b"], normalizer="none")
    options = BackwardOptions(head_scale="unit")
    weights = multi_task_backward(losses, method, shared.parameters(), options=options).weights
    assert weights["c/b"].item() == 0.0
    assert weights["c/a"].item() == 1.0
    assert head.grad.tolist() == [-1.0, -1.0]


@pytest.mark.parametrize("name", ["PCGrad", "MoCo", "GradVac"])
def test_no_shared_gradient_at_all_updates_heads_and_no_state(name):
    shared, head = torch.zeros(2, requires_grad=True), torch.ones((), requires_grad=True)
    losses = {"c/a": head * 2 + 0 * shared.sum(), "c/b": head + 0 * shared.sum()}
    method = build_task_weighting(name, ["c/a", "c/b"])
    before = {key: str(value) for key, value in method.state_dict().items()}
    weights = multi_task_backward(losses, method, [shared]).weights
    assert [weight.item() for weight in weights.values()] == [0.0, 0.0]
    assert head.grad.item() == 3.0
    assert shared.grad is None or shared.grad.tolist() == [0.0, 0.0]
    assert {key: str(value) for key, value in method.state_dict().items()} == before


def test_a_loss_that_is_no_scalar_is_refused(catalogue):
    method = build_task_weighting("EW", catalogue.tasks)
    with pytest.raises(InputError, match=r"loss of task 'A/x' has shape \(3,\), not a scalar"):
        multi_task_backward({"A/x": torch.ones(3)}, method, [])


def test_a_loss_of_no_task_of_the_run_is_refused(catalogue):
    method = build_task_weighting("EW", catalogue.tasks)
    with pytest.raises(InputError, match="task 'A/w' is none of"):
        multi_task_backward({"A/w": torch.ones(())}, method, [])


def test_reducing_needs_the_features(catalogue):
    method = build_task_weighting("EW", catalogue.tasks)
    losses = catalogue.losses(catalogue.features(catalogue.images))
    with pytest.raises(InputError, match="reduce needs features"):
        multi_task_backward(losses, method, catalogue.shared, reduce=lambda tensor: tensor)


def test_learned_weights_get_a_gradient_for_active_tasks_only(catalogue):
    for name, parameters in (("UW", "log_variances"), ("IMTL", "log_scales")):
        method = build_task_weighting(name, catalogue.tasks)
        catalogue.step(method, ["A/y", "B/x"])
        has_gradient = [p.grad is not None for p in getattr(method, parameters)]
        assert has_gradient == [False, True, False, True, False]


def test_labels_weigh_the_mean_loss_of_an_epoch(catalogue):
    method = build_task_weighting("DWA", catalogue.tasks)
    catalogue.step(method, ["A/x"], num_labels={"A/x": 3})
    assert method.counts.tolist() == [3.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("reduce", [None, lambda tensor: tensor])
@pytest.mark.parametrize("name", ["EW", "MGDA", "GradNorm", "MoCo", "GradDrop"])
def test_gradients_lie_in_memory_like_their_parameters(name, reduce):
    """Fused AdamW walks through both side by side and mixes the values up where they do not."""
    backbone = nn.Conv2d(3, 4, 2, stride=2).to(memory_format=torch.channels_last)
    heads = nn.ModuleList(nn.Linear(16, 2) for _ in "ab")
    features = backbone(torch.randn(5, 3, 4, 4)).flatten(1)
    outputs = [F.cross_entropy(head(features), torch.tensor([0, 1, 0, 1, 1])) for head in heads]
    losses = dict(zip(["c/a", "c/b"], outputs, strict=True))
    method = build_task_weighting(name, list(losses))
    multi_task_backward(losses, method, backbone.parameters(), features, reduce=reduce)
    assert backbone.weight.grad.stride() == backbone.weight.stride() != (12, 4, 2, 1)

    def moved(**options: bool) -> torch.Tensor:
        copy = backbone.weight.detach().clone().requires_grad_()
        copy.grad = backbone.weight.grad
        torch.optim.AdamW([copy], lr=0.1, **options).step()
        return copy.detach()

    torch.testing.assert_close(moved(fused=True), moved(foreach=False))


@pytest.mark.parametrize(
    ("name", "source"), [("MGDA", "features"), ("EW", None), ("GradDrop", None)]
)
def test_products_of_the_features_of_all_images_are_not_summed_over_processes(
    name, source, catalogue
):
    seen = []
    for reduce in (None, lambda share: 2 * share):
        method = build_task_weighting(name, catalogue.tasks)
        options = BackwardOptions(source=source)
        update, _ = catalogue.update(method, options=options, reduce=reduce, watch=True)
        seen.append(update.gramian.products)
    torch.testing.assert_close(seen[0], seen[1])
