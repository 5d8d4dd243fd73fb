import warnings
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from visual_taxonomy.config import ObjectiveConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.losses import build_loss
from visual_taxonomy.losses.influence_balanced import InfluenceBalanced
from visual_taxonomy.model.heads import CategoryHeads, HeadOutput
from visual_taxonomy.training.objective import Objective

CPU = torch.device("cpu")
COUNTS = [
    torch.tensor([90, 9, 1]),  # Sarees/border
    torch.tensor([30, 70]),  # Sarees/color
    torch.tensor([60, 40]),  # Kurtis/color
    torch.tensor([5, 80, 15]),  # Kurtis/sleeve
    torch.tensor([100]),  # Kurtis/occasion, one class
]
# Rows: Saree, Kurti, no image, Saree, Kurti, Kurti; slots in the order of the category.
CATEGORIES = torch.tensor([0, 1, -1, 0, 1, 1])
TARGETS = torch.tensor(
    [[2, -1, -1], [1, 0, 0], [0, 0, 0], [0, 1, -1], [-1, 2, 0], [0, -1, -1]], dtype=torch.long
)
# Sarees/border rows 0, 3; Sarees/color row 3; Kurtis/color rows 1, 5; Kurtis/sleeve rows 1, 4.
ROWS = {
    "Sarees/border": [0, 3],
    "Sarees/color": [3],
    "Kurtis/color": [1, 5],
    "Kurtis/sleeve": [1, 4],
}
LABELS = {
    "Sarees/border": [2, 0],
    "Sarees/color": [1],
    "Kurtis/color": [1, 0],
    "Kurtis/sleeve": [0, 2],
}


@pytest.fixture
def make(taxonomy):
    """Builds the objective of a run of 10 epochs, at epoch 0."""

    def build(**changes: object) -> Objective:
        objective = Objective(taxonomy, COUNTS, ObjectiveConfig(**changes), num_epochs=10)
        objective.start_epoch(0, CPU)
        return objective

    return build


def output_of(objective: Objective, num_rows: int = 6, tasks: tuple[int, ...] = (0, 1, 2, 3)):
    """What random heads make of random features."""
    torch.manual_seed(1)
    heads = CategoryHeads(objective.taxonomy, in_features=32).eval()
    categories = CATEGORIES[:num_rows]
    with torch.no_grad():
        return heads(torch.randn(num_rows, 32), categories, tasks)


def by_hand(output: HeadOutput, weights: dict[str, Tensor] | None = None) -> dict[str, float]:
    """Torch's own cross-entropy over the labelled rows, in float64."""
    expected = {}
    for position, (name, rows) in enumerate(ROWS.items()):
        width = {"Sarees/border": 3, "Kurtis/sleeve": 3}.get(name, 2)
        logits = output.logits[rows, position, :width].double()
        weight = None if weights is None else weights[name].double()
        expected[name] = F.cross_entropy(logits, torch.tensor(LABELS[name]), weight).item()
    return expected


def computed(objective: Objective, output: HeadOutput) -> dict[str, float]:
    losses = objective(output, objective.entries(CATEGORIES, TARGETS))
    return {name: loss.item() for name, loss in losses.items()}


def test_the_labelled_entries_are_found_task_after_task(make):
    entries = make().entries(CATEGORIES, TARGETS)
    assert entries.tasks == (0, 1, 2, 3)
    assert entries.counts == (2, 1, 2, 2)
    assert entries.rows.tolist() == [0, 3, 3, 1, 5, 1, 4]
    assert entries.classes.tolist() == [2, 0, 1, 1, 0, 0, 2]
    assert entries.positions.tolist() == [0, 0, 1, 2, 2, 3, 3]
    assert entries.slots.tolist() == [0, 0, 1, 0, 0, 1, 1]


def test_entries_of_random_labels_are_those_that_loops_find(make, taxonomy):
    for seed in range(5):
        random = torch.Generator().manual_seed(seed)
        categories = torch.randint(-1, len(taxonomy.slots), (20,), generator=random)
        targets = torch.randint(-1, 2, (20, taxonomy.num_slots), generator=random)
        expected = [
            (task, row, slot, int(targets[row, slot]))
            for category, tasks in enumerate(taxonomy.slots)
            for slot, task in enumerate(tasks)
            for row in range(20)
            if categories[row] == category
            and targets[row, slot] != -1
            and len(taxonomy.tasks[task].classes) > 1
        ]
        found = make().entries(categories, targets)
        tasks = [found.tasks[position] for position in found.positions]
        columns = (tasks, *(each.tolist() for each in (found.rows, found.slots, found.classes)))
        assert list(zip(*columns, strict=True)) == expected
        assert found.counts == tuple(Counter(tasks)[task] for task in found.tasks)


