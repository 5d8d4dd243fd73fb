"""Heads against torch's own layers, one a category."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from visual_taxonomy.model.heads import (
    AttributeClassifiers,
    CategoryBatchNorm,
    CategoryHeads,
    CategoryLinear,
    _by_groups,
    _of_all,
    _padded,
)
from visual_taxonomy.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_dict(
    {
        "A": {"color": ["r", "g", "b"], "neck": ["v", "o"]},
        "B": {"color": ["r", "g"]},
        "C": {"x": ["1", "2"], "y": ["1"], "z": ["1", "2", "3", "4"]},
    }
)
CATEGORY = torch.tensor([0, 2, 0, 1, 2, 2, 0, 1])


def features(rows: int = 8, width: int = 6) -> torch.Tensor:
    return torch.randn(rows, width) * 3 + 1


def category_is(k: int) -> torch.Tensor:
    return torch.eq(CATEGORY, k)


def test_rows_in_groups_are_rows_picked_from_all_products() -> None:
    position = torch.tensor([2, 0, 2, 3, 0])  # no row is of layer 1
    layers = [(torch.randn(5, 6), torch.randn(5)) for _ in range(4)]
    leaves = [torch.randn(5, 6), *(tensor for layer in layers for tensor in layer)]
    for leaf in leaves:
        leaf.requires_grad_()
    weights = torch.randn(5, 5)
    found, expected = (
        (output, torch.autograd.grad((output * weights).sum(), leaves))
        for output in (way(leaves[0], position, layers) for way in (_by_groups, _of_all))
    )
    torch.testing.assert_close(found, expected)


def test_one_category_alone_takes_all_rows() -> None:
    layer = CategoryLinear(3, 6, 4)
    rows = features()
    expected = F.linear(rows, layer.weights[1], layer.biases[1])
    torch.testing.assert_close(layer(rows, CATEGORY, [1]), expected)


def test_batch_norm_of_each_category_is_a_torch_batch_norm_over_its_rows() -> None:
    ours = CategoryBatchNorm(3, 6, min_rows=2)
    theirs = [nn.BatchNorm1d(6) for _ in range(3)]
    for k, layer in enumerate(theirs):
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
        ours.weights[k].data.copy_(layer.weight)
        ours.biases[k].data.copy_(layer.bias)
    for _ in range(3):
        x = features()
        out = ours(x, CATEGORY)
        for k, layer in enumerate(theirs):
            torch.testing.assert_close(out[category_is(k)], layer(x[category_is(k)]))
    torch.testing.assert_close(ours.running_mean, torch.stack([m.running_mean for m in theirs]))
    torch.testing.assert_close(ours.running_var, torch.stack([m.running_var for m in theirs]))
    ours.eval()
    x = features()
    for k, layer in enumerate(theirs):
        expected = layer.eval()(x[category_is(k)])
        torch.testing.assert_close(ours(x, CATEGORY)[category_is(k)], expected)


def test_batch_norm_has_the_gradient_of_torch_batch_norm() -> None:
    ours, theirs = CategoryBatchNorm(1, 6, min_rows=2).double(), nn.BatchNorm1d(6).double()
    x = features().double().requires_grad_()
    y = x.detach().clone().requires_grad_()
    ours(x, torch.zeros(8, dtype=torch.long)).pow(3).sum().backward()
    theirs(y).pow(3).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    torch.testing.assert_close(ours.weights[0].grad, theirs.weight.grad)


def test_a_category_with_one_row_uses_and_keeps_its_running_statistics() -> None:
    norm = CategoryBatchNorm(2, 3, min_rows=2)
    norm.running_mean[1] = 5.0
    norm.running_var[1] = 4.0
    x = torch.tensor([[0.0] * 3, [1.0] * 3, [9.0] * 3])
    out = norm(x, torch.tensor([0, 0, 1]))
    torch.testing.assert_close(out[2], torch.full((3,), 2.0), atol=1e-4, rtol=0)
    assert norm.running_mean[1].tolist() == [5.0] * 3
    assert norm.running_var[1].tolist() == [4.0] * 3
    assert norm.running_mean[0].tolist() == pytest.approx([0.05] * 3)


def test_a_category_of_few_rows_uses_running_statistics_and_moves_them_less() -> None:
    norm = CategoryBatchNorm(2, 1, momentum=0.1, min_rows=4)
    norm.running_mean[1], norm.running_var[1] = 5.0, 4.0
    x = torch.tensor([[1.0], [3.0], [1.0], [3.0], [7.0], [9.0]])
    out = norm(x, torch.tensor([0, 0, 0, 0, 1, 1]))
    torch.testing.assert_close(out[:4], torch.tensor([[-1.0], [1.0]] * 2), atol=1e-4, rtol=0)
    torch.testing.assert_close(out[4:], torch.tensor([[1.0], [2.0]]), atol=1e-4, rtol=0)
    # Two of four rows move by half the momentum: 5 + 0.05 (8 - 5), 4 + 0.05 (2 - 4).
    assert norm.running_mean[1].item() == pytest.approx(5.15)
    assert norm.running_var[1].item() == pytest.approx(3.9)


def test_a_row_without_image_does_not_change_the_statistics() -> None:
    with_filler, without = (CategoryBatchNorm(3, 6, min_rows=3) for _ in range(2))
    x = features()
    category = torch.cat([CATEGORY, torch.tensor([-1])])
    out = with_filler(torch.cat([x, torch.full((1, 6), 1e6)]), category)
    torch.testing.assert_close(out[:8], without(x, CATEGORY))
    torch.testing.assert_close(with_filler.running_mean, without.running_mean)
    torch.testing.assert_close(with_filler.running_var, without.running_var)


def test_linear_of_each_category_is_a_torch_linear() -> None:
    layer = CategoryLinear(3, 6, 4)
    x = features()
    out = layer(x, CATEGORY)
    for n, k in enumerate(CATEGORY.tolist()):
        torch.testing.assert_close(out[n], F.linear(x[n], layer.weights[k], layer.biases[k]))


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_classifier_of_each_task_is_its_own_product(kind: str) -> None:
    classifiers = AttributeClassifiers([3, 1, 4], 6, kind)
    hidden = features()
    logits = classifiers(hidden, [2, 0])
    assert logits.shape == (8, 2, 4)
    for position, task in enumerate([2, 0]):
        weight = classifiers.weights[task]
        expected = (
            F.linear(hidden, weight, classifiers.biases[task])
            if kind == "linear"
            else 30 * F.cosine_similarity(hidden[:, None], weight[None], dim=2)
        )
        torch.testing.assert_close(logits[:, position, : len(weight)], expected)
    assert torch.isneginf(logits[:, 1, 3]).all()


def test_cosine_logits_do_not_change_with_the_scale_of_features_and_weights() -> None:
    classifiers = AttributeClassifiers([3], 6, "cosine")
    hidden = features()
    before = classifiers(hidden)
    classifiers.weights[0].data.mul_(7)
    torch.testing.assert_close(classifiers(hidden * 0.1), before)
    assert torch.isfinite(classifiers(torch.zeros(1, 6))).all()


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("inter_linear", [True, False])
def test_logits_of_a_category_are_the_same_alone_and_in_a_mixed_batch(
    batch_norm: bool, inter_linear: bool
) -> None:
    heads = CategoryHeads(TAXONOMY, 6, batch_norm, inter_linear, dropout=0.0)
    if heads.norm is not None:
        heads.norm.min_rows = 2
    x = features()
    mixed = heads(x, CATEGORY)
    for k, slots in enumerate(TAXONOMY.slots):
        rows = category_is(k)
        alone = heads(x[rows], CATEGORY[rows], slots)
        width = alone.logits.shape[2]
        torch.testing.assert_close(mixed.logits[rows][:, slots, :width], alone.logits)
        torch.testing.assert_close(mixed.hidden[rows], alone.hidden)
    assert mixed.hidden.shape == (8, 3 if inter_linear else 6)


def test_what_takes_no_part_in_a_batch_has_no_gradient() -> None:
    heads = CategoryHeads(TAXONOMY, 6)
    category = torch.zeros(4, dtype=torch.long)
    heads(features(4), category, tasks=[1]).logits.sum().backward()
    with_gradient = {name for name, p in heads.named_parameters() if p.grad is not None}
    assert with_gradient == {
        "norm.weights.0",
        "norm.biases.0",
        "linear.weights.0",
        "linear.biases.0",
        "classifiers.weights.1",
        "classifiers.biases.1",
    }


def test_slots_pick_the_logits_of_the_rows_own_category() -> None:
    heads = CategoryHeads(TAXONOMY, 6).eval()
    logits = heads(features(), CATEGORY).logits
    by_slot = heads.by_slot(logits, CATEGORY)
    assert by_slot.shape == (8, 3, 4)
    for n, k in enumerate(CATEGORY.tolist()):
        for slot in range(3):
            if slot < len(TAXONOMY.slots[k]):
                expected = logits[n, TAXONOMY.slots[k][slot]]
                torch.testing.assert_close(by_slot[n, slot], expected)
            else:
                assert torch.isneginf(by_slot[n, slot]).all()


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_the_heads_of_the_own_category_are_those_picked_from_all(kind) -> None:
    heads = CategoryHeads(TAXONOMY, 6, kind=kind).eval()
    inputs, category = features(9), torch.cat([CATEGORY, torch.tensor([-1])])
    of_all = heads(inputs, category)
    found = heads.of_own_category(inputs, category)
    torch.testing.assert_close(found.logits, heads.by_slot(of_all.logits, category))
    torch.testing.assert_close(found.cosines[:8], heads.by_slot(of_all.cosines, category)[:8])
    torch.testing.assert_close(found.hidden[:8], of_all.hidden[:8])
    assert torch.isneginf(found.logits[8]).all()


def test_heads_compute_in_float32_inside_autocast() -> None:
    heads = CategoryHeads(TAXONOMY, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = heads(features().bfloat16(), CATEGORY)
    assert output.logits.dtype == torch.float32


def test_an_index_first_asked_for_in_inference_mode_serves_training() -> None:
    heads = CategoryHeads(TAXONOMY, 7)
    with torch.inference_mode():
        heads(features(8, 7), CATEGORY, tasks=[0, 5])
    logits = heads(features(8, 7), CATEGORY, tasks=[0, 5]).logits
    logits[:, :, :1].sum().backward()
    assert heads.classifiers.weights[0].grad is not None


def test_cosines_are_the_logits_of_a_cosine_head_before_its_scale() -> None:
    heads = CategoryHeads(TAXONOMY, 6, kind="cosine").eval()
    output = heads(features(), CATEGORY, tasks=[0])
    hidden = F.normalize(output.hidden, dim=1)
    expected = hidden @ F.normalize(heads.classifiers.weights[0], dim=1).T
    torch.testing.assert_close(output.cosines[:, 0, : expected.shape[1]], expected)
    linear = CategoryHeads(TAXONOMY, 6).eval()(features(), CATEGORY)
    assert linear.cosines is linear.logits


def test_weights_of_tasks_are_padded_as_torch_pads_sequences() -> None:
    tensors = [torch.randn(classes, 4, requires_grad=True) for classes in (2, 5, 3)]
    expected = nn.utils.rnn.pad_sequence(tensors, batch_first=True)
    found = _padded(tensors)
    assert found.equal(expected)
    weights = torch.randn_like(found)
    for ours, torchs in zip(
        torch.autograd.grad(found, tensors, weights),
        torch.autograd.grad(expected, tensors, weights),
        strict=True,
    ):
        assert ours.equal(torchs)
