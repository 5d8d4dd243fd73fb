from types import SimpleNamespace

import pytest
import torch

from visual_taxonomy import cli, device
from visual_taxonomy.device import DTYPES, explain_precision, pick_device, pick_precision
from visual_taxonomy.errors import InputError
from visual_taxonomy.processor import Verdict

CPU = torch.device("cpu")


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
    message = rf"`accelerator={named}`: .* finds only {listed} on .* use `accelerator=cpu` or auto$"
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
    assert "\nerror: --accelerator cuda: torch " in capsys.readouterr().err


@pytest.mark.parametrize("precision", ["32", "bf16", "16"])
def test_a_named_precision_is_taken_without_asking_the_processor(monkeypatch, precision):
    def fail() -> Verdict:
        raise AssertionError("asked")

    monkeypatch.setattr(device, "bfloat16_verdict", fail)
    assert pick_precision(precision, CPU) == precision
    assert explain_precision(precision, CPU) == ""
    assert precision in DTYPES


@pytest.mark.parametrize(("is_faster", "picked"), [(True, "bf16"), (False, "32")])
def test_auto_takes_bfloat16_on_a_cpu_that_is_faster_with_it_and_says_why(
    monkeypatch, is_faster, picked
):
    monkeypatch.setattr(device, "bfloat16_verdict", lambda: Verdict(is_faster, "it is so"))
    assert pick_precision("auto", CPU) == picked
    assert explain_precision("auto", CPU) == f"precision {picked}: it is so"


@pytest.mark.parametrize(
    ("native", "picked", "reason"),
    [(True, "bf16", "H200 multiplies bfloat16"), (False, "32", "H200 has no bfloat16 instruct")],
)
def test_auto_takes_bfloat16_on_a_gpu_that_has_it(monkeypatch, native, picked, reason):
    answer = SimpleNamespace(
        is_bf16_supported=lambda including_emulation: native, get_device_name=lambda device: "H200"
    )
    monkeypatch.setattr(torch, "cuda", answer)
    assert pick_precision("auto", torch.device("cuda")) == picked
    assert explain_precision("auto", torch.device("cuda")).startswith(
        f"precision {picked}: {reason}"
    )


def test_auto_is_single_precision_elsewhere():
    assert pick_precision("auto", torch.device("mps")) == "32"


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_commands_say_why_they_compute_in_a_precision(
    checkpoint_path, tmp_path, monkeypatch, capsys, command
):
    """The table they are given does not exist: the model is loaded before anybody looks."""
    monkeypatch.setattr(device, "bfloat16_verdict", lambda: Verdict(False, "it is so"))
    data = ["--img_dir", str(tmp_path), "--csv_path", str(tmp_path / "none.csv")]
    model = ["--ckpt_path", str(checkpoint_path), "--accelerator", "cpu"]
    with pytest.raises(InputError, match=r"none\.csv"):
        cli.run([command, *data, *model])
    assert capsys.readouterr().out.startswith("precision 32: it is so\n")
