"""Settings in the messages of the library, and the flags in those of the command line."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import visual_taxonomy
from visual_taxonomy import cli
from visual_taxonomy.commands.arguments import as_flags
from visual_taxonomy.commands.failures import explain
from visual_taxonomy.config import DataConfig
from visual_taxonomy.errors import InputError, SystemLimitError

ROOT = Path(visual_taxonomy.__file__).parent
# The model card is a page for people with a terminal, not a message.
NOT_THE_LIBRARY = re.compile(r"commands/|cli\.py|inference/export/card\.py")
LIBRARY = [
    path
    for path in sorted(ROOT.rglob("*.py"))
    if not NOT_THE_LIBRARY.match(str(path.relative_to(ROOT)))
]
FLAGS = {name for command in cli.COMMANDS.values() for name in cli._flag_names(command.flags)}
COMMAND = re.compile(r"`(vtax|mlflow|pip) [^`]*`")


def texts() -> Iterator[str]:
    """The literals of the library, with {} for what is filled in; no docstrings."""
    for path in LIBRARY:
        yield from literals(ast.parse(path.read_text(encoding="utf-8")))


def literals(tree: ast.Module) -> Iterator[str]:
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):  # a docstring, of a class or of a field
            skipped.add(node.value)
        if isinstance(node, ast.JoinedStr):
            skipped.update(node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and node not in skipped:
            yield str(node.value)


def test_a_setting_becomes_its_flag_and_a_command_stays() -> None:
    text = "`precision=16` and `resume`: lower `scratch_lr`, or `vtax train --resume`, `ulimit -n`"
    flags = "--precision 16 and --resume: lower --scratch_lr, or `vtax train --resume`, `ulimit -n`"
    assert as_flags(text) == flags


def test_names_of_other_packages_stay() -> None:
    text = "`lr_scheduler` before `epochs`"
    assert as_flags(text, known=FLAGS) == "`lr_scheduler` before --epochs"


def test_a_library_user_reads_settings() -> None:
    with pytest.raises(InputError, match=r"^`val_ratio` must lie between 0 and 1, not 2$"):
        DataConfig(Path("images"), Path("a.csv"), val_ratio=2)


@pytest.mark.parametrize("kind", [InputError, SystemLimitError])
def test_a_person_at_the_terminal_reads_flags(kind: type[Exception]) -> None:
    failure = explain(kind("lower `batch_size`"))
    assert failure is not None
    assert failure.message == "lower --batch_size"


def test_no_message_of_the_library_names_a_flag() -> None:
    flag = re.compile(f"--({'|'.join(FLAGS)})\\b")
    assert [each for each in texts() if flag.search(COMMAND.sub("", each))] == []


def test_what_a_message_has_in_backticks_is_a_setting_with_a_flag() -> None:
    names = [name for each in texts() for name in re.findall(r"`([a-z][a-z0-9_]*)[`=]", each)]
    assert len(names) > 50
    assert set(names) - FLAGS == set()
