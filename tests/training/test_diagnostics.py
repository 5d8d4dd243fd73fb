import math

import numpy as np
import pytest
import torch

from visual_taxonomy.training.diagnostics import DIAGNOSTICS_NAME, TaskDiagnostics

TASKS = ["c/a", "c/b", "d/a"]


def make(every: int = 5, gradients_every: int = 5) -> TaskDiagnostics:
    return TaskDiagnostics(TASKS, every, gradients_every)


def add(seen: TaskDiagnostics, step: int, weights: dict[str, float], rows=None, scale=1.0) -> None:
    """Add a step given as task -> weight, with gradients [A, P] or none."""
    tensors = {name: torch.tensor(weight) for name, weight in weights.items()}
    gramian = None
    if rows is not None:
        gradients = torch.tensor(rows, dtype=torch.float64)
        gramian = (list(weights), gradients @ gradients.T)
    seen.add(step, step, tensors, gramian, scale)


def test_means_are_over_the_steps_in_which_a_task_was_seen():
    seen = make()
    add(seen, 0, {"c/a": 1.0, "c/b": 3.0}, [[3.0, 4.0], [0.0, 2.0]])
    add(seen, 5, {"c/b": 5.0}, [[0.0, 4.0]])
    seen.fetch()
    assert seen.rows(7, {"d/a": 2}) == [
        {"epoch": 7, "task": "c/a", "weight": 1.0, "gradient_norm": 5.0, "skipped": 0},
        {"epoch": 7, "task": "c/b", "weight": 4.0, "gradient_norm": 3.0, "skipped": 0},
        {"epoch": 7, "task": "d/a", "skipped": 2},
    ]


def test_cosines_are_means_and_pairs_that_never_met_are_not_known():
    seen, random = make(), np.random.default_rng(0)
    steps = [random.normal(size=(2, 4)) for _ in range(3)]
    for step, rows in enumerate(steps):
        add(seen, step, {"d/a": 1.0, "c/a": 1.0}, rows.tolist())
    expected = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in steps]
    cosines = seen.cosines().numpy()
    assert cosines[0, 2] == cosines[2, 0] == pytest.approx(np.mean(expected))
    assert np.isnan(cosines[0, 1])
    assert np.isnan(cosines[1]).all()


def test_conflict_is_the_mean_share_over_steps_with_several_tasks():
    seen = make()
    assert seen.conflict_share() is None
    add(seen, 0, {"c/a": 1.0}, [[1.0]])
    assert seen.conflict_share() is None
    add(seen, 1, {"c/a": 1.0, "c/b": 1.0, "d/a": 1.0}, [[1.0, 0.1], [-1.0, 0.1], [0.1, 1.0]])
    add(seen, 2, {"c/a": 1.0, "c/b": 1.0}, [[1.0], [-1.0]])
    assert seen.conflict_share() == pytest.approx((1 / 3 + 1) / 2)


def test_steps_are_due_from_the_last_that_was_watched_and_at_the_start_of_an_epoch():
    seen = make(every=5, gradients_every=10)
    due, wanted = [], []
    for step in range(30):
        if seen.is_due(step) and step != 15:  # in step 15 no task could be used
            due.append(step)
            wanted += [step] * seen.wants_gradients(step)
            add(seen, step, {"c/a": 1.0}, [[1.0]] if seen.wants_gradients(step) else None)
    assert due == [0, 5, 10, 16, 21, 26]
    assert wanted == [0, 10, 21]
    seen.end_epoch(0, {})
    assert seen.is_due(0)
    assert seen.wants_gradients(0)


def test_what_is_not_finite_is_left_out():
    seen = make()
    add(seen, 0, {"c/a": math.nan, "c/b": 2.0}, [[math.inf], [1.0]])
    add(seen, 1, {"c/a": 4.0, "c/b": 2.0}, [[3.0], [0.0]])
    seen.fetch()
    a, b, _ = seen.rows(0, {})
    assert (a["weight"], a["gradient_norm"]) == (4.0, 3.0)
    assert (b["weight"], b["gradient_norm"]) == (2.0, 0.5)
    assert np.isnan(seen.cosines()[0, 1].item())


