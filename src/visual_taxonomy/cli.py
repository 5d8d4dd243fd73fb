"""The command line: which sub-commands there are, and what becomes of their errors.

Everything heavy is imported inside the command that needs it, so that help is instant.
"""

import sys
import warnings
from collections.abc import Callable
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro
from rich.markup import escape

from visual_taxonomy.commands.benchmark import Benchmark, benchmark
from visual_taxonomy.commands.convert import Convert, convert
from visual_taxonomy.commands.create_config import CreateConfig, create_config
from visual_taxonomy.commands.download_weights import DownloadWeights, download_weights
from visual_taxonomy.commands.evaluate import Evaluate, evaluate
from visual_taxonomy.commands.export import Export, export
from visual_taxonomy.commands.list_entries import List, list_entries
from visual_taxonomy.commands.predict import Predict, predict
from visual_taxonomy.commands.synthesize import Synthesize, synthesize
from visual_taxonomy.commands.terminal import (
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    EXIT_SYSTEM_LIMIT,
    errors,
)
from visual_taxonomy.commands.train import train
from visual_taxonomy.config import TrainConfig, read_toml
from visual_taxonomy.errors import InputError, SystemLimitError


class Command(NamedTuple):
    """A sub-command."""

    flags: type
    """Dataclass whose fields are the flags."""
    function: Callable[[Any], int]
    """Takes the flags, returns the exit status; its docstring is the description."""


COMMANDS: dict[str, Command] = {
    "train": Command(TrainConfig, train),
    "evaluate": Command(Evaluate, evaluate),
    "predict": Command(Predict, predict),
    "export": Command(Export, export),
    "convert": Command(Convert, convert),
    "create-config": Command(CreateConfig, create_config),
    "download-weights": Command(DownloadWeights, download_weights),
    "synthesize": Command(Synthesize, synthesize),
    "list": Command(List, list_entries),
    "benchmark": Command(Benchmark, benchmark),
}


def main() -> None:
    """The command `vtax`."""
    warnings.showwarning = _show_warning
    try:
        sys.exit(run(sys.argv[1:]))
    except InputError as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}")
        sys.exit(EXIT_INPUT)
    except SystemLimitError as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}")
        sys.exit(EXIT_SYSTEM_LIMIT)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def run(arguments: list[str]) -> int:
    """Run one command.

    Args:
        arguments: As behind `vtax` on the command line.

    Returns:
        The exit status.

    Raises:
        InputError: Something given cannot be used.
    """
    arguments, defaults = _take_config(arguments)
    commands: Any = reduce(or_, [_subcommand(name, defaults.get(name)) for name in COMMANDS])
    chosen = tyro.cli(
        commands,
        prog="vtax",
        description="Many attributes of a product from its picture.",
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes,),
        use_underscores=True,
    )
    (function,) = (c.function for c in COMMANDS.values() if c.flags is type(chosen))
    return function(chosen)


def _subcommand(name: str, default: object) -> Any:  # noqa: ANN401 - a type, as tyro wants it
    flags, function = COMMANDS[name]
    given: dict[str, Any] = {} if default is None else {"default": default}
    return Annotated[flags, tyro.conf.subcommand(name, description=function.__doc__, **given)]


def _take_config(arguments: list[str]) -> tuple[list[str], dict[str, object]]:
    """Take `--config FILE` out of the arguments of train and read the file."""
    if arguments[:1] != ["train"] or "--config" not in arguments:
        return arguments, {}
    position = arguments.index("--config")
    if position + 1 == len(arguments):
        raise InputError("--config needs a TOML file")
    path = Path(arguments[position + 1])
    rest = arguments[:position] + arguments[position + 2 :]
    config = read_toml(TrainConfig, path)
    return rest, {"train": _at_its_place(path, config) if "--resume" in rest else config}


def _at_its_place(path: Path, config: TrainConfig) -> TrainConfig:
    """The config of a run that is resumed: its folder is the one that the file stands in."""
    from visual_taxonomy.training.run_folder import at_its_place

    return at_its_place(path, config)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    errors.print(f"[yellow]warning:[/yellow] {escape(str(message))}")
