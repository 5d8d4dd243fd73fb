from types import SimpleNamespace

import pytest
import torch

from visual_taxonomy import cli, device
from visual_taxonomy.device import DTYPES, pick_device, pick_precision
from visual_taxonomy.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture
def seconds(monkeypatch):
    """Sets how long a product takes in float32 and bfloat16."""

    def take(float32: float, bfloat16: float) -> None:
        table = {torch.float32: float32, torch.bfloat16: bfloat16}
        monkeypatch.setattr(device, "_seconds_to_multiply", table.__getitem__)

    return take


@pytest.fixture
def there(monkeypatch):
    """Sets which accelerator torch finds; it was built for another one."""

    def find(name: str | None) -> None:
        def current(check_available: bool) -> torch.device | None:
            return (name and torch.device(name)) if check_available else torch.device("xpu")

        monkeypatch.setattr(torch.accelerator, "current_accelerator", current)

    return find


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_an_accelerator_that_is_there_is_taken_by_name_and_by_auto(there, name):
    there(name)
    assert pick_device(name) == pick_device() == torch.device(name)


@pytest.mark.parametrize("found", [None, "cuda", "mps"])
def test_the_cpu_is_always_there(there, found):
    there(found)
    assert pick_device("cpu") == CPU


def test_auto_takes_the_cpu_where_there_is_no_accelerator(there):
    there(None)
    assert pick_device("auto") == CPU


@pytest.mark.parametrize(
    ("named", "found", "listed"),
    [("cuda", None, "cpu"), ("mps", None, "cpu"), ("cuda", "mps", "mps and cpu")],
)
def test_an_accelerator_that_is_not_there_is_refused_with_what_is(there, named, found, listed):
    there(found)
    message = rf"--accelerator {named}: .* finds only {listed} on .* use --accelerator cpu or auto$"
    with pytest.raises(InputError, match=message):
        pick_device(named)


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_commands_refuse_an_accelerator_that_is_not_there_before_any_work(
    there, checkpoint_path, tmp_path, monkeypatch, capsys, command
):
    """The table they are given does not exist: nobody has looked for it yet."""
    there(None)
    model = [] if command == "train" else ["--ckpt_path", str(checkpoint_path)]
    data = ["--img_dir", str(tmp_path), "--csv_path", str(tmp_path / "none.csv")]
    monkeypatch.setattr("sys.argv", ["vtax", command, *data, *model, "--accelerator", "cuda"])
    monkeypatch.setattr("warnings.showwarning", print)  # main sets it
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("error: --accelerator cuda: torch ")


@pytest.mark.parametrize("precision", ["32", "bf16", "16"])
def test_a_named_precision_is_taken_without_timing(monkeypatch, precision):
    def fail(dtype: torch.dtype) -> float:
        raise AssertionError(f"timed {dtype}")

    monkeypatch.setattr(device, "_seconds_to_multiply", fail)
    assert pick_precision(precision, CPU) == precision
    assert precision in DTYPES


@pytest.mark.parametrize(
    ("float32", "bfloat16", "picked"),
    [(4.0, 1.0, "bf16"), (1.0, 2.0, "32"), (1.0, 1.0, "32"), (1.2, 1.0, "32"), (1.4, 1.0, "bf16")],
)
def test_auto_takes_bfloat16_on_a_cpu_that_is_clearly_faster_with_it(
    seconds, float32, bfloat16, picked
):
    seconds(float32, bfloat16)
    assert pick_precision("auto", CPU) == picked


@pytest.mark.parametrize(("native", "picked"), [(True, "bf16"), (False, "32")])
def test_auto_takes_bfloat16_on_a_gpu_that_has_it(monkeypatch, native, picked):
    answer = SimpleNamespace(is_bf16_supported=lambda including_emulation: native)
    monkeypatch.setattr(torch, "cuda", answer)
    assert pick_precision("auto", torch.device("cuda")) == picked


def test_auto_is_single_precision_elsewhere():
    assert pick_precision("auto", torch.device("mps")) == "32"


def test_timing_gives_seconds_and_leaves_the_random_state(monkeypatch):
    monkeypatch.setattr(device, "_SIZE", 8)
    before = torch.get_rng_state()
    assert 0 < device._seconds_to_multiply(torch.bfloat16) < 1
    assert torch.equal(torch.get_rng_state(), before)
