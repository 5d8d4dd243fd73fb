import torch
from torch import nn

from visual_taxonomy.task_weighting.backward.leaves import leaves


def ids(tensors):
    return {id(tensor) for tensor in tensors}


def test_leaves_are_the_parameters_that_require_a_gradient():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    model[0].bias.requires_grad_(False)
    output = model(torch.randn(5, 3)).sum()
    expected = ids(parameter for parameter in model.parameters() if parameter.requires_grad)
    assert ids(leaves([output])) == expected


def test_search_stops_at_the_features():
    backbone, head = nn.Linear(3, 4), nn.Linear(4, 1)
    features = backbone(torch.randn(5, 3))
    assert ids(leaves([head(features).sum()], stop=features)) == ids(head.parameters())


def test_features_that_are_a_leaf_are_left_out():
    features = torch.randn(5, 4, requires_grad=True)
    head = nn.Linear(4, 1)
    assert ids(leaves([head(features).sum()], stop=features)) == ids(head.parameters())
