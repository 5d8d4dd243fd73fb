"""What one process can show; the equality of runs of several processes is tested elsewhere."""

from types import SimpleNamespace

import pytest
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from visual_taxonomy.config import RunConfig
from visual_taxonomy.training.distributed import gather_rows, launch, parallelize


@pytest.fixture
def fabric(monkeypatch) -> Fabric:
    for name in ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return launch(RunConfig(accelerator="cpu"), [])


@pytest.fixture
def process_of_two(monkeypatch):
    """Stands in for process `rank` of two, given the rows of the other one."""

    def make(rank: int, of_other: Tensor) -> SimpleNamespace:
        def all_gather(gathered: Tensor, share: Tensor) -> None:
            gathered.copy_(torch.cat([share, of_other] if rank == 0 else [of_other, share]))

        monkeypatch.setattr(torch.distributed, "all_gather_into_tensor", all_gather)
        return SimpleNamespace(world_size=2, global_rank=rank)

    return make


def test_a_run_is_one_process_unless_asked_otherwise(fabric):
    assert (fabric.world_size, fabric.global_rank) == (1, 0)
    assert fabric.device == torch.device("cpu")
    assert fabric.is_global_zero


@pytest.mark.parametrize("under_torchrun", [False, True])
def test_torchrun_says_how_many_processes_there_are(monkeypatch, under_torchrun):
    asked = {}

    def remember(**arguments: object) -> SimpleNamespace:
        asked.update(arguments)
        return SimpleNamespace(launch=lambda: None)

    monkeypatch.setattr("visual_taxonomy.training.distributed.Fabric", remember)
    for name, count in (("LOCAL_WORLD_SIZE", "4"), ("GROUP_WORLD_SIZE", "3")):
        if under_torchrun:
            monkeypatch.setenv(name, count)
        else:
            monkeypatch.delenv(name, raising=False)
    launch(RunConfig(accelerator="cpu", devices=2), ["logger"])
    assert (asked["devices"], asked["num_nodes"]) == ((4, 3) if under_torchrun else (2, 1))
    assert type(asked["strategy"]).__name__ == "DDPStrategy"
    assert (asked["accelerator"], asked["loggers"]) == ("cpu", ["logger"])


def test_one_process_gathers_its_own_rows_as_they_are(fabric):
    share = torch.randn(3, 2, requires_grad=True)
    assert gather_rows(fabric, share, gradient_scale=7.0) is share


def test_one_process_does_not_wrap_its_encoder(fabric):
    encoder = nn.Linear(2, 3)
    assert parallelize(fabric, encoder, averages=True) is encoder
    assert parallelize(fabric, encoder.requires_grad_(False), averages=True) is encoder


@pytest.mark.parametrize("rank", [0, 1])
def test_shares_are_interleaved(process_of_two, rank):
    batch = torch.arange(12).reshape(6, 2)
    fabric = process_of_two(rank, batch[1 - rank :: 2])
    assert torch.equal(gather_rows(fabric, batch[rank::2]), batch)


@pytest.mark.parametrize("rank", [0, 1])
def test_the_gradient_of_its_own_rows_comes_back_scaled(process_of_two, rank):
    batch, weights = torch.randn(6, 2), torch.randn(6, 2)
    share = batch[rank::2].clone().requires_grad_()
    fabric = process_of_two(rank, batch[1 - rank :: 2])
    (gather_rows(fabric, share, gradient_scale=2.0) * weights).sum().backward()
    assert torch.equal(share.grad, 2 * weights[rank::2])
