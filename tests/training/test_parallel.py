"""What one process can show; the equality of runs of several processes is tested elsewhere."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from visual_taxonomy.config import RunConfig
from visual_taxonomy.training.parallel import Parallel, launch


@pytest.fixture
def alone(monkeypatch) -> Parallel:
    for name in ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return launch(RunConfig(accelerator="cpu"))


@pytest.fixture
def process_of_two(monkeypatch):
    """Stands in for process `rank` of two, given the rows of the other one."""

    def make(rank: int, of_other: Tensor) -> Parallel:
        def all_gather(gathered: Tensor, share: Tensor) -> None:
            gathered.copy_(torch.cat([share, of_other] if rank == 0 else [of_other, share]))

        monkeypatch.setattr(torch.distributed, "all_gather_into_tensor", all_gather)
        return Parallel(SimpleNamespace(world_size=2, global_rank=rank))

    return make


def test_a_run_is_one_process_unless_asked_otherwise(alone):
    assert (alone.world_size, alone.rank) == (1, 0)
    assert alone.device == torch.device("cpu")
    assert alone.is_first


@pytest.mark.parametrize("under_torchrun", [False, True])
def test_torchrun_says_how_many_processes_there_are(monkeypatch, under_torchrun):
    asked = {}

    def remember(**arguments: object) -> SimpleNamespace:
        asked.update(arguments)
        return SimpleNamespace(launch=lambda: None)

    monkeypatch.setattr("visual_taxonomy.training.parallel.Fabric", remember)
    for name, count in (("LOCAL_WORLD_SIZE", "4"), ("GROUP_WORLD_SIZE", "3")):
        if under_torchrun:
            monkeypatch.setenv(name, count)
        else:
            monkeypatch.delenv(name, raising=False)
    launch(RunConfig(accelerator="cpu", devices=2))
    assert (asked["devices"], asked["num_nodes"]) == ((4, 3) if under_torchrun else (2, 1))
    assert type(asked["strategy"]).__name__ == "DDPStrategy"
    assert asked["accelerator"] == "cpu"


def test_one_process_gathers_its_own_rows_as_they_are(alone):
    share = torch.randn(3, 2, requires_grad=True)
    assert alone.gather(share, gradient_scale=7.0) is share


def test_one_process_does_not_wrap_its_encoder(alone):
    encoder = nn.Linear(2, 3)
    assert alone.wrap(encoder, averages=True) is encoder
    assert alone.wrap(encoder.requires_grad_(False), averages=True) is encoder


@pytest.mark.parametrize("rank", [0, 1])
def test_shares_are_interleaved(process_of_two, rank):
    batch = torch.arange(12).reshape(6, 2)
    process = process_of_two(rank, batch[1 - rank :: 2])
    assert torch.equal(process.gather(batch[rank::2]), batch)


@pytest.mark.parametrize("rank", [0, 1])
def test_the_gradient_of_its_own_rows_comes_back_scaled(process_of_two, rank):
    batch, weights = torch.randn(6, 2), torch.randn(6, 2)
    share = batch[rank::2].clone().requires_grad_()
    process = process_of_two(rank, batch[1 - rank :: 2])
    (process.gather(share, gradient_scale=2.0) * weights).sum().backward()
    assert torch.equal(share.grad, 2 * weights[rank::2])


def test_one_process_agrees_with_itself(alone):
    value = torch.ones(2)
    assert alone.sum(value) is value
    assert (alone.any(True), alone.any(False)) == (True, False)
    assert alone.broadcast("x") == "x"


@pytest.mark.parametrize(("own", "of_other"), [(True, False), (False, True), (False, False)])
def test_what_one_process_claims_holds_for_all(monkeypatch, own, of_other):
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: tensor.add_(of_other))
    process = Parallel(SimpleNamespace(world_size=2, device=torch.device("cpu")))
    assert process.any(own) == (own or of_other)


def test_random_numbers_go_on_where_the_state_was_taken(alone):
    state = alone.state_dict()
    expected = torch.rand(3)
    alone.load_state_dict(state)
    assert torch.equal(torch.rand(3), expected)
