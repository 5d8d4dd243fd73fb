"""The sections of the report in the order of the page; a new one is a file, a line, a test."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from visual_taxonomy.reporting.html.blocks import Block
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.sections.attributes import attributes
from visual_taxonomy.reporting.html.sections.audit import likely_wrong
from visual_taxonomy.reporting.html.sections.baselines import baselines
from visual_taxonomy.reporting.html.sections.calibration import calibration
from visual_taxonomy.reporting.html.sections.classes import classes
from visual_taxonomy.reporting.html.sections.confusions import confusions
from visual_taxonomy.reporting.html.sections.decision import decision
from visual_taxonomy.reporting.html.sections.images import confident_errors, uncertain
from visual_taxonomy.reporting.html.sections.labels import labels
from visual_taxonomy.reporting.html.sections.overall import overall
from visual_taxonomy.reporting.html.sections.run import run
from visual_taxonomy.reporting.html.sections.tasks import tasks
from visual_taxonomy.reporting.html.sections.training import training
from visual_taxonomy.reporting.html.sections.words import words


class Section(NamedTuple):
    """A part of the report."""

    title: str
    build: Callable[[Context], Sequence[Block] | Absent]
    """Gives what is shown, or why nothing is."""


SECTIONS: dict[str, Section] = {
    "overall": Section("Scores", overall),
    "attributes": Section("Attributes", attributes),
    "baselines": Section("Against simple methods", baselines),
    "decision": Section("What is answered", decision),
    "calibration": Section("How sure it may be", calibration),
    "words": Section("Words", words),
    "training": Section("Training", training),
    "classes": Section("Classes", classes),
    "confusions": Section("Where classes are confused", confusions),
    "confident-errors": Section("Confident errors", confident_errors),
    "uncertain": Section("Most uncertain", uncertain),
    "likely-wrong": Section("Labels that are probably wrong", likely_wrong),
    "labels": Section("What more labels would bring", labels),
    "tasks": Section("Weights and gradients of the tasks", tasks),
    "run": Section("What the run was", run),
}
"""Anchor -> section."""
