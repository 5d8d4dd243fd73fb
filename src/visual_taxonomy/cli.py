"""The command line: which sub-commands there are, and what becomes of their errors.

Everything heavy is imported inside the command that needs it, so that help is instant.
"""

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any, NamedTuple, get_type_hints

import tyro
from rich.text import Text

from visual_taxonomy import __version__
from visual_taxonomy.commands.arguments import as_flags
from visual_taxonomy.commands.audit import Audit, audit
from visual_taxonomy.commands.benchmark import Benchmark, benchmark
from visual_taxonomy.commands.calibrate import Calibrate, calibrate
from visual_taxonomy.commands.compare import Compare, compare
from visual_taxonomy.commands.compare_runs import CompareRuns, compare_runs
from visual_taxonomy.commands.config_file import Defaults, read_defaults, take_config
from visual_taxonomy.commands.convert import Convert, convert
from visual_taxonomy.commands.create_config import CreateConfig, create_config
from visual_taxonomy.commands.cross_validate import cross_validate
from visual_taxonomy.commands.download_weights import DownloadWeights, download_weights
from visual_taxonomy.commands.evaluate import Evaluate, evaluate
from visual_taxonomy.commands.export import Export, export
from visual_taxonomy.commands.failures import explain
from visual_taxonomy.commands.fill import Fill, fill
from visual_taxonomy.commands.inspect_catalogue import Inspect, inspect
from visual_taxonomy.commands.list_entries import List, list_entries
from visual_taxonomy.commands.predict import Predict, predict
from visual_taxonomy.commands.probe import probe
from visual_taxonomy.commands.report import MakeReport, report
from visual_taxonomy.commands.screen import (
    drop_unwritable_output,
    flush_output,
    make_streams_lenient,
)
from visual_taxonomy.commands.soup import Soup, soup
from visual_taxonomy.commands.synthesize import Synthesize, synthesize
from visual_taxonomy.commands.terminal import EXIT_FAILED, EXIT_INTERRUPTED, console, errors
from visual_taxonomy.commands.train import train
from visual_taxonomy.commands.usage import parse
from visual_taxonomy.config import TrainConfig
from visual_taxonomy.config.probe import ProbeConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.typed_values import check_numbers

_ISSUES = "https://github.com/visual-taxonomy/visual-taxonomy/issues"


class Command(NamedTuple):
    """A sub-command."""

    flags: type
    """Dataclass whose fields are the flags."""
    function: Callable[[Any], int]
    """Takes the flags, returns the exit status; its docstring is the description."""
    is_heavy: bool = False
    """Whether it imports packages that take seconds to load."""


COMMANDS: dict[str, Command] = {
    "train": Command(TrainConfig, train, is_heavy=True),
    "cross-validate": Command(TrainConfig, cross_validate, is_heavy=True),
    "probe": Command(ProbeConfig, probe, is_heavy=True),
    "evaluate": Command(Evaluate, evaluate, is_heavy=True),
    "predict": Command(Predict, predict, is_heavy=True),
    "fill": Command(Fill, fill, is_heavy=True),
    "audit": Command(Audit, audit),
    "report": Command(MakeReport, report, is_heavy=True),
    "compare": Command(Compare, compare, is_heavy=True),
    "compare-runs": Command(CompareRuns, compare_runs),
    "export": Command(Export, export, is_heavy=True),
    "convert": Command(Convert, convert, is_heavy=True),
    "calibrate": Command(Calibrate, calibrate, is_heavy=True),
    "soup": Command(Soup, soup, is_heavy=True),
    "inspect": Command(Inspect, inspect),
    "create-config": Command(CreateConfig, create_config),
    "download-weights": Command(DownloadWeights, download_weights),
    "synthesize": Command(Synthesize, synthesize),
    "list": Command(List, list_entries),
    "benchmark": Command(Benchmark, benchmark, is_heavy=True),
}


