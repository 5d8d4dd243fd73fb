"""Classifiers with a common base: what is shared, and that they fold into plain ones."""

import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.model.heads import CategoryHeads
from visual_taxonomy.model.shared_heads import SharedClassifiers, folded, share_heads
from visual_taxonomy.taxonomy import Taxonomy

# Tasks: 0 Sarees/border, 1 Sarees/color, 2 Kurtis/color, 3 Kurtis/sleeve, 4 Kurtis/occasion.
RED, BLUE, GREEN = 0, 1, 2


def shared(taxonomy: Taxonomy, kind: str = "linear") -> tuple[CategoryHeads, SharedClassifiers]:
    heads = CategoryHeads(taxonomy, 8, kind=kind)  # type: ignore[arg-type]
    share_heads(heads, taxonomy)
    assert isinstance(heads.classifiers, SharedClassifiers)
    return heads, heads.classifiers


def test_classes_of_one_name_start_with_one_weight(taxonomy: Taxonomy) -> None:
    _, classifiers = shared(taxonomy)
    base = classifiers.base_weights[0]
    assert base.shape == (3, 4)  # red, blue of Sarees, green of Kurtis
    assert torch.equal(classifiers.weight_of(1), base[[RED, BLUE]])
    assert torch.equal(classifiers.weight_of(2), base[[RED, GREEN]])
    assert torch.equal(classifiers.bias_of(2), classifiers.base_biases[0][[RED, GREEN]])


def test_attributes_of_one_category_stay_as_they_are(taxonomy: Taxonomy) -> None:
    heads = CategoryHeads(taxonomy, 8)
    before = {task: heads.classifiers.weights[task].clone() for task in (0, 3, 4)}
    share_heads(heads, taxonomy)
    for task, weight in before.items():
        assert torch.equal(heads.classifiers.weight_of(task), weight)


def test_the_base_learns_from_all_categories_and_an_offset_from_its_own(
    taxonomy: Taxonomy,
) -> None:
    _, classifiers = shared(taxonomy)
    hidden = torch.randn(5, 4)
    classifiers(hidden, [1, 2])[:, :, :2].sum().backward()
    total = hidden.sum(dim=0)
    gradient = classifiers.base_weights[0].grad
    torch.testing.assert_close(gradient, torch.stack([2 * total, total, total]))
    torch.testing.assert_close(classifiers.weights[1].grad, torch.stack([total, total]))
    assert classifiers.weights[0].grad is None


def test_linears_of_the_categories_start_equal(taxonomy: Taxonomy) -> None:
    heads, _ = shared(taxonomy)
    assert heads.linear is not None
    assert torch.equal(heads.linear.weights[0], heads.linear.weights[1])
    assert torch.equal(heads.linear.biases[0], heads.linear.biases[1])


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_folded_into_plain_classifiers_they_answer_the_same(taxonomy: Taxonomy, kind: str) -> None:
    heads, classifiers = shared(taxonomy, kind)
    with torch.no_grad():
        for parameter in heads.parameters():
            parameter.add_(torch.randn_like(parameter))
    plain = CategoryHeads(taxonomy, 8, kind=kind)  # type: ignore[arg-type]
    weights = {f"heads.{name}": value for name, value in heads.state_dict().items()}
    found = folded(weights, classifiers)
    plain.load_state_dict({name.removeprefix("heads."): value for name, value in found.items()})
    features, category = torch.randn(6, 8), torch.tensor([0, 1, 0, 1, 1, 0])
    expected = heads.eval()(features, category).logits
    assert torch.equal(plain.eval()(features, category).logits, expected)


def test_without_a_common_attribute_there_is_nothing_to_share() -> None:
    taxonomy = Taxonomy.from_dict({"Hats": {"brim": ["wide", "no"]}, "Shoes": {"heel": ["high"]}})
    with pytest.raises(InputError, match="`shared_heads`: no attribute has the same name in two"):
        share_heads(CategoryHeads(taxonomy, 8), taxonomy)
