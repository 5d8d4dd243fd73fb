"""From blocks to the text of one HTML page.

Everything that comes from a catalogue is escaped, and the page forbids itself every request.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from visual_taxonomy.reporting.html.blocks import Block, Share, Span

_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What HTML does not allow as text: control characters, halves of pairs, numbers of no letter."""


@dataclass(frozen=True)
class Part:
    """A section as it is drawn.

    Args:
        key: Its anchor.
        title: Its heading.
        blocks: What it shows.
    """

    key: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """The whole report.

    Args:
        title: Of the run.
        subtitle: What was held out, in one line.
        parts: The sections, in order.
        absent: What is not shown: titles and reasons.
        footer: Which program wrote it, and when.
    """

    title: str
    subtitle: str
    parts: Sequence[Part]
    absent: Sequence[tuple[str, str]]
    footer: str


def render(page: Page) -> str:
    """The page as HTML.

    Example:
        >>> html = render(Page("<script>", "2 products", [], [], ""))
        >>> "<title>&lt;script&gt;" in html, "<script" in html
        (True, False)
    """
    return _environment().get_template("page.html").render(page=page)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__name__.rpartition(".")[0]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_cleaned,
    )
    environment.tests["span"] = lambda cell: isinstance(cell, Span)
    environment.tests["share"] = lambda cell: isinstance(cell, Share)
    environment.filters["thousands"] = lambda count: f"{count:,}"
    return environment


def _cleaned(value: object) -> object:
    """Text that HTML can hold; Jinja escapes it afterwards."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", value)
