import pytest
import torch
from torch import nn

from visual_taxonomy.task_weighting import BackwardOptions, build_task_weighting
from visual_taxonomy.task_weighting.backward.active_tasks import Step


@pytest.fixture
def step():
    """Two tasks; the second loss depends on a parameter of its own."""
    backbone, neck = nn.Linear(2, 2), nn.Linear(2, 2)
    head = torch.ones((), requires_grad=True)
    features = backbone(torch.ones(1, 2))
    hidden = neck(features).sum()
    return Step(
        names=("c/a", "c/b"),
        losses=(hidden, head * hidden),
        num_labels=(3, 4),
        tasks=[0, 1],
        method=build_task_weighting("MGDA", ["c/a", "c/b"]),
        shared=(*backbone.parameters(), *neck.parameters()),
        features=features,
        generator=None,
        options=BackwardOptions(),
        reduce=None,
        watch=False,
        watched=None,
    )


def test_parameters_are_told_apart_by_where_they_are(step):
    backbone, neck, heads = step.layout()
    assert [id(p) for p in backbone] == [id(p) for p in step.shared[:2]]
    assert [id(p) for p in neck] == [id(p) for p in step.shared[2:]]
    assert len(heads) == 1
    assert step.num_shared() == 12


def test_selected_tasks_keep_what_belongs_to_them(step):
    second = step.select([1])
    assert (second.names, second.num_labels, second.tasks) == (("c/b",), (4,), [1])
    assert second.losses[0] is step.losses[1]


def test_not_finite_tasks_are_counted_by_name(step):
    assert step.finite(torch.tensor([False, True])) == [1]
    assert step.method.record.num_skipped == {"c/a": 1}
