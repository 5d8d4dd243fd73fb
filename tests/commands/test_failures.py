"""Every kind of failure: its line, its remedy, its status."""

import errno
import json
import os
import sys
from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.atomic import write_text
from visual_taxonomy.commands.failures import _ALWAYS, _SYSTEM, explain
from visual_taxonomy.errors import InputError


class OutOfMemoryError(RuntimeError):
    """As torch calls the one of a GPU."""


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except type(error) as caught:
        return caught


@pytest.mark.parametrize("number", _SYSTEM)
def test_an_error_of_the_system_names_the_path_and_a_remedy(number: int) -> None:
    failure = explain(OSError(number, os.strerror(number), "out/last.pt"))
    words, remedy = _SYSTEM[number]
    assert failure == (f"out/last.pt: {words}; {remedy}", 2)


def test_a_system_error_that_the_table_does_not_know_keeps_the_words_of_the_system() -> None:
    failure = explain(OSError(errno.EDOM, "...", "a.csv"))
    assert failure == (f"a.csv: {os.strerror(errno.EDOM)}", 2)


def test_the_path_is_that_of_the_file_and_not_of_its_temporary_name(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.mkdir()
    with pytest.raises(OSError, match="directory") as caught:
        write_text(path, "{}")
    failure = explain(caught.value)
    assert failure is not None
    assert failure.message.startswith(f"{path}: is a folder; ")


def test_a_file_where_a_folder_has_to_be_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError) as caught:
        (tmp_path / "file").mkdir(exist_ok=True)
    failure = explain(caught.value)
    assert failure == (
        f"{tmp_path / 'file'}: a file where a folder has to be; name another path",
        2,
    )


@pytest.mark.parametrize(
    "text",
    [
        "No space left on device (os error 28)",  # polars, safetensors
        "Caught OSError in DataLoader worker process 0.\n...\nOSError: [Errno 28] No space ...",
        "write failed: No space left on device",
    ],
)
def test_a_number_that_a_library_hides_in_its_text_is_found(text: str) -> None:
    failure = explain(RuntimeError(text))
    assert failure is not None
    assert "no space left on the disk; free some" in failure.message


def test_a_library_error_with_the_system_error_as_its_cause_is_explained_by_it() -> None:
    error = ValueError("cannot write")
    error.__cause__ = OSError(errno.EROFS, "", "card.md")
    assert explain(error) == (
        "card.md: the disk is read-only; name a folder that you can write to",
        2,
    )


def test_torch_that_does_not_say_why_it_cannot_write_gets_the_path_and_the_likely_causes() -> None:
    error = RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 3 vs 1\nmore")
    error.add_note("while writing out/last.pt")
    failure = explain(error)
    assert failure is not None
    assert failure.message.startswith("out/last.pt: cannot be written ([enforce fail")
    assert "ulimit -f" in failure.message
    assert "\n" not in failure.message


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 3 GiB"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: ... Error code 12 (...)"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object", name="_C"),
        OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nSee ..."),
    ],
)
def test_too_little_memory_has_a_remedy_and_status_1(error: Exception) -> None:
    failure = explain(error)
    assert failure is not None
    assert failure.status == 1
    assert "out of memory" in failure.message
    assert "smaller" in failure.message
    assert "\n" not in failure.message


def test_a_message_of_a_loading_process_loses_its_traceback() -> None:
    text = (
        "Caught InputError in DataLoader worker process 0.\nOriginal Traceback (most recent call "
        'last):\n  File "x.py", line 1\nvisual_taxonomy.errors.InputError: 7.jpg: not an image'
    )
    assert explain(InputError(text)) == ("7.jpg: not an image", 2)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("torchjd.aggregation", "pip install 'visual-taxonomy[torchjd]'"),
        ("sklearn", "pip install sklearn"),
    ],
)
def test_a_missing_package_comes_with_its_pip_command(module: str, line: str) -> None:
    failure = explain(ModuleNotFoundError(f"No module named {module!r}", name=module))
    assert failure is not None
    assert failure.message.endswith(line)
    assert failure.message.startswith(f"this needs the package {module.partition('.')[0]}, ")


def test_all_missing_packages_of_a_plain_installation_are_named_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = set(_ALWAYS) - {"timm", "torch", "PIL"}
    monkeypatch.setattr("visual_taxonomy.commands.failures.find_spec", found.__contains__)
    failure = explain(ModuleNotFoundError("...", name="timm"))
    assert failure is not None
    assert failure.message.endswith("pip install timm torch pillow")


def test_json_nested_too_deeply_is_the_fault_of_the_file_and_other_recursion_is_ours() -> None:
    with pytest.raises(RecursionError) as caught:
        json.loads("[" * 200_000)
    failure = explain(caught.value)
    assert failure == ("a JSON or TOML file is nested too deeply to be read", 2)
    assert explain(raised(RecursionError("..."))) is None


def test_a_fault_of_ours_is_not_explained_away_by_a_system_error_behind_it() -> None:
    error = AttributeError("'NoneType' has no attribute 'x'")
    error.__context__ = FileNotFoundError(errno.ENOENT, "", "a.csv")
    assert explain(error) is None
    assert explain(ModuleNotFoundError("...", name="visual_taxonomy.nothing")) is None


def test_an_unforeseen_exception_keeps_its_traceback_and_asks_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setitem(cli.COMMANDS, "list", cli.Command(cli.List, fail))
    monkeypatch.setattr(sys, "argv", ["vtax", "list", "losses"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-2] == "ZeroDivisionError: deep inside"
    assert lines[-1].startswith("error: this is a bug in vtax")
    assert "please report" in lines[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["create-config", "--csv_path", "FILE/a.csv"],
        ["create-config", "--csv_path", "n" * 300],
        ["create-config", "--csv_path", "rows.csv", "--out_path", "FILE/a.json"],
        ["create-config", "--csv_path", "rows.csv", "--out_path", "FOLDER"],
        ["synthesize", "--rows", "1", "--out", "FILE/a"],
        ["synthesize", "--rows", "1", "--out", "n" * 300],
        ["list", "--config", "FOLDER"],
        ["list", "--config", "n" * 300],
        ["evaluate", "--img_dir", ".", "--csv_path", "rows.csv", "--ckpt_path", "n" * 300],
        ["predict", "--img_dir", ".", "--csv_path", "rows.csv", "--ckpt_path", "FILE/a.pt"],
        ["export", "FOLDER", "--out", "new"],
    ],
)
def test_a_path_that_the_system_refuses_is_one_line_and_status_2(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_text("text")
    Path("FOLDER").mkdir()
    Path("rows.csv").write_text("id,Category,attr_1\n1,Sarees,red\n2,Sarees,blue\n")
    monkeypatch.setattr(sys, "argv", ["vtax", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    (line,) = (x for x in capsys.readouterr().err.splitlines() if not x.startswith("vtax "))
    assert line.startswith("error: ")
    assert any(name in line for name in ("FILE", "FOLDER", "n" * 300))
    assert "; " in line, "there is no remedy"
