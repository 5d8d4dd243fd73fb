import sys
from importlib.util import find_spec

import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting import build_task_weighting

NAMES = ["c/a", "c/b", "c/d"]


def test_gramian_aggregators_give_weights(update, three_rows):
    method = build_task_weighting("torchjd:AlignedMTL", NAMES)
    assert method.kind == "gramian"
    expected = [0.608372 / 3, 0.836147 / 3, 0.859853 / 3]
    assert update(method, three_rows).tolist() == pytest.approx(expected, abs=1e-4)


def test_other_aggregators_give_their_direction(update, three_rows):
    from torchjd.aggregation import ConFIG

    method = build_task_weighting("TorchJD:config", NAMES)
    assert method.kind == "jacobian"
    expected = ConFIG()(torch.tensor(three_rows))
    torch.testing.assert_close(update(method, three_rows), expected)


def test_parameters_are_those_of_the_aggregator(update, three_rows):
    method = build_task_weighting("torchjd:IMTLG", NAMES)
    expected = update(build_task_weighting("IMTL", NAMES), three_rows)
    torch.testing.assert_close(update(method, three_rows), expected, atol=1e-5, rtol=0)
    with pytest.raises(InputError, match="'scale' is none of: pref_vector, scale_mode"):
        build_task_weighting("torchjd:AlignedMTL", NAMES, scale="min")


def test_unknown_and_stateful_aggregators_are_refused():
    with pytest.raises(InputError, match="Did you mean 'ConFIG'"):
        build_task_weighting("torchjd:Confih", NAMES)
    with pytest.raises(InputError, match="forgets its state when a task is missing"):
        build_task_weighting("torchjd:GradVac", NAMES)


def test_without_the_library_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchjd", None)
    with pytest.raises(InputError, match=r"pip install 'visual-taxonomy\[torchjd\]'"):
        build_task_weighting("torchjd:ConFIG", NAMES)


@pytest.mark.skipif(bool(find_spec("quadprog")), reason="quadprog is installed")
def test_an_aggregator_without_its_packages_says_how_to_install_them():
    with pytest.raises(InputError, match=r"torchjd:UPGrad: .*'quadprog'.* pip install"):
        build_task_weighting("torchjd:UPGrad", NAMES)


def test_a_parameter_that_must_be_given_is_named_and_a_number_is_no_tensor():
    with pytest.raises(InputError, match="torchjd:Krum: n_byzantine must be given"):
        build_task_weighting("torchjd:Krum", NAMES)
    with pytest.raises(InputError, match=r"torchjd:Constant with \{'weights': 1\}: "):
        build_task_weighting("torchjd:Constant", NAMES, weights=1)
