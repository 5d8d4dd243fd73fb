import pytest
from PIL import Image

from visual_taxonomy.reporting.sheet import LINE, WIDTH, draw_sheet


def sheet(lines, columns=2):
    images = [Image.new("RGB", (6, 8))] * len(lines)
    written = []

    def write_lines(axes, number):
        written.append((number, axes.get_xlim(), axes.get_ylim()))

    return draw_sheet(images, lines, write_lines, "title", "subtitle", columns), written


def test_text_is_measured_in_inches_and_as_high_as_the_longest_of_its_row():
    _, written = sheet([1, 3, 2])
    assert [number for number, *_ in written] == [0, 1, 2]
    assert {across for _, across, _ in written} == {(0, WIDTH)}
    assert {top for *_, (_, top) in written} == {0}
    heights = [bottom for *_, (bottom, _) in written]
    assert heights == pytest.approx([3 * LINE, 3 * LINE, 2 * LINE])


def test_a_sheet_is_no_wider_than_its_pictures():
    (narrow, _), (wide, _) = sheet([1, 1], columns=6), sheet([1] * 4, columns=4)
    assert narrow.get_size_inches()[0] < wide.get_size_inches()[0]
    assert narrow.get_size_inches()[1] == pytest.approx(wide.get_size_inches()[1])