def test_each_loss_is_the_cross_entropy_of_its_labelled_rows(make):
    objective = make()
    output = output_of(objective)
    assert computed(objective, output) == pytest.approx(by_hand(output), rel=1e-5)


def test_entries_survive_the_way_to_the_device(make):
    entries = make().entries(CATEGORIES, TARGETS)
    moved = entries.to(torch.device("meta"))
    assert (moved.tasks, moved.counts) == (entries.tasks, entries.counts)
    assert {tensor.device.type for tensor in moved[2:]} == {"meta"}


def test_a_task_without_a_label_in_the_batch_is_absent(make):
    objective = make()
    targets = TARGETS.clone()
    targets[[0, 3], 0] = -1  # no border
    entries = objective.entries(CATEGORIES, targets)
    assert entries.tasks == (1, 2, 3)
    losses = objective(output_of(objective, tasks=entries.tasks), entries)
    assert list(losses) == ["Sarees/color", "Kurtis/color", "Kurtis/sleeve"]


def test_a_task_of_one_class_never_takes_part(make):
    targets = torch.tensor([[-1, -1, 0], [-1, -1, 0]])
    assert make().entries(torch.tensor([1, 1]), targets).tasks == ()


def test_rows_without_an_image_take_no_part(make):
    objective = make()
    assert objective.entries(torch.tensor([-1, -1]), torch.zeros(2, 3).long()).tasks == ()
    output = output_of(objective)
    output.logits[2] = torch.nan
    assert computed(objective, output) == pytest.approx(by_hand(output), rel=1e-5)


def test_a_batch_without_labels_gives_no_loss(make):
    objective = make()
    entries = objective.entries(CATEGORIES, torch.full_like(TARGETS, -1))
    assert (entries.tasks, entries.counts, len(entries.rows)) == ((), (), 0)
    assert entries.rows.dtype == entries.classes.dtype == entries.positions.dtype == torch.long
    assert objective(HeadOutput(torch.zeros(6, 0, 3), torch.zeros(6, 4)), entries) == {}
    assert objective.entries(torch.empty(0).long(), torch.empty(0, 3).long()).tasks == ()


def test_only_labelled_rows_have_a_gradient(make):
    objective = make()
    logits = output_of(objective).logits.requires_grad_()
    entries = objective.entries(CATEGORIES, TARGETS)
    sum(objective(HeadOutput(logits, torch.zeros(6, 4)), entries).values()).backward()
    expected = torch.zeros(6, 4, dtype=torch.bool)
    expected[entries.rows, entries.positions] = True
    assert torch.equal((logits.grad != 0).any(dim=2), expected)
    assert logits.grad.isfinite().all()


def effective_number_weights(counts: Tensor, beta: float) -> Tensor:
    """Cui et al.: (1 - beta) / (1 - beta ** n), to mean 1, in float64."""
    weights = (1 - beta) / (1 - beta ** counts.double())
    return weights / weights.mean()


def weights_by_name(beta: float) -> dict[str, Tensor]:
    return {
        name: effective_number_weights(counts, beta)
        for name, counts in zip(ROWS, COUNTS[:4], strict=True)
    }


def test_deferred_weights_start_at_their_epoch(make):
    objective = make(train_rule="DRW", beta=0.99)  # epoch 8 of 10
    output = output_of(objective)
    for epoch, expected in (
        (0, by_hand(output)),
        (7, by_hand(output)),
        (8, by_hand(output, weights_by_name(0.99))),
        (3, by_hand(output)),
    ):
        objective.start_epoch(epoch, CPU)
        assert computed(objective, output) == pytest.approx(expected, rel=1e-5)


def test_parameters_reach_the_schedule_and_the_loss(make):
    objective = make(train_rule="DRW", train_rule_parameters={"onset": 2})
    assert objective.schedule.start_epoch == 2
    assert make(loss_type="LDAM", loss_parameters={"scale": 7.0}).losses[0].scale == 7.0


