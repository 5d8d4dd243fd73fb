"""`vtax list`."""

import ast
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import tyro
from rich.text import Text

from visual_taxonomy.commands.terminal import console

REGISTRIES = {
    "losses": ("visual_taxonomy.losses", "visual_taxonomy.losses:LOSS_REGISTRY"),
    "schedules": (
        "visual_taxonomy.class_weightings",
        "visual_taxonomy.class_weighting:SCHEDULE_REGISTRY",
    ),
    "methods": (
        "visual_taxonomy.task_weightings",
        "visual_taxonomy.task_weighting:METHOD_REGISTRY",
    ),
    "backbones": (
        "visual_taxonomy.backbones",
        "visual_taxonomy.model.own_backbone:BACKBONE_REGISTRY",
    ),
    "engines": ("visual_taxonomy.engines", "visual_taxonomy.inference.engines:ENGINE_REGISTRY"),
}
"""What is shown -> group of entry points, and the registry that reads it."""


@dataclass(frozen=True)
class List:
    """List the available losses, schedules, methods, backbones or engines."""

    what: tyro.conf.Positional[Literal["losses", "schedules", "methods", "backbones", "engines"]]
    """What to list."""
    verbose: bool = False
    """Formula, parameters, defaults and paper of each entry."""


def list_entries(options: List) -> int:
    """List the available losses, schedules, methods, backbones or engines."""
    if options.what == "backbones":
        from visual_taxonomy.model.backbone import backbone_names

        for name in backbone_names():
            console.print(name)
    for name, text in tables().get(options.what, {}).items():
        _show(name, text, "", options.verbose)
    _list_registry(options)
    return 0


def _list_registry(options: List) -> None:
    """Engines, and what installed packages add; only these are imported."""
    from visual_taxonomy.registry import import_named, is_extended

    group, address = REGISTRIES[options.what]
    ours = options.what == "engines"
    if not ours and not is_extended(group):
        return
    for name, origin, entry, problem in import_named(address, "registry").listed():
        if origin or ours:
            text = problem or (entry.describe() if ours else (entry.__doc__ or "").strip())
            _show(name, text, origin, options.verbose)


def _show(name: str, text: str, origin: str, verbose: bool) -> None:
    """A line of the table, or the whole docstring; what is not ours says where it comes from."""
    source = f" ({origin})" if origin else ""
    if verbose:
        console.print(Text.assemble((name, "bold"), f"{source}\n{text}\n"))
    else:
        first_line, *_ = text.splitlines() or [""]
        console.print(Text(f"{name:18} {first_line}{source}"))


def tables() -> dict[str, dict[str, str]]:
    """What is shown -> the docstrings of its entries by name."""
    return {
        "losses": _documented("losses", "LOSSES"),
        "schedules": _documented("class_weighting", "CLASS_WEIGHTINGS"),
        "methods": _documented("task_weighting", "TASK_WEIGHTINGS"),
    }


def _documented(package: str, table: str) -> dict[str, str]:
    """Name -> docstring of the entries of a table of classes.

    Read from the source: importing the classes takes torch, and the seconds that torch takes.
    """
    tree = _source("visual_taxonomy", package, "__init__")
    modules = {
        alias.name: node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    (entries,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == table
    )
    assert isinstance(entries, ast.Dict)
    found = {}
    for key, value in zip(entries.keys, entries.values, strict=True):
        name, class_name = ast.literal_eval(key or value), ast.unparse(value)
        found[name] = _docstring(modules[class_name], class_name)
    return found


def _docstring(module: str, class_name: str) -> str:
    for node in _source(*module.split(".")).body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            return (ast.get_docstring(node) or "").strip()
    raise AssertionError(f"{module} defines no {class_name}")


def _source(package: str, *parts: str) -> ast.Module:
    path = files(package).joinpath(*parts[:-1], f"{parts[-1]}.py")
    return ast.parse(path.read_text(encoding="utf-8"))
