"""What was trained, on what, with what, and how long."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from visual_taxonomy.reporting.html.blocks import Block, Facts, Fold
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.run_record import RunRecord
from visual_taxonomy.reporting.html.sections.training import duration
from visual_taxonomy.reporting.style import shorten

_LETTERS = 200
"""Of a value; a path may be long, a list of missing values is longer."""


def run(context: Context) -> Sequence[Block] | Absent:
    """Configuration, data, versions, hardware, seconds."""
    record = context.run
    if record is None:
        return Absent("no run folder was given")
    facts = [*_data(context, record), *_time(record), *record.environment.items()]
    if not record.environment:
        facts.append(("versions and hardware", "not recorded by this run"))
    return [Facts(facts), *_config(record.config)]


def _data(context: Context, record: RunRecord) -> list[tuple[str, str]]:
    facts = [("held-out rows", f"{len(context.held_out):,}")]
    if record.data is not None:
        digest, rows = record.data
        facts += [("rows of the file", f"{rows:,}"), ("digest of ids and labels", digest)]
    return facts


def _time(record: RunRecord) -> list[tuple[str, str]]:
    seconds = [row.get("seconds", math.nan) for row in record.metrics]
    known = [value for value in seconds if math.isfinite(value)]
    return [("training time", duration(sum(known)))] if known else []


def _config(config: Mapping[str, Any]) -> list[Block]:
    sections = [
        Facts([(name, shorten(_text(value), _LETTERS)) for name, value in values.items()])
        for values in config.values()
        if isinstance(values, dict) and values
    ]
    names = [name for name, values in config.items() if isinstance(values, dict) and values]
    if not sections:
        return []
    folds = [
        Fold(f"[{name}]", f"{len(block.facts)} settings", [block])
        for name, block in zip(names, sections, strict=True)
    ]
    return list(folds)


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} = {_text(each)}" for name, each in value.items())
    return str(value)
