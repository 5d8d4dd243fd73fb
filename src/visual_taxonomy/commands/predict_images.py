"""`vtax predict` of images that are named on the line: no table, and the answers are printed."""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from visual_taxonomy.commands.model_files import load_predictor
from visual_taxonomy.commands.terminal import EXIT_UNREADABLE, console, errors
from visual_taxonomy.errors import InputError, shown

if TYPE_CHECKING:
    from visual_taxonomy.commands.predict import Predict
    from visual_taxonomy.inference.answers import Answer
    from visual_taxonomy.inference.prediction import Prediction
    from visual_taxonomy.taxonomy import Taxonomy

_OF_BOTH = ("images", "category", "json", "ckpt_path", "attributes_config", "inference")
"""Flags of `Predict` that mean something for images on the line."""
_LETTERS = 40
_MOST_BYTES = 4096  # the longest path of most systems: a path is never cut


def check_sources(options: "Predict") -> None:
    """Refuse a line that names both images and a table, or neither.

    Raises:
        InputError: It does; what to leave out or to add is named.
    """
    if options.images:
        needless = [
            f"--{entry.name}"
            for entry in fields(options)
            if entry.name not in (*_OF_BOTH, "roles")
            and getattr(options, entry.name) != entry.default
        ]
        roles = options.roles
        needless += [f"--{e.name}" for e in fields(roles) if getattr(roles, e.name) is not None]
        if needless:
            raise InputError(
                "images that are named on the line have no table, and their answers are printed: "
                f"leave out {', '.join(needless)}, or the images"
            )
        return
    if options.category is not None or options.json:
        raise InputError(
            "--category and --json are for images that are named on the line: "
            "vtax predict --ckpt_path MODEL one.jpg folder/"
        )
    # Without --img_dir the table may hold the images, which is known once it is read.
    if options.csv_path is None:
        raise InputError(
            "--csv_path: missing; give a table (--csv_path and --img_dir), or name "
            "the images: vtax predict --ckpt_path MODEL one.jpg folder/"
        )


def predict_images(options: "Predict") -> int:
    """Print what is predicted for the images that are named on the line."""
    from visual_taxonomy.data.image_files import image_files

    paths = image_files(options.images)
    # Beside JSON nothing else may stand on standard output.
    notes = errors if options.json else console
    predictor = load_predictor(
        options.ckpt_path, options.attributes_config, options.inference, notes
    )
    category = _category(options.category, predictor.taxonomy)
    status = 0
    predictions = predictor.predict_each(paths, [category] * len(paths))
    for path, prediction in zip(paths, predictions, strict=True):
        if options.json:
            text = json.dumps(record(path, prediction), ensure_ascii=False)
            console.print(text, soft_wrap=True)
        elif prediction.problem is not None:
            errors.print(f"{shown(path, _MOST_BYTES)}: {prediction.problem}")
        else:
            console.print(f"{shown(path, _MOST_BYTES)} ({shown(category)})")
            console.print(_answers(prediction.answers))
        if prediction.problem is not None:
            status = EXIT_UNREADABLE
    return status


def record(path: Path, prediction: "Prediction") -> dict[str, Any]:
    """The line of an image with `--json`; its keys never change.

    `image`, `category`, `problem` (why the image could not be read, else null), and `attributes`:
    attribute -> `label` (the best guess of an unknown one, too), `probability`, `runner_up`,
    `runner_up_probability` (both null where there is one class), `status` (answered, unknown).
    """
    answers = {} if prediction.problem is not None else prediction.answers
    return {
        "image": str(path),
        "category": prediction.category,
        "problem": prediction.problem,
        "attributes": {name: _plain(answer) for name, answer in answers.items()},
    }


def _plain(answer: "Answer") -> dict[str, Any]:
    values = answer._asdict().items()
    return {name: round(v, 6) if isinstance(v, float) else v for name, v in values}


def _category(given: str | None, taxonomy: "Taxonomy") -> str:
    """The category of all images.

    Raises:
        InputError: It is none of the model's, or none is given and the model has several.
    """
    from visual_taxonomy.choice import unknown_name

    names: Sequence[str] = taxonomy.categories
    if given is not None:
        found = next((name for name in names if name.casefold() == given.casefold()), None)
        if found is None:
            raise InputError(f"--category {unknown_name(given, names)}")
        return found
    if len(names) > 1:
        raise InputError(
            f"the model has {len(names)} categories: say with --category which one the images are "
            f"of: {', '.join(map(shown, names))}"
        )
    return names[0]


def _answers(answers: "dict[str, Answer]") -> Table:
    from visual_taxonomy.inference.answers import ANSWERED

    table = Table()
    for name in ("attribute", "answer", "probability", "runner-up"):
        table.add_column(name, justify="right" if name == "probability" else "left")
    for attribute, answer in answers.items():
        label = shown(answer.label, _LETTERS)
        if answer.status != ANSWERED:
            label = f"unknown (perhaps {label})"
        second = ""
        if answer.runner_up is not None:
            second = f"{shown(answer.runner_up, _LETTERS)} {answer.runner_up_probability:.1%}"
        table.add_row(shown(attribute, _LETTERS), label, f"{answer.probability:.1%}", second)
    return table
