import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from visual_taxonomy.losses import build_loss
from visual_taxonomy.losses.distillation import distillation_loss

COUNTS = torch.tensor([500, 40, 7, 0])


def drawn() -> tuple[Tensor, Tensor]:
    """Logits of a student, and log probabilities of a teacher, of 6 entries."""
    logits = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    return logits, torch.randn(6, 4, dtype=torch.float64).log_softmax(dim=1)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_it_is_the_divergence_of_torch_times_the_squared_temperature(temperature):
    logits, teacher = drawn()
    oracle = nn.KLDivLoss(reduction="batchmean")(
        (logits / temperature).log_softmax(dim=1), (teacher / temperature).softmax(dim=1)
    )
    assert_close(distillation_loss(logits, teacher, temperature), oracle * temperature**2)


def test_a_student_that_agrees_has_nothing_to_learn():
    _, teacher = drawn()
    assert distillation_loss(teacher + 3, teacher, 2.0).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("name", "parameters"), [("CE", {}), ("Focal", {"gamma": 0.0})])
def test_without_temperature_it_moves_as_the_loss_of_labels_drawn_from_the_teacher(
    name: str, parameters: dict[str, float]
):
    logits, teacher = drawn()
    weights = torch.tensor([0.2, 1.0, 2.0, 0.8], dtype=torch.float64)
    loss = build_loss(name, COUNTS, **parameters)
    expected = torch.autograd.grad(loss(logits, teacher.exp(), weights), logits)
    is_plain = loss.weight_reduction == "plain"
    found = distillation_loss(logits, teacher, 1.0, weights, is_plain)
    assert_close(torch.autograd.grad(found, logits), expected)


def test_a_class_of_weight_0_is_not_taught():
    logits, teacher = drawn()
    found = distillation_loss(logits, teacher, 1.0, torch.tensor([1.0, 1.0, 1.0, 0.0]))
    shares = teacher.exp()[:, :3]
    target = shares / shares.sum(dim=1, keepdim=True)
    each = (target * (target.log() - logits.log_softmax(dim=1)[:, :3])).sum(dim=1)
    assert_close(found, (shares.sum(dim=1) * each).sum() / shares.sum())
