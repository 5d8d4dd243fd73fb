"""Which errors mean that a loading process has died; a real death is in tests/commands."""

from pathlib import Path

import pytest

from visual_taxonomy.data.loading_processes import reason_of_death


def caught(error: Exception, file: str) -> Exception:
    """The error as raised from a function of some file."""
    scope = {"error": error}
    exec(compile("def fail():\n    raise error", file, "exec"), scope)
    with pytest.raises(type(error)) as raised:
        scope["fail"]()
    return raised.value


LOADER = str(Path("site-packages") / "torch" / "utils" / "data" / "dataloader.py")


@pytest.mark.parametrize("kind", [ConnectionResetError, FileNotFoundError, EOFError])
def test_a_connection_that_breaks_inside_the_loader_is_a_death(kind: type[Exception]) -> None:
    assert reason_of_death(caught(kind("gone"), LOADER)) == "the connection to it broke: gone"
    assert reason_of_death(caught(kind("gone"), "elsewhere.py")) is None


def test_an_error_that_a_process_passes_on_is_none() -> None:
    passed_on = OSError("Caught OSError in DataLoader worker process 0.\nOriginal ...")
    assert reason_of_death(caught(passed_on, LOADER)) is None


def test_other_errors_are_none() -> None:
    assert reason_of_death(caught(ValueError("x"), LOADER)) is None


def test_a_death_is_found_behind_the_error_it_led_to() -> None:
    later = RuntimeError("unexpected pos 64 vs 0")
    later.__context__ = RuntimeError("DataLoader worker (pid 7) exited unexpectedly")
    assert reason_of_death(later) == "DataLoader worker (pid 7) exited unexpectedly"