def test_scaled_losses_are_scaled_back():
    seen = make()
    add(seen, 0, {"c/a": 1.0}, [[6.0]], scale=2.0)
    assert seen.rows(0, {})[0]["gradient_norm"] == 3.0
    assert seen.fetch()[0].values["gradient_norm/c/a"] == 3.0


def test_the_logger_is_told_of_every_watched_step_once_in_names_it_takes():
    seen = TaskDiagnostics(["Tops & Tunics/a (b)", "c/b"], 5, 5)
    weights = {"Tops & Tunics/a (b)": torch.tensor(1.5), "c/b": torch.tensor(0.5)}
    gramian = (list(weights), torch.tensor([[4.0, -1.0], [-1.0, 1.0]]))
    seen.add(12, 2, weights, gramian)
    ((step, values),) = seen.fetch()
    assert step == 12
    assert values == {
        "weight/Tops _ Tunics/a _b_": 1.5,
        "weight/c/b": 0.5,
        "gradient_norm/Tops _ Tunics/a _b_": 2.0,
        "gradient_norm/c/b": 1.0,
        "conflict_share": 1.0,
    }
    assert seen.fetch() == []


def test_an_epoch_starts_anew_but_pairs_go_on():
    seen = make()
    add(seen, 0, {"c/a": 1.0, "c/b": 3.0}, [[1.0], [1.0]])
    seen.fetch()
    seen.end_epoch(0, {})
    assert seen.conflict_share() is None
    assert seen.rows(1, {})[0] == {"epoch": 1, "task": "c/a", "skipped": 0}
    assert seen.cosines()[0, 1] == 1.0
    assert [row["epoch"] for row in seen.history] == [0, 0, 0]


def test_what_is_saved_inside_an_epoch_goes_on_as_if_nothing_happened(tmp_path):
    whole, first = make(), make()
    for seen in (whole, first):
        add(seen, 0, {"c/a": 1.0, "c/b": 3.0}, [[1.0, 2.0], [1.0, -1.0]])
        seen.fetch()
        seen.end_epoch(0, {})
        add(seen, 0, {"c/a": 2.0, "d/a": 1.0}, [[1.0, 0.0], [1.0, -1.0]])
        seen.fetch()
    torch.save(first.to_dict(), tmp_path / "state.pt")
    resumed = make()
    resumed.load(torch.load(tmp_path / "state.pt", weights_only=True))
    for seen in (whole, resumed):
        assert not seen.is_due(4)
        add(seen, 5, {"c/a": 3.0, "c/b": 1.0}, [[1.0, 1.0], [1.0, -1.0]])
        seen.fetch()
        seen.end_epoch(1, {})
    assert resumed.history == whole.history
    torch.testing.assert_close(resumed.cosines(), whole.cosines(), equal_nan=True, rtol=0, atol=0)


def test_the_table_has_a_row_for_each_epoch_and_task(tmp_path):
    seen = make()
    add(seen, 0, {"c/a": 0.5}, [[2.0]])
    seen.fetch()
    seen.end_epoch(0, {"c/b": 3})
    seen.write(tmp_path)
    assert (tmp_path / DIAGNOSTICS_NAME).read_text() == (
        "epoch,task,weight,gradient_norm,skipped\n0,c/a,0.5,2.0,0\n0,c/b,,,3\n0,d/a,,,0\n"
    )


def test_tasks_that_no_watched_step_has_had_give_their_weight_once():
    seen = make(every=5)
    add(seen, 0, {"c/a": 1.0}, [[1.0]])
    seen.add_unseen({"c/a": torch.tensor(9.0), "c/b": torch.tensor(3.0)})
    seen.add_unseen({"c/b": torch.tensor(9.0)})
    assert [watched.step for watched in seen.fetch()] == [0]
    assert [row.get("weight") for row in seen.rows(0, {})] == [1.0, 3.0, None]


def test_a_resumed_epoch_remembers_whose_weights_it_has():
    first, resumed = make(every=5), make(every=5)
    first.add_unseen({"c/b": torch.tensor(3.0)})
    first.fetch()
    resumed.load(first.to_dict())
    resumed.add_unseen({"c/b": torch.tensor(9.0), "d/a": torch.tensor(2.0)})
    resumed.fetch()
    assert [row.get("weight") for row in resumed.rows(0, {})] == [None, 3.0, 2.0]