def main() -> None:
    """The command `vtax`."""
    warnings.showwarning = _show_warning
    make_streams_lenient()
    try:
        status = _run_and_flush(sys.argv[1:])
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    except Exception as error:
        status = _report(error)
    drop_unwritable_output()
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Run one command.

    Args:
        arguments: As behind `vtax` on the command line.

    Returns:
        The exit status.

    Raises:
        InputError: Something given cannot be used.
    """
    if arguments[:1] == ["--version"]:
        console.print(f"vtax {__version__}")
        return 0
    arguments, path = take_config(arguments)
    name = arguments[0] if arguments else ""
    defaults = None
    if path is not None and name in COMMANDS:
        defaults = read_defaults(COMMANDS[name].flags, path, name)
    chosen = _parse(arguments, name, defaults)
    _announce(name)
    if defaults is not None and isinstance(chosen, TrainConfig) and chosen.run.resume:
        chosen = _at_its_place(chosen, defaults)
    return COMMANDS[name].function(chosen)


def _at_its_place(config: TrainConfig, defaults: Defaults) -> TrainConfig:
    """A run that is resumed by its config.toml is where that file is, unless a flag says where."""
    from visual_taxonomy.training.run_folder import at_its_place

    return (
        at_its_place(defaults.path, config)
        if config.run.folder == defaults.flags.run.folder
        else config
    )


def _parse(arguments: list[str], name: str, defaults: Defaults | None) -> Any:  # noqa: ANN401
    """The flags of the command, from the arguments and, where they are silent, from a file."""
    subcommands = [
        _called(each, defaults) if each == name else _subcommand(each) for each in COMMANDS
    ]
    commands: Any = reduce(or_, subcommands)
    try:
        chosen = parse(commands, arguments)
        # float() takes "nan" and "inf", and tyro with it.
        check_numbers(chosen)
    except InputError as error:
        if defaults is None:
            raise
        raise InputError(f"{error} (defaults from {defaults.path})") from None
    return chosen


def _subcommand(name: str, text: str = "", **options: Any) -> Any:  # noqa: ANN401 - as tyro wants it
    flags, function, _ = COMMANDS[name]
    text = f"{function.__doc__}{text}"
    return Annotated[flags, tyro.conf.subcommand(name, description=text, **options)]


def _called(name: str, defaults: Defaults | None) -> Any:  # noqa: ANN401
    """The command that is run: its help says more, and a file may give its defaults."""
    options = {} if defaults is None else {"default": defaults.flags}
    return _subcommand(
        name, "\n`--config FILE.toml` gives defaults; flags override them.", **options
    )


def _announce(name: str) -> None:
    """Say what starts before the heavy imports, which take a minute on a slow disk."""
    # Of several processes, as torchrun starts them, only the first of a machine speaks.
    if COMMANDS[name].is_heavy and os.environ.get("LOCAL_RANK", "0") == "0":
        errors.print(f"vtax {__version__}: {name}")


def _run_and_flush(arguments: list[str]) -> int | str | None:
    try:
        status: int | str | None = run(arguments)
    except SystemExit as stop:  # of tyro, after the help
        status = stop.code
    flush_output()
    return status


def _report(error: Exception) -> int:
    """Print what went wrong; a fault of ours with its traceback."""
    failure = explain(error)
    with suppress(OSError):  # nobody is there to read it
        if failure is not None:
            errors.print(Text.assemble(("error: ", "red"), failure.message))
            return failure.status
        errors.print("".join(traceback.format_exception(error)).rstrip(), soft_wrap=True)
        errors.print(
            f"error: this is a bug in vtax {__version__}, not a mistake of yours; please report it "
            f"with the lines above: {_ISSUES}"
        )
    return EXIT_FAILED if failure is None else failure.status


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    # Other packages warn too, and put names of their own in backticks.
    known = {name for command in COMMANDS.values() for name in _flag_names(command.flags)}
    errors.print(Text.assemble(("warning: ", "yellow"), as_flags(str(message), known)))


def _flag_names(kind: type) -> Iterator[str]:
    hints = get_type_hints(kind)
    for entry in fields(kind):
        yield entry.name
        if is_dataclass(hints[entry.name]):
            yield from _flag_names(hints[entry.name])
