"""`vtax list`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import tyro
from rich.markup import escape

from visual_taxonomy.commands.terminal import console

if TYPE_CHECKING:
    from visual_taxonomy.registry import Listed, Registry

_REGISTRIES = {
    "losses": "visual_taxonomy.losses:LOSS_REGISTRY",
    "schedules": "visual_taxonomy.class_weighting:SCHEDULE_REGISTRY",
    "methods": "visual_taxonomy.task_weighting:METHOD_REGISTRY",
    "backbones": "visual_taxonomy.model.own_backbone:BACKBONE_REGISTRY",
    "engines": "visual_taxonomy.inference.engines:ENGINE_REGISTRY",
}


@dataclass(frozen=True)
class List:
    """Show what can be chosen."""

    what: tyro.conf.Positional[Literal["losses", "schedules", "methods", "backbones", "engines"]]
    """The table to show."""
    verbose: bool = False
    """Formula, parameters, defaults and paper of each entry."""


def list_entries(options: List) -> int:
    """Show what can be chosen."""
    if options.what == "backbones":
        from visual_taxonomy.model.backbone import backbone_names

        for name in backbone_names():
            console.print(name)
    for entry in registry(options.what).listed():
        console.print(_described(entry, options.verbose))
    return 0


def registry(what: str) -> "Registry[Any]":
    """The entries of a kind; only its own package is imported."""
    from visual_taxonomy.registry import import_named

    return import_named(_REGISTRIES[what], "registry")


def _described(listed: "Listed[Any]", verbose: bool) -> str:
    """A line of the table, or the whole docstring; what is not ours says where it comes from."""
    text = listed.problem or _text(listed.entry)
    origin = f" [dim]({escape(listed.origin)})[/dim]" if listed.origin else ""
    if verbose:
        return f"[bold]{escape(listed.name)}[/bold]{origin}\n{escape(text)}\n"
    first_line, *_ = text.splitlines() or [""]
    return f"{escape(listed.name):18} {escape(first_line)}{origin}"


def _text(entry: Any) -> str:  # noqa: ANN401 - of any registry
    from visual_taxonomy.inference.engines import EngineEntry

    if isinstance(entry, EngineEntry):
        return f"runs {' or '.join(entry.files)}; {entry.remedy}"
    return (entry.__doc__ or "").strip()
