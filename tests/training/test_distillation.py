"""How a teacher's answers join the labels of a batch, with holes."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visual_taxonomy.config import ObjectiveConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.losses.priors import log_prior
from visual_taxonomy.model.heads import CategoryHeads
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.distillation import SoftLabels
from visual_taxonomy.training.objective import Objective

# Sarees: border 3, color 2. Kurtis: color 2, sleeve 3, occasion 1.
COUNTS = [
    torch.tensor([90, 9, 1]),
    torch.tensor([30, 70]),
    torch.tensor([60, 40]),
    torch.tensor([5, 80, 15]),
    torch.tensor([100]),
]
CATEGORIES = torch.tensor([0, 1, -1, 0])
# Labels: Sarees/border of row 0 alone, Kurtis/sleeve of row 1.
TARGETS = torch.tensor([[2, -1, -1], [-1, 0, 0], [0, 0, 0], [-1, -1, -1]])


def taught() -> Tensor:
    """Row 0 has an answer for border only, row 3 for both slots, row 1 for none."""
    answers = torch.full((4, 3, 3), torch.nan)
    answers[0, 0] = torch.tensor([0.2, 0.3, 0.5]).log()
    answers[3, 0] = torch.tensor([0.7, 0.2, 0.1]).log()
    answers[3, 1, :2] = torch.tensor([0.9, 0.1]).log()
    answers[3, 1, 2] = -9.0  # padding, never read
    return answers


def built(taxonomy: Taxonomy, **changes: object) -> Objective:
    config = ObjectiveConfig(teacher=("best.pt",), teacher_share=0.3, **changes)  # type: ignore[arg-type]
    objective = Objective(taxonomy, COUNTS, config, num_epochs=10)
    objective.start_epoch(0, torch.device("cpu"))
    return objective


def kl(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    loss = nn.KLDivLoss(reduction="batchmean", log_target=True)
    target = (teacher / temperature).log_softmax(dim=1)
    return temperature**2 * loss((student / temperature).log_softmax(dim=1), target)


@pytest.mark.parametrize("loss_type", ["CE", "LA"])
def test_labels_and_teacher_share_the_loss_also_in_the_holes(taxonomy: Taxonomy, loss_type: str):
    objective = built(taxonomy, loss_type=loss_type, teacher_temperature=2.0)
    entries = objective.entries(CATEGORIES, TARGETS, taught())
    assert entries.tasks == (0, 1, 3)
    assert (entries.counts, entries.num_rows) == ((1, 0, 1), (2, 1, 1))
    output = CategoryHeads(taxonomy, 8).eval()(torch.randn(4, 8), CATEGORIES, entries.tasks)
    losses = objective(output, entries)
    border, color = output.logits[:, 0], output.logits[:, 1, :2]
    sleeve = output.logits[:, 2]
    if loss_type == "LA":
        border, color = border + log_prior(COUNTS[0]), color + log_prior(COUNTS[1])
        sleeve = sleeve + log_prior(COUNTS[3])
    answers = taught()
    expected = {
        "Sarees/border": 0.7 * F.cross_entropy(border[[0]], torch.tensor([2]))
        + 0.3 * kl(border[[0, 3]], answers[[0, 3], 0], 2.0),
        "Sarees/color": 0.3 * kl(color[[3]], answers[[3], 1, :2], 2.0),
        "Kurtis/sleeve": F.cross_entropy(sleeve[[1]], torch.tensor([0])),
    }
    assert list(losses) == list(expected)
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value.item(), rel=1e-5)


def test_cosines_are_taught_as_they_predict(taxonomy: Taxonomy):
    objective = built(taxonomy, loss_type="LDAM", loss_parameters={"scale": 4.0})
    entries = objective.entries(CATEGORIES, torch.full_like(TARGETS, -1), taught())
    heads = CategoryHeads(taxonomy, 8, kind="cosine").eval()
    output = heads(torch.randn(4, 8), CATEGORIES, entries.tasks)
    expected = 0.3 * kl(output.logits[[3], 1, :2], taught()[[3], 1, :2], 1.0)
    assert objective(output, entries)["Sarees/color"].item() == pytest.approx(expected.item())


def test_a_batch_without_an_answer_has_the_loss_of_its_labels(taxonomy: Taxonomy):
    objective = built(taxonomy)
    silent = torch.full((4, 3, 3), torch.nan)
    entries = objective.entries(CATEGORIES, TARGETS, silent)
    assert entries.soft is None
    output = CategoryHeads(taxonomy, 8).eval()(torch.randn(4, 8), CATEGORIES, entries.tasks)
    plain = objective(output, objective.entries(CATEGORIES, TARGETS))
    assert objective(output, entries) == plain


def test_validation_hears_no_teacher(taxonomy: Taxonomy):
    objective = built(taxonomy)
    entries = objective.entries(CATEGORIES, TARGETS, taught())
    output = CategoryHeads(taxonomy, 8).eval()(torch.randn(4, 8), CATEGORIES, entries.tasks)
    assert set(objective.validation_losses(output, entries)) == {"Sarees/border", "Kurtis/sleeve"}


def test_entries_of_a_teacher_survive_the_way_to_the_device(taxonomy: Taxonomy):
    entries = built(taxonomy).entries(CATEGORIES, TARGETS, taught())
    moved = entries.to(torch.device("meta")).soft
    assert moved is not None
    assert entries.soft is not None
    assert moved.counts == entries.soft.counts
    assert {tensor.device.type for tensor in moved[1:]} == {"meta"}


def test_rows_without_an_image_and_fillers_have_no_answer():
    logs = torch.arange(12.0).reshape(2, 2, 3)
    found = SoftLabels(logs).of(torch.tensor([1, 0, -1]), torch.tensor([0, -1, -1]))
    assert torch.equal(found[0], logs[1])
    assert found[1:].isnan().all()


def test_wrong_settings_are_refused():
    with pytest.raises(InputError, match=r"`teacher_share` must lie in \(0, 1\], not 0"):
        ObjectiveConfig(teacher_share=0)
    with pytest.raises(InputError, match="`teacher_temperature` must be above 0, not 0"):
        ObjectiveConfig(teacher_temperature=0)
    with pytest.raises(InputError, match=r"`teacher_share` 0\.9 needs `teacher`"):
        ObjectiveConfig(teacher_share=0.9)
