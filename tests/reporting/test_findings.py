import io

import numpy as np
import pytest
from matplotlib.colors import same_color
from PIL import Image
from rich.console import Console

from visual_taxonomy.audit.finding import Finding
from visual_taxonomy.audit.lists import Lists
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.reporting.findings import audit_table, pick_images, plot_findings
from visual_taxonomy.reporting.style import BLUE, MUTED, RED
from visual_taxonomy.taxonomy import Task

TASK = Task("Sarees", "border", ("zari", "none"))


def finding(label="zari", suggested="none", of_label=0.1, product="12", task=TASK):
    return Finding(0, product, task, label, suggested, 0.9, of_label, 0.8, 0)


def image(**given):
    return finding(**given), Image.new("RGB", (6, 8))


def test_label_and_suggestion_stand_below_the_image(texts_of, tmp_path):
    texts = texts_of(plot_findings, [image()], tmp_path / "a.png", "mine")
    assert {"mine", "Sarees/border", "12", "zari", "10%", "none", "90%"} <= set(texts)
    assert same_color(texts["zari"].get_color(), RED)
    assert same_color(texts["none"].get_color(), BLUE)


def test_a_hole_has_no_probability(texts_of, tmp_path):
    hole = image(label=None, of_label=None)
    texts = texts_of(plot_findings, [hole], tmp_path / "a.png", "mine")
    assert same_color(texts["unknown"].get_color(), MUTED)
    assert [text for text in texts if text.endswith("%")] == ["90%"]


def test_a_label_that_agrees_is_not_red(texts_of, tmp_path):
    texts = texts_of(plot_findings, [image(label="none")], tmp_path / "a.png", "mine")
    assert not any(same_color(text.get_color(), RED) for text in texts.values())


def test_names_are_drawn_as_they_are_and_stay_in_their_columns(texts_of, tmp_path):
    name = r"$\frac{1}<b>" + "x" * 90
    task = Task(name, name, ("zari", name))
    images = [image(label=name, suggested="zari", product=name, task=task), image()]
    texts = texts_of(plot_findings, images, tmp_path / "a.png", "$ mine")
    boxes = [text.get_window_extent() for text in texts.values()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert any(text.startswith(r"$\frac{1}<b>") for text in texts)


def test_images_that_cannot_be_read_are_left_out(tmp_path):
    for name in ("1", "3", "4"):
        Image.new("RGB", (6, 8)).save(tmp_path / f"{name}.png")
    (tmp_path / "2.png").write_bytes(b"no image")
    found = [finding(product=name) for name in ("0", "1", "2", "3", "4")]
    picked = pick_images(found, lambda each: tmp_path / f"{each.id}.png", most=2)
    assert [each.id for each, _ in picked] == ["1", "3"]


def test_nothing_to_draw_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a\.png: no image to draw"):
        plot_findings([], tmp_path / "a.png", "mine")


def test_the_table_counts_by_category(taxonomy):
    rows = HeldOut(
        taxonomy,
        {task.name: [1] * len(task.classes) for task in taxonomy.tasks},
        np.array(["1", "2", "3"]),
        np.array([0, 0, 1]),
        np.arange(3),
        np.ones((3, 3, 3)),
        np.array([[0, -1, -1], [-1, -1, -1], [1, 0, -1]]),
    )
    border, color = taxonomy.task("Sarees", "border"), taxonomy.task("Kurtis", "color")
    one, other = finding(task=border), finding(task=color)
    lists = Lists([one, other], [other, other], [one])
    console = Console(width=90, record=True, file=io.StringIO())
    console.print(audit_table(lists, rows))
    text = console.export_text()
    cells = [line.replace("│", " ").split() for line in text.splitlines() if "│" in line]
    assert cells == [
        ["Sarees", "1", "1", "0", "3", "1"],
        ["Kurtis", "2", "1", "2", "1", "0"],
        ["overall", "3", "2", "2", "4", "1"],
    ]
