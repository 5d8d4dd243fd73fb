import pytest

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.record import StepRecord


def test_tasks_that_are_not_finite_are_left_out_and_counted():
    record = StepRecord()
    assert record.screen(["a", "b", "d"], [True, False, True], 3) == [0, 2]
    assert record.screen(["a", "b"], [True, False], 3) == [0]
    assert record.num_skipped == {"b": 2}


def test_too_many_in_a_row_stop_the_run():
    record = StepRecord()
    record.screen(["a"], [False], 2)
    with pytest.raises(InputError, match="task 'a': loss or gradient was not finite in 2 steps"):
        record.screen(["a"], [False], 2)


def test_a_finite_step_starts_the_count_again():
    record = StepRecord()
    for finite in (False, True, False):
        record.screen(["a"], [finite], 2)
    assert record.num_skipped == {"a": 2}


def test_weights_are_reused_until_they_are_too_old():
    record = StepRecord()
    assert record.reusable(["a", "b"], every=3) is None
    record.keep(["a", "b"], [[1.0, 2.0], [3.0, 4.0]])
    assert record.reusable(["a", "b"], every=3) == [(1.0, 2.0), (3.0, 4.0)]
    assert record.reusable(["b"], every=3) == [(3.0, 4.0)]
    assert record.reusable(["a", "b"], every=3) is None


def test_a_task_without_weights_asks_for_new_ones():
    record = StepRecord()
    record.keep(["a"], [[1.0, 1.0]])
    assert record.reusable(["a", "b"], every=5) is None


def test_plain_values_restore_the_record():
    record = StepRecord(epoch=3)
    record.keep(["a"], [[0.1, 0.3]])
    assert StepRecord.from_dict(record.to_dict()) == record
