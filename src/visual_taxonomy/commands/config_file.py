"""`--config FILE.toml`: defaults for the flags of any command."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import tyro

from visual_taxonomy.config import TrainConfig
from visual_taxonomy.config.probe import ProbeConfig
from visual_taxonomy.config_values import in_sections, toml_values
from visual_taxonomy.errors import InputError
from visual_taxonomy.typed_values import typed_fields

FLAG = "--config"

_OF_TRAINING_ALONE = ("objective", "optimizer", "run")
"""Sections in the config of a training run that a probe of its rows passes over."""


class Defaults(NamedTuple):
    """What a TOML file says about the flags of a command."""

    path: Path
    """The file."""
    flags: Any
    """The dataclass of the command; what the file leaves open is `tyro.MISSING`."""


def take_config(arguments: list[str]) -> tuple[list[str], Path | None]:
    """Take `--config FILE` or `--config=FILE` out of the arguments, wherever it stands.

    Raises:
        InputError: There is no file behind it, or it is given twice.

    Example:
        >>> take_config(["list", "--config=run.toml", "--verbose"])
        (['list', '--verbose'], PosixPath('run.toml'))
    """
    rest: list[str] = []
    found: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        flag, equals, value = argument.partition("=")
        if flag != FLAG:
            rest.append(argument)
            continue
        value = value if equals else next(remaining, "")
        # The file was forgotten; the next flag must not be taken for its name.
        if not value or value.startswith("--"):
            raise InputError(f"{FLAG} needs a TOML file: {FLAG} run.toml")
        found.append(value)
    if len(found) > 1:
        raise InputError(f"{FLAG} is given {len(found)} times ({', '.join(found)}); give one")
    return rest, Path(found[0]) if found else None


def read_defaults(kind: type, path: Path, command: str) -> Defaults:
    """Read the flags of a command from a TOML file.

    Its keys are the names of the flags; sections as in a run's config.toml may hold them.

    Raises:
        InputError: The file is missing, is not TOML, is for another command, or has a key or a
            value that the command does not take.
    """
    values = toml_values(path)
    if kind is ProbeConfig:
        # A probe looks at the rows and the backbone of a training, and goes to a folder of its own.
        values = {k: v for k, v in values.items() if k not in _OF_TRAINING_ALONE}
    elif kind is not TrainConfig and {"data", "objective", "optimizer"} & values.keys():
        flags = ", ".join(entry.name for entry in fields(kind))
        raise InputError(
            f"{path} is the config of a training run, for `vtax train`; `vtax {command}` takes "
            f"a TOML file with its own flags: {flags}"
        )
    given = typed_fields(kind, in_sections(kind, values, str(path)), str(path))
    return Defaults(path, _unchecked(kind, given))


def _unchecked(kind: type, given: Mapping[str, Any]) -> Any:  # noqa: ANN401 - an instance of kind
    """The dataclass without its own checks: flags may still put right what the file says."""
    defaults: Any = object.__new__(kind)
    hints = get_type_hints(kind)
    for entry in fields(kind):
        required = entry.default is MISSING and entry.default_factory is MISSING
        value = given.get(entry.name, tyro.MISSING)
        if is_dataclass(hints[entry.name]) and (entry.name in given or required):
            value = _unchecked(hints[entry.name], given.get(entry.name, {}))
        elif entry.name not in given and not required:
            made = entry.default_factory
            value = entry.default if made is MISSING else made()
        object.__setattr__(defaults, entry.name, value)
    return defaults