@pytest.mark.parametrize("rule", ["DRW", "CBReweight", "cbreweight"])
def test_beta_is_passed_on_to_schedules_unless_given(make, rule):
    assert make(train_rule=rule, beta=0.5).schedule.beta == 0.5
    given = {"beta": 0.25}
    assert make(train_rule=rule, beta=0.5, train_rule_parameters=given).schedule.beta == 0.25


@pytest.mark.parametrize("loss_type", ["CE-CB", "F-CB"])
def test_beta_is_passed_on_to_class_balanced_losses_unless_given(make, loss_type):
    def weights(**changes: object) -> list[float]:
        return make(loss_type=loss_type, **changes).losses[0].balanced_weights.tolist()

    expected = effective_number_weights(COUNTS[0], 0.5).tolist()
    assert weights(beta=0.5) == pytest.approx(expected, rel=1e-5)
    assert weights(beta=0.9, loss_parameters={"beta": 0.5}) == weights(beta=0.5)


def test_without_a_beta_each_entry_keeps_its_own(make):
    assert make(train_rule="DRW").schedule.beta == 0.9999
    weights = make(loss_type="CE-CB").losses[0].balanced_weights.tolist()
    assert weights == pytest.approx(effective_number_weights(COUNTS[0], 0.9999).tolist(), rel=1e-5)


def test_beta_alone_changes_nothing_for_an_entry_without_it(make):
    objective = make(loss_type="CE", train_rule="IBReweight", beta=0.5)
    output = output_of(objective)
    inverse = {
        name: (1 / counts) / (1 / counts).mean()
        for name, counts in zip(ROWS, COUNTS[:4], strict=True)
    }
    assert computed(objective, output) == pytest.approx(by_hand(output, inverse), rel=1e-5)


def influence_balanced(output: HeadOutput) -> dict[str, float]:
    """IB on each task's rows and hidden vectors, the loss itself tested elsewhere."""
    loss, expected = InfluenceBalanced(COUNTS[0]), {}
    for position, (name, rows) in enumerate(ROWS.items()):
        width = {"Sarees/border": 3, "Kurtis/sleeve": 3}.get(name, 2)
        logits, target = output.logits[rows, position, :width], torch.tensor(LABELS[name])
        expected[name] = loss(logits, target, None, output.hidden[rows]).item()
    return expected


@pytest.mark.parametrize(("given", "start"), [(None, 5), (2, 2), (0, 0)])
def test_influence_balancing_is_cross_entropy_before_its_epoch(make, given, start):
    objective = make(loss_type="IB", ib_start_epoch=given)
    output = output_of(objective)
    for epoch in range(10):
        objective.start_epoch(epoch, CPU)
        expected = by_hand(output) if epoch < start else influence_balanced(output)
        assert computed(objective, output) == pytest.approx(expected, rel=1e-4)


def test_influence_balancing_weights_classes_only_from_its_epoch(make):
    objective = make(loss_type="IB", train_rule="IBReweight", ib_start_epoch=3)
    output = output_of(objective)
    objective.start_epoch(2, CPU)
    assert computed(objective, output) == pytest.approx(by_hand(output), rel=1e-5)
    objective.start_epoch(3, CPU)
    assert objective.class_weights is not None


def test_losses_that_need_features_get_the_hidden_vectors_of_their_rows(make):
    assert make(loss_type="IBFocal").needs_features
    assert not make(loss_type="LDAM").needs_features
    objective = make(loss_type="IB", ib_start_epoch=0)
    output = output_of(objective)
    doubled = HeadOutput(output.logits, 2 * output.hidden)
    # twice the features, half the loss, but for epsilon
    halves = {name: loss / 2 for name, loss in computed(objective, output).items()}
    assert computed(objective, doubled) == pytest.approx(halves, rel=1e-2)


def test_validation_is_without_class_weights_and_alike_in_every_epoch(make):
    objective = make(train_rule="CBReweight")
    output = output_of(objective)
    entries = objective.entries(CATEGORIES, TARGETS)
    losses = objective.validation_losses(output, entries)
    assert {n: loss.item() for n, loss in losses.items()} == pytest.approx(by_hand(output))
    assert computed(objective, output) != pytest.approx(by_hand(output), rel=1e-3)


@pytest.mark.parametrize("epoch", [0, 9])
def test_influence_balancing_is_validated_by_cross_entropy(make, epoch):
    objective = make(loss_type="IB")
    output = output_of(objective)
    objective.start_epoch(epoch, CPU)
    losses = objective.validation_losses(output, objective.entries(CATEGORIES, TARGETS))
    assert {n: loss.item() for n, loss in losses.items()} == pytest.approx(by_hand(output))


