"""Text is readable on what it stands on: WCAG 2.1, level AA."""

import re
from importlib.resources import files

import pytest

CSS = (files("visual_taxonomy.reporting.html") / "templates" / "report.css").read_text()
SCHEMES = dict(
    zip(("light", "dark", "print"), re.findall(r":root \{(.*?)\}", CSS, re.DOTALL), strict=True)
)
PAIRS = [
    *(
        (text, ground)
        for text in ("ink", "muted", "accent")
        for ground in ("surface", "page", "soft")
    ),
    *(("second", "surface"), ("third", "surface")),
]
SHADED = 0.75
"""Share of the shade in the darkest cell of a matrix."""


def colours(scheme):
    found = re.findall(r"--(\w+): #([0-9a-f]{3,6});", SCHEMES[scheme])
    wide = {name: code if len(code) == 6 else "".join(2 * c for c in code) for name, code in found}
    return {name: [int(c[i : i + 2], 16) / 255 for i in (0, 2, 4)] for name, c in wide.items()}


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def test_black_on_white_is_21_to_1():
    assert contrast([0, 0, 0], [1, 1, 1]) == pytest.approx(21)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_stands_out(scheme, text, ground):
    found = colours(scheme)
    assert contrast(found[text], found[ground]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
def test_numbers_stand_out_in_every_shade_of_a_matrix(scheme):
    assert f"calc(var(--share) * {SHADED:.0%})" in CSS
    found = colours(scheme)
    for share in (0.0, 0.5, 1.0):
        part = SHADED * share
        ground = [
            part * a + (1 - part) * b for a, b in zip(found["shade"], found["page"], strict=True)
        ]
        assert contrast(found["ink"], ground) >= 4.5
