import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting import TASK_WEIGHTINGS, build_task_weighting
from visual_taxonomy.task_weighting.base import (
    FeatureCombination,
    GramianWeighting,
    JacobianCombination,
    LossWeighting,
    TaskWeighting,
)

NAMES = ["c/a", "c/b"]


@pytest.mark.parametrize("names", [[], ["c/a", "c/a"]])
def test_task_names_are_given_each_once(names):
    with pytest.raises(InputError, match="task names must be given, each once"):
        TaskWeighting(names)


def test_unknown_task_is_refused():
    with pytest.raises(InputError, match="task 'c/x' is none of: c/a, c/b"):
        TaskWeighting(NAMES).indices(["c/x"])


def test_state_of_other_tasks_is_refused():
    state = build_task_weighting("DWA", ["c/a", "c/d"]).state_dict()
    with pytest.raises(InputError, match="resume with the same attributes"):
        build_task_weighting("DWA", NAMES).load_state_dict(state)


def test_state_of_the_cpu_solvers_stays_in_float64():
    method = build_task_weighting("GradVac", NAMES).to(torch.bfloat16)
    assert method.targets.dtype == torch.float64
    moved = build_task_weighting("DWA", NAMES).to(torch.float64)
    assert moved.means.dtype == torch.float64


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (LossWeighting(NAMES), (torch.ones(1), [0])),
        (GramianWeighting(NAMES), (torch.ones(1, 1), torch.ones(1), [0])),
        (JacobianCombination(NAMES, "float32"), (torch.ones(1, 1), torch.ones(1), [0])),
        (FeatureCombination(NAMES), (torch.ones(1, 1), [0])),
    ],
)
def test_kinds_leave_the_mathematics_to_their_methods(kind, arguments):
    with pytest.raises(NotImplementedError):
        kind(*arguments)


@pytest.mark.parametrize("entry", TASK_WEIGHTINGS.values(), ids=TASK_WEIGHTINGS)
def test_every_entry_says_what_it_is(entry):
    assert entry.kind in {"losses", "gramian", "jacobian", "features"}
    assert entry.default_source in {"parameters", "features", "last_layer"}
    assert entry.default_head_scale in {"unit", "weights"}


def test_name_is_matched_without_case_and_unknown_ones_are_refused():
    assert build_task_weighting("nash_mtl", NAMES).task_names == tuple(NAMES)
    with pytest.raises(InputError, match="Did you mean 'CAGrad'"):
        build_task_weighting("CAGard", NAMES)
    with pytest.raises(InputError, match="MGDA: 'normaliser' is none of"):
        build_task_weighting("MGDA", NAMES, normaliser="l2")
