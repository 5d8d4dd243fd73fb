"""What holds for every entry of `TASK_WEIGHTINGS`."""

import copy
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visual_taxonomy import task_weighting
from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting import (
    TASK_WEIGHTINGS,
    build_task_weighting,
    multi_task_backward,
)

EVERY = pytest.mark.parametrize("name", TASK_WEIGHTINGS)
DRAWN = {"PCGrad", "GradVac", "RLW"}  # random numbers per position: order of the tasks matters
TRACKED = {"MoCo", "DB_MTL"}  # direction is of averaged gradients


def seeded():
    return torch.Generator().manual_seed(5)


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


def tensors(method):
    return {k: v.clone() for k, v in method.state_dict().items() if k != "_extra_state"}


@pytest.mark.parametrize("name", sorted(TASK_WEIGHTINGS.keys() - TRACKED - {"GradDrop"}))
def test_shared_update_is_the_sum_of_weight_times_gradient(name, catalogue):
    per_task = catalogue.naive_gradients()
    weights, found = catalogue.step(build_task_weighting(name, catalogue.tasks))
    for parameter in ("backbone.0.weight", "backbone.2.bias"):
        expected = sum(
            weight * gradients[parameter]
            for weight, gradients in zip(weights.values(), per_task, strict=True)
        )
        torch.testing.assert_close(found[parameter], expected, atol=1e-6, rtol=1e-4)


@EVERY
def test_heads_get_their_own_gradient_times_one_factor(name, catalogue):
    per_task = catalogue.naive_gradients()
    method = build_task_weighting(name, catalogue.tasks)
    weights, found = catalogue.step(method)
    losses = catalogue.losses(catalogue.features(catalogue.images))
    for i, task in enumerate(catalogue.tasks):
        factor = 1 / losses[task].item() if name == "DB_MTL" else 1.0
        if method.default_head_scale == "weights":
            factor = weights[task].item()
        if name == "Nash_MTL":  # unclipped: any factor, the same for all entries
            factor = (found[f"heads.{task}.bias"] / per_task[i][f"heads.{task}.bias"]).mean()
            assert factor > weights[task]
        expected = factor * per_task[i][f"heads.{task}.weight"]
        torch.testing.assert_close(found[f"heads.{task}.weight"], expected, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("name", sorted(TASK_WEIGHTINGS.keys() - DRAWN))
def test_order_of_the_tasks_does_not_matter(name, catalogue):
    _, found = catalogue.step(build_task_weighting(name, catalogue.tasks), generator=seeded())
    _, turned = catalogue.step(
        build_task_weighting(name, catalogue.tasks), catalogue.tasks[::-1], generator=seeded()
    )
    for key, value in found.items():
        torch.testing.assert_close(turned[key], value, atol=1e-5, rtol=1e-3)


@EVERY
def test_absent_tasks_change_nothing_and_nothing_of_theirs_changes(name, catalogue):
    few = list(catalogue.tasks[:3])
    alone = build_task_weighting(name, few)
    among = build_task_weighting(name, catalogue.tasks)
    for method in (alone, among):
        method.eval()
    for _ in range(3):
        before = tensors(among)
        _, expected = catalogue.step(alone, few, generator=seeded())
        _, found = catalogue.step(among, few, generator=seeded())
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(found[key], value, atol=1e-7, rtol=1e-6)
        for key, value in tensors(among).items():
            old = before[key]
            if value.ndim > 0 and len(value) == 5 and value.shape == old.shape:
                assert torch.equal(value[3:], old[3:]), key


@EVERY
def test_one_active_task_gives_a_positive_multiple_of_its_gradient(name, catalogue):
    method = build_task_weighting(name, catalogue.tasks)
    gradient = catalogue.naive_gradients(["B/x"])[0]["backbone.0.weight"]
    _, found = catalogue.step(method, ["B/x"], generator=seeded())
    cosine = torch.cosine_similarity(
        found["backbone.0.weight"].flatten(), gradient.flatten(), dim=0
    )
    assert cosine.item() == pytest.approx(1.0, abs=1e-4)


@EVERY
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_is_as_good_as_absent(name, bad, catalogue):
    with_it = build_task_weighting(name, catalogue.tasks)
    without = build_task_weighting(name, catalogue.tasks)
    rest = [task for task in catalogue.tasks if task != "A/y"]
    _, expected = catalogue.step(without, rest, generator=seeded())
    features = catalogue.features(catalogue.images)
    losses = catalogue.losses(features)
    losses["A/y"] = losses["A/y"] * bad
    weights = multi_task_backward(losses, with_it, catalogue.shared, features, seeded()).weights
    assert weights.keys() == set(rest)
    found = catalogue.gradients()
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, atol=1e-6, rtol=1e-4)
    assert with_it.record.num_skipped == {"A/y": 1}
    for key, value in tensors(without).items():
        torch.testing.assert_close(tensors(with_it)[key], value, atol=1e-6, rtol=1e-4)
    for parameter in with_it.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad)


