"""`vtax list`."""

from dataclasses import dataclass
from typing import Literal

import tyro
from rich.markup import escape

from visual_taxonomy.commands.terminal import console


@dataclass(frozen=True)
class List:
    """Show what can be chosen."""

    what: tyro.conf.Positional[Literal["losses", "schedules", "methods", "backbones"]]
    """The table to show."""
    verbose: bool = False
    """Formula, parameters, defaults and paper of each entry."""


def list_entries(options: List) -> int:
    """Show what can be chosen."""
    if options.what == "backbones":
        from visual_taxonomy.model.backbone import backbone_names

        for name in backbone_names():
            console.print(name)
        return 0
    for name, entry in tables()[options.what].items():
        text = (entry.__doc__ or "").strip()
        if options.verbose:
            console.print(f"[bold]{name}[/bold]\n{escape(text)}\n")
        else:
            console.print(f"{name:18} {escape(text.splitlines()[0])}")
    return 0


def tables() -> dict[str, dict[str, type]]:
    """What is shown -> its entries by name."""
    from visual_taxonomy.class_weighting import CLASS_WEIGHTINGS
    from visual_taxonomy.losses import LOSSES
    from visual_taxonomy.task_weighting import TASK_WEIGHTINGS

    return {"losses": LOSSES, "schedules": CLASS_WEIGHTINGS, "methods": TASK_WEIGHTINGS}
