"""Held-out rows drawn at random, with names that strangers would like to see executed."""

from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.reporting.html.context import Context
from visual_taxonomy.reporting.html.report import picture_finder, write_report
from visual_taxonomy.reporting.html.run_record import RunRecord
from visual_taxonomy.taxonomy import Taxonomy

SCRIPT = "<script>alert(1)</script>"
FORMULA = "$x_1$"
QUOTES = "\"><img src=x onerror='alert(2)'>"
ROWS = 120

HOSTILE = Taxonomy.from_dict(
    {
        f"Sarees {SCRIPT}": {
            f"border {FORMULA}": [SCRIPT, FORMULA, QUOTES, "{{ 7 * 7 }}"],
            f"color {QUOTES}": ["red", "a\x00b\x85\ufffe\ud800c"],
        },
        "Kurtis & co": {"occasion": ["only"], "&lt;never labelled": ["a", "b", "c"]},
        "empty category": {"color": ["red", "blue"]},
    }
)


def draw_held_out(taxonomy=HOSTILE, rows=ROWS, seed=0, skill=1.5):
    """Rows of all categories but the last; the last attribute of the others has no label."""
    generator = np.random.default_rng(seed)
    slots = taxonomy.num_slots
    classes = max(len(task.classes) for task in taxonomy.tasks)
    categories = np.arange(rows) % max(1, len(taxonomy.categories) - 1)
    probabilities = np.zeros((rows, slots, classes), dtype=np.float32)
    targets = np.full((rows, slots), -1, dtype=np.int64)
    for row, category in enumerate(categories):
        for slot, index in enumerate(taxonomy.slots[category]):
            task = taxonomy.tasks[index]
            size = len(task.classes)
            label = int(generator.integers(size))
            logits = generator.normal(size=size) + skill * (np.arange(size) == label)
            probabilities[row, slot, :size] = np.exp(logits) / np.exp(logits).sum()
            if "never" not in task.attribute:
                targets[row, slot] = label
    counts = {task.name: [5 + i for i in range(len(task.classes))] for task in taxonomy.tasks}
    ids = np.array([f"{row}{SCRIPT if row % 3 == 0 else ''}" for row in range(rows)])
    return HeldOut(taxonomy, counts, ids, categories, np.arange(rows), probabilities, targets)


@pytest.fixture(scope="session")
def held_out():
    return draw_held_out()


@pytest.fixture(scope="session")
def draw():
    """Draw rows of any taxonomy."""
    return draw_held_out


@pytest.fixture(scope="session")
def hostile():
    """Names that are markup, formulas and templates."""
    return SCRIPT, FORMULA, QUOTES, "{{ 7 * 7 }}", "&lt;never labelled", "Kurtis & co"


@pytest.fixture
def images(tmp_path, held_out):
    """A folder with an image of each row whose id can be the name of a file."""
    folder = tmp_path / "images"
    folder.mkdir()
    for row, name in enumerate(held_out.ids.tolist()):
        if "/" not in name:
            Image.new("RGB", (60, 80), (row, 0, 90)).save(folder / f"{int(name):06d}.png")
    return folder


@pytest.fixture
def run():
    """The record of a run, hostile too."""
    epochs = [
        {"epoch": e, "train_loss": 2 - e / 3, "val_loss": 2.0, "hm": e / 5, "seconds": 9.0}
        for e in range(3)
    ]
    return RunRecord(
        f"r1 {SCRIPT}",
        {"data": {"img_dir": QUOTES, "missing_values": [SCRIPT, FORMULA]}, "run": {"folds": 3}},
        [*epochs, {"epoch": 3, "val_loss": float("nan")}],
        [{"epoch": "3", "task": SCRIPT, "gradient_norm": str(n)} for n in (1.5, 2.5)],
        {"processor": QUOTES, "vtax": "0.1.0"},
        ("0123456789abcdef", 300),
    )


@pytest.fixture
def context(held_out, run, images):
    return Context(held_out, run, picture_finder(images), source=f"rows of {QUOTES}.csv")


@pytest.fixture
def html_of(tmp_path):
    """Write the report of a context; returns its text."""

    def write(context):
        path = tmp_path / "report.html"
        write_report(context, path)
        return path.read_text(encoding="utf-8")

    return write


class Page(HTMLParser):
    """Elements with their attributes, and the text in them."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="session")
def page_of():
    """Take the elements and texts out of HTML."""
    return Page
