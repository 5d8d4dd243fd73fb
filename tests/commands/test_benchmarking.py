"""The figures of `vtax benchmark`."""

import json
from itertools import count, repeat
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from visual_taxonomy import cli
from visual_taxonomy.commands import benchmarking
from visual_taxonomy.commands.benchmarking import drawn_table, forward_flops, matrix_rates
from visual_taxonomy.errors import InputError


class Product(nn.Module):
    """One matrix product of all pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(5, 3 * 4 * 2))

    def forward(self, images: Tensor) -> Tensor:
        return images.float().flatten(1) @ self.weight.T


def test_flops_are_two_for_each_product_and_sum():
    assert forward_flops(Product(), (4, 2)) == 2 * 5 * 3 * 4 * 2


def test_rates_are_operations_over_seconds(monkeypatch):
    class Half:
        def __init__(self, *args: object, **kwargs: object) -> None: ...
        def blocked_autorange(self, min_run_time: float) -> "Half":
            return self

        median = 0.5

    monkeypatch.setattr(benchmarking, "Timer", Half)
    rates = matrix_rates(torch.device("cpu"), ["32", "bf16"], size=10)
    assert rates == {"32": 4000.0, "bf16": 4000.0}


def test_a_rate_leaves_the_first_item_out_and_utilisation_is_best_over_spent(monkeypatch):
    seconds = count()  # a second passes whenever somebody looks at the clock
    monkeypatch.setattr(benchmarking.time, "perf_counter", lambda: float(next(seconds)))
    found = benchmarking._measurement("work", repeat(6), seconds=3, seconds_at_best=0.05)
    # The clock shows 0 at the start, then 1, 2 and 3: two items are done; it ends at 4.
    assert found.images_per_second == pytest.approx(12 / 4)
    assert found.utilisation == pytest.approx(12 / 4 * 0.05)
    assert found.resident_mb > 10


def test_the_command_measures_every_path_and_writes_json(tmp_path: Path, capsys):
    out = tmp_path / "figures.json"
    flags = ["--rows", "9", "--batch_size", "4", "--picture_size", "40", "--seconds", "0.01"]
    model = ["--backbone", "test_vit", "--image_size", "32", "32", "--unlock_block", "0"]
    here = ["--workers", "0", "--accelerator", "cpu", "--out", str(out)]
    assert cli.run(["benchmark", *model, *flags, *here]) == 0
    figures = json.loads(out.read_text())
    names = [entry["what"] for entry in figures["measurements"]]
    assert names[:4] == [
        "decode and resize, one core",
        "load batches, 0 processes",
        "train step, 32",
        "train step, bf16",
    ]
    assert {"predict, torch 32", "predict, torch bf16"} < set(names)
    assert all(entry["images_per_second"] > 0 for entry in figures["measurements"])
    assert 0 <= figures["measurements"][2]["waiting"] <= 1
    assert figures["gflop_per_image"] > 0
    assert "images/s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flag", "value", "least"),
    [
        ("batch_size", 0, 1),
        ("rows", 3, 4),
        ("picture_size", 31, 32),
        ("workers", -1, 0),
        ("seconds", -1.0, 0),
        ("seconds", "nan", 0),
    ],
)
def test_a_measure_that_cannot_be_taken_is_refused(flag, value, least):
    with pytest.raises(InputError, match=f"--{flag} must be {least} or more, not {value}"):
        cli.run(["benchmark", f"--{flag}", str(value)])


@pytest.mark.parametrize("rows", [4, 64])
def test_agreement_is_measured_on_a_row_with_a_label(rows, tmp_path, monkeypatch):
    table = drawn_table(tmp_path, rows, 32)
    trials = []
    monkeypatch.setattr(benchmarking, "make_engine", lambda *_: None)
    monkeypatch.setattr(benchmarking, "write_checkpoint", lambda *_: None)
    monkeypatch.setattr(benchmarking, "export", lambda *given, **_: trials.append(given[4]))
    monkeypatch.setattr(benchmarking, "graph_engines", lambda bundle: ())
    list(benchmarking._engines(None, table, tmp_path, torch.device("cpu"), 0))
    assert len(trials) == 2
    for trial in trials:
        calibration, measured = trial.split(int8=True)
        assert len(calibration) > 0
        assert (measured.targets >= 0).any()
