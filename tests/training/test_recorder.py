import numpy as np
import torch

from visual_taxonomy.evaluation import Report, evaluate
from visual_taxonomy.task_weighting import Gramian, Update
from visual_taxonomy.training.diagnostics import TaskDiagnostics
from visual_taxonomy.training.recorder import Recorder
from visual_taxonomy.training.validation import Validation

NAMES = ("c/a", "c/b")
ROW = {"epoch": 0, "step": 2, "lr": 0.1, "seconds": 1.0}


def recorder() -> tuple[Recorder, list[tuple[int, dict[str, float]]]]:
    logged: list[tuple[int, dict[str, float]]] = []
    diagnostics = TaskDiagnostics(NAMES, every=2, gradients_every=2)
    return Recorder(diagnostics, lambda values, step: logged.append((step, dict(values)))), logged


def update(weight: float, is_reused: bool = False) -> Update:
    weights = dict.fromkeys(NAMES, torch.tensor(weight))
    gramian = None if is_reused else Gramian(NAMES, torch.eye(2, dtype=torch.float64))
    return Update(weights, gramian, is_reused)


def validation(taxonomy, table, loss: float = 1.0) -> Validation:
    report: Report = evaluate(taxonomy, table.targets, table.targets, table.categories)
    return Validation(report, loss, 0, table.targets, np.zeros((len(table), 3, 3), np.float32))


def test_the_first_new_weights_that_are_due_are_watched_and_logged():
    record, logged = recorder()
    record.add_update(0, 0, update(1.0, is_reused=True), lambda: 1.0)
    record.add_update(1, 1, update(3.0), lambda: 1.0)
    record.add_update(2, 2, update(5.0), lambda: 1.0)  # not due: two steps after the last
    record.fetch(0.1)
    assert [step for step, _ in logged] == [1]
    assert logged[0][1]["weight/c/a"] == 3.0
    assert logged[0][1]["gradient_norm/c/a"] == 1.0


def test_the_scale_of_the_losses_is_asked_for_only_when_it_is_needed():
    record, _ = recorder()
    asked = []
    for step in range(4):
        record.add_update(step, step, update(1.0), lambda: asked.append(1) or 2.0)
    assert len(asked) == 2
    assert record.diagnostics.rows(0, {})[0]["gradient_norm"] == 0.5


def test_the_end_of_an_epoch_is_a_row_and_what_it_has_earned(taxonomy, table_of):
    record, logged = recorder()
    table = table_of(6)
    record.add_losses(0, {"c/a": torch.tensor(2.0)}, [3], torch.tensor(1.0))
    record.fetch(0.1)
    first = record.end_epoch(ROW, validation(taxonomy, table), {})
    second = record.end_epoch(ROW | {"epoch": 1}, validation(taxonomy, table, loss=2.0), {})
    assert (first.row["train_loss"], first.row["val_loss"], first.row["hm"]) == (2.0, 1.0, 1.0)
    assert (first.earned, second.earned) == (("both", "score", "loss"), ())
    assert record.history == [first.row, second.row]
    assert record.records.idle_epochs == 1
    assert logged[-1][1]["val_loss"] == 2.0


def test_a_recorder_goes_on_where_its_state_was_taken(taxonomy, table_of):
    record, _ = recorder()
    record.add_losses(0, {"c/a": torch.tensor(2.0)}, [3], torch.tensor(1.0))
    record.add_update(0, 0, update(1.0), lambda: 1.0)
    record.fetch(0.1)
    other, _ = recorder()
    other.load_state_dict(record.state_dict())
    for each in (record, other):
        each.add_losses(1, {"c/a": torch.tensor(4.0)}, [1], torch.tensor(1.0))
        each.fetch(0.1)
    assert other.losses.mean() == record.losses.mean() == 2.5
    ends = [each.end_epoch(ROW, validation(taxonomy, table_of(6)), {}) for each in (record,)]
    assert other.diagnostics.rows(0, {})[0]["weight"] == 1.0
    assert ends[0].row["conflict_share"] == other.diagnostics.conflict_share() == 0.0
