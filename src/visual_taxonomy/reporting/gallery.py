"""A sheet of samples, each with what was predicted for it and what is true."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from visual_taxonomy.data.images import ImageSource, UnreadableImage, read_image
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.reporting.sheet import LINE, TEXT_SIZE, WIDTH, draw_sheet
from visual_taxonomy.reporting.style import GREEN, INK, MUTED, RED, save_figure, shorten, write

# Inches from the left of an image to the predicted class below it.
_ANSWER = 1.42


@dataclass(frozen=True)
class LabelledImage:
    """An image with its labels.

    Args:
        image: In any mode of Pillow.
        category: Of the product.
        rows: For each attribute its name, the predicted class, the probability of that class
            in [0, 1], and the true class or None where it is unknown.
    """

    image: Image.Image
    category: str
    rows: Sequence[tuple[str, str, float, str | None]]


def pick_images(predictor: Predictor, table: Table, most: int = 12) -> list[LabelledImage]:
    """Evenly chosen rows of a table, category after category, with their predictions.

    Rows whose image cannot be read are left out.

    Args:
        predictor: The model.
        table: Labelled rows.
        most: Images at most.
    """
    by_category = np.argsort(table.categories, kind="stable")
    chosen = by_category[np.linspace(0, len(table) - 1, min(most, len(table))).astype(int)]
    names = [table.taxonomy.categories[table.categories[row]] for row in chosen]
    images = [[table.images[number] for number in table.numbers(row)] for row in chosen]
    samples = []
    for row, image, prediction in zip(
        chosen, images, predictor.predict(images, names), strict=True
    ):
        if prediction.problem is not None:
            continue
        lines = [
            (
                attribute,
                label,
                prediction.probabilities[attribute][label],
                table.taxonomy.decode(prediction.category, attribute, table.targets[row, slot]),
            )
            for slot, (attribute, label) in enumerate(prediction.labels.items())
        ]
        samples.append(LabelledImage(_first_readable(image), prediction.category, lines))
    return samples


def _first_readable(images: Sequence[ImageSource]) -> Image.Image:
    for image in images[:-1]:
        with suppress(UnreadableImage):
            return read_image(image)
    return read_image(images[-1])


def plot_gallery(
    samples: Sequence[LabelledImage], path: Path, title: str = "", columns: int = 4
) -> None:
    """Draw images in a grid; right labels are green, wrong ones red, those without truth grey.

    Args:
        samples: What to draw, row by row.
        path: The PNG to write.
        title: Of the figure; made from the labels if empty.
        columns: Images side by side, >= 1.

    Raises:
        InputError: There is no image to draw.
        OSError: The folder cannot be written to.
    """
    if not samples:
        raise InputError(f"{path}: no image to draw; the table of rows is empty")
    figure = draw_sheet(
        [sample.image for sample in samples],
        [_num_lines(sample) for sample in samples],
        lambda axes, i: _write_labels(axes, samples[i]),
        title or _title(samples),
        "✓ right    ✗ wrong, the truth below    ? truth unknown    % probability of the prediction",
        columns,
    )
    save_figure(figure, path)


def _is_wrong(row: tuple[str, str, float, str | None]) -> bool:
    _, predicted, _, true = row
    return true is not None and true != predicted


def _num_lines(sample: LabelledImage) -> int:
    return 1 + sum(2 if _is_wrong(row) else 1 for row in sample.rows)


def _title(samples: Sequence[LabelledImage]) -> str:
    known = [row for sample in samples for row in sample.rows if row[3] is not None]
    if not known:
        return "Predicted labels; the truth is unknown"
    right = sum(not _is_wrong(row) for row in known)
    return f"{right} of {len(known)} known labels are predicted right"


def _write_labels(axes: Axes, sample: LabelledImage) -> None:
    y = LINE / 2
    write(axes, 0, y, shorten(sample.category, 30), INK, TEXT_SIZE, weight="bold")
    for row in sample.rows:
        attribute, predicted, probability, true = row
        mark, colour = ("?", MUTED) if true is None else ("✓", GREEN)
        if _is_wrong(row):
            mark, colour = "✗", RED
        y += LINE
        write(axes, 0, y, mark, colour, TEXT_SIZE)
        write(axes, 0.17, y, shorten(attribute, 21), MUTED, TEXT_SIZE)
        write(axes, _ANSWER, y, shorten(predicted, 21), colour, TEXT_SIZE, weight="bold")
        write(axes, WIDTH, y, f"{probability:.0%}", MUTED, TEXT_SIZE, ha="right")
        if _is_wrong(row):
            y += LINE
            write(axes, _ANSWER, y, shorten(f"true: {true}", 28), INK, TEXT_SIZE)