@EVERY
def test_no_finite_loss_adds_nothing_and_ten_in_a_row_stop_the_run(name, catalogue):
    method = build_task_weighting(name, catalogue.tasks)

    def step():
        features = catalogue.features(catalogue.images)
        losses = {task: loss * torch.nan for task, loss in catalogue.losses(features).items()}
        return multi_task_backward(losses, method, catalogue.shared, features)

    for _ in range(9):
        assert step() is None
        assert catalogue.gradients() == {}
    with pytest.raises(InputError, match="was not finite in 10 steps in a row"):
        step()


@EVERY
@pytest.mark.parametrize("num_tasks", [1, 2, 10, 42])
def test_any_number_of_tasks_gives_a_finite_update(name, num_tasks):
    names = [f"c/{i}" for i in range(num_tasks)]
    method = build_task_weighting(name, names)
    parameter = torch.zeros(8, 8, requires_grad=True)
    for _ in range(3):
        features = torch.randn(4, 8) @ (torch.eye(8) + parameter)
        losses = {n: F(features) for n, F in zip(names, make_losses(num_tasks), strict=True)}
        assert multi_task_backward(losses, method, [parameter], features) is not None
        assert torch.isfinite(parameter.grad).all()


def make_losses(num_tasks):
    targets = torch.randn(num_tasks, 4, 8)
    return [lambda x, target=target: ((x - target) ** 2).mean() for target in targets]


GRAMIAN = [name for name, entry in TASK_WEIGHTINGS.items() if entry.kind == "gramian"]


@pytest.mark.parametrize("name", sorted(set(GRAMIAN) - {"GradNorm"}))
@given(
    seed=st.integers(0, 9999),
    num_tasks=st.integers(2, 8),
    rank=st.integers(1, 5),
    zeros=st.integers(0, 2),
)
@settings(max_examples=15, deadline=None)
def test_any_rank_is_solved_and_zero_gradients_get_no_weight(name, seed, num_tasks, rank, zeros):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(num_tasks, rank, generator=generator)
    rows = rows @ torch.randn(rank, 6, generator=generator)
    rows[:zeros] = 0
    names = [f"c/{i}" for i in range(num_tasks)]
    parameter = torch.zeros(6, requires_grad=True)
    losses = dict(zip(names, 1 + rows @ parameter, strict=True))
    method = build_task_weighting(name, names)
    weights = multi_task_backward(losses, method, [parameter], generator=generator).weights
    assert torch.isfinite(parameter.grad).all()
    assert [weights[task].item() for task in names[:zeros]] == [0.0] * zeros


ACTIVE = [
    ["A/x", "A/y", "A/z"],
    ["B/x", "B/y"],
    ["A/x", "B/y"],
    ["A/x", "A/y", "A/z", "B/x", "B/y"],
]