@pytest.mark.parametrize("loss_type", ["CE-CB", "F-CB"])
@pytest.mark.parametrize("rule", ["DRW", "CBReweight", "IBReweight"])
def test_weighting_classes_twice_is_a_warning(make, loss_type, rule):
    with pytest.warns(UserWarning, match=f"`loss_type={loss_type}` weights .*{rule}` does so"):
        make(loss_type=loss_type, train_rule=rule)


@pytest.mark.parametrize(
    ("loss_type", "rule"), [("CE-CB", "None"), ("CE", "CBReweight"), ("IB", "IBReweight")]
)
def test_weighting_classes_once_is_no_warning(make, loss_type, rule):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(loss_type=loss_type, train_rule=rule)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss_type": "LDMA"}, "'LDMA' is none of: .* mean 'LDAM'"),
        ({"train_rule": "DWR"}, "'DWR' is none of: .* mean 'DRW'"),
        ({"loss_type": "LDAM", "loss_parameters": {"gama": 1}}, "LDAM: 'gama' is none of"),
        ({"train_rule": "DRW", "train_rule_parameters": {"start": 1}}, "DRW: 'start' is none of"),
    ],
)
def test_names_that_do_not_exist_are_refused(make, changes, message):
    with pytest.raises(InputError, match=message):
        make(**changes)


def test_the_margin_loss_gets_cosines_and_other_losses_scaled_ones(taxonomy):
    heads = CategoryHeads(taxonomy, 8, kind="cosine")
    heads.classifiers.scale.fill_(10.0)
    counts = [torch.full((len(task.classes),), 5) for task in taxonomy.tasks]
    output = heads.eval()(torch.randn(6, 8), CATEGORIES)
    for name, given in (("LDAM", output.logits / 10), ("CE", output.logits)):
        objective = Objective(taxonomy, counts, ObjectiveConfig(loss_type=name), 2)
        entries = objective.entries(CATEGORIES, TARGETS)
        of_active = output._replace(logits=output.logits[:, list(entries.tasks)])
        first, rows = entries.tasks[0], entries.rows[: entries.counts[0]]
        alone = build_loss(name, counts[first])
        expected = alone(
            given[rows, first, : len(taxonomy.tasks[first].classes)],
            entries.classes[: entries.counts[0]],
        )
        found = objective(of_active, entries)[taxonomy.task_names[first]]
        torch.testing.assert_close(found, expected)


def test_drw_start_epoch_is_the_onset(make):
    assert make(train_rule="DRW", drw_start_epoch=1).schedule.start_epoch == 1
    assert make(train_rule="DRW").schedule.onset == 0.8


def test_label_smoothing_is_that_of_torch_in_training_and_absent_in_validation(make):
    objective, plain = make(label_smoothing=0.1, train_rule="CBReweight"), make()
    output = output_of(objective)
    found = computed(objective, output)
    for position, (name, rows) in enumerate(ROWS.items()):
        task = objective.taxonomy.task_names.index(name)
        weight = objective.class_weights[task]
        expected = F.cross_entropy(
            output.logits[rows, position, : len(weight)],
            torch.tensor(LABELS[name]),
            weight,
            label_smoothing=0.1,
        )
        assert found[name] == pytest.approx(expected.item(), rel=1e-5)
    entries = plain.entries(CATEGORIES, TARGETS)
    assert objective.validation_losses(output, entries) == plain.validation_losses(output, entries)


def test_label_smoothing_changes_no_name_of_the_state(make):
    assert list(make(label_smoothing=0.1, loss_type="GLA").state_dict()) == list(
        make(loss_type="GLA").state_dict()
    )


@pytest.mark.parametrize("loss", ["IB", "LDAM", "Focal", "ASL"])
def test_label_smoothing_is_refused_where_it_has_no_published_meaning(make, loss):
    message = f"`label_smoothing` 0.1: `loss_type={loss}` is no cross-entropy .* of CE, CE-CB, VS"
    with pytest.raises(InputError, match=message):
        make(label_smoothing=0.1, loss_type=loss)


def test_label_smoothing_is_given_once(make):
    with pytest.raises(InputError, match=r"`label_smoothing` 0.1: the parameter smoothing of `los"):
        make(label_smoothing=0.1, loss_parameters={"smoothing": 0.1})