def train(catalogue, method, steps, generator):
    """SGD on network and learned weights; an epoch ends every eighth step."""
    trained = [*catalogue.parameters(), *method.parameters()]
    for step in steps:
        tasks = ACTIVE[step % 4]
        features = catalogue.features(catalogue.images)
        losses = catalogue.losses(features, tasks)
        multi_task_backward(losses, method, catalogue.shared, features, generator)
        with torch.no_grad():
            for parameter in trained:
                if parameter.grad is not None:
                    parameter -= 0.05 * parameter.grad
                    parameter.grad = None
        if step % 8 == 7:
            method.end_epoch()


@EVERY
def test_resuming_in_mid_epoch_repeats_the_next_twenty_updates_exactly(name, catalogue):
    parameters = {"warmup_epochs": 0} if name == "STCH" else {}
    method = build_task_weighting(name, catalogue.tasks, **parameters)
    generator = seeded()
    train(catalogue, method, range(13), generator)
    saved = io.BytesIO()
    torch.save(
        {
            "model": catalogue.state_dict(),
            "method": method.state_dict(),
            "generator": generator.get_state(),
        },
        saved,
    )
    train(catalogue, method, range(13, 33), generator)

    saved.seek(0)
    state = torch.load(saved, weights_only=True)
    resumed_model = copy.deepcopy(catalogue)
    resumed_model.load_state_dict(state["model"])
    resumed = build_task_weighting(name, catalogue.tasks, **parameters)
    resumed.load_state_dict(state["method"])
    resumed_generator = torch.Generator()
    resumed_generator.set_state(state["generator"])
    train(resumed_model, resumed, range(13, 33), resumed_generator)
    assert_equal(resumed_model.state_dict(), catalogue.state_dict())
    assert_equal(tensors(resumed), tensors(method))
    assert resumed.record == method.record


class Processes:
    """Two threads that add up tensors as two processes would."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2, timeout=20)
        self.slots = [None, None]

    def sum_for(self, rank):
        def reduce(tensor):
            self.slots[rank] = tensor
            self.barrier.wait()
            total = self.slots[0] + self.slots[1]
            self.barrier.wait()
            return total

        return reduce


@EVERY
@pytest.mark.parametrize("head_scale", [None, "unit"])
def test_two_processes_make_the_update_of_one(name, head_scale, catalogue):
    options = task_weighting.BackwardOptions(head_scale=head_scale)
    method = build_task_weighting(name, catalogue.tasks)
    _, expected = catalogue.step(method, generator=seeded(), options=options)
    processes = Processes()
    order = torch.arange(16).view(8, 2).T  # each process has half of both categories

    def work(rank):
        model = copy.deepcopy(catalogue)
        mine = model.features(model.images[order[rank]])
        other = model.features(model.images[order[1 - rank]]).detach()
        gathered = torch.zeros(16, 8)
        gathered = gathered.index_copy(0, order[rank], mine).index_copy(0, order[1 - rank], other)
        replica = build_task_weighting(name, model.tasks)
        multi_task_backward(
            model.losses(gathered),
            replica,
            model.shared,
            gathered,
            seeded(),
            options=options,
            reduce=processes.sum_for(rank),
        )
        return model.gradients()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, range(2))
    assert first.keys() == second.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(first[key], value, atol=1e-5, rtol=1e-3)
        torch.testing.assert_close(second[key], first[key], atol=0, rtol=0)


def test_only_the_engine_differentiates():
    folder = Path(task_weighting.__file__).parent
    words = ("autograd", ".backward(", "enable_grad")
    users = {f for f in folder.rglob("*.py") if any(w in strip(f) for w in words)}
    assert users
    assert {file.parent.name for file in users} == {"backward"}


def strip(path):
    """The code of a file without its docstrings."""
    return "".join(path.read_text(encoding="utf-8").split('"""')[::2])
