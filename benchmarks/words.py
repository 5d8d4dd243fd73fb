"""What words add to images: scores on held-out rows, and the time they take.

Scores: rows of held_out.npz (of `vtax cross-validate`) that have a title. Words and known labels
are fitted on the rows of four folds and heard on the fifth, powers are fitted without the fold
they fuse, and the rule of each fold is chosen on the others. Near-duplicates share a fold.

    python benchmarks/words.py --held_out out/cv/held_out.npz --titles titles.csv
    python benchmarks/words.py --images 64      # time only, ViT-B/32 on drawn images
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from visual_taxonomy.checkpoint import Checkpoint
from visual_taxonomy.config import InferenceConfig, ModelConfig
from visual_taxonomy.decision.comparison import compare_answers
from visual_taxonomy.decision.cross_fitted import CHOSEN, CrossFitted, cross_fitted
from visual_taxonomy.decision.folds import assign_folds
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.model.classifier import build_classifier
from visual_taxonomy.synthetic.catalogue import synthetic_taxonomy
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.witnesses.combination import IMAGE, KNOWN_LABELS, NAMES, WORDS
from visual_taxonomy.witnesses.combining import fit_witnesses, fused_out_of_fold
from visual_taxonomy.witnesses.known_label_fitting import fit_known_labels
from visual_taxonomy.witnesses.word_fitting import fit_words


def read_titles(path: Path, ids: np.ndarray) -> np.ndarray:
    """[N, 1] title of each id, "" for none; leading zeros of ids do not count."""
    frame = pl.read_csv(path, infer_schema=False)
    titles = dict(zip(frame["id"].str.strip_chars_start("0"), frame["title"], strict=True))
    found = [titles.get(str(name).lstrip("0")) or "" for name in ids]
    return np.array(found, dtype=object)[:, None]


def heard(held_out: HeldOut, texts: np.ndarray) -> HeldOut:
    """The rows with what words and known labels of the other folds say."""
    said = {name: np.zeros_like(held_out.probabilities) for name in ("words", "known labels")}
    folds = assign_folds(held_out.categories, held_out.groups, 5, 0)
    for fold in range(5):
        rows, own = folds != fold, folds == fold
        labels = held_out.categories[rows], held_out.targets[rows]
        words = fit_words(held_out.taxonomy, ["title"], texts[rows], *labels)
        known = fit_known_labels(held_out.taxonomy, *labels)
        if words is not None:
            said["words"][own] = words.probabilities(texts[own], held_out.categories[own])
        said["known labels"][own] = known.probabilities(
            held_out.targets[own], held_out.categories[own]
        )
    return replace(held_out, witnesses=said)


def score(rows: HeldOut, name: str) -> CrossFitted:
    """Print what a rule that is chosen on other folds makes of the rows."""
    found = cross_fitted(rows)
    for rule in ("argmax", CHOSEN):
        hm, micro, macro = found.scores[rule]
        print(
            f"{name:24} {rule:8} HM {hm.value:.3f} ({hm.low:.3f} to {hm.high:.3f})  "
            f"micro {micro.value:.3f}  macro {macro.value:.3f}",
            flush=True,
        )
    return found


def scores(held_out: HeldOut, texts: np.ndarray) -> None:
    """Images, words and known labels, alone and together."""
    rows = heard(held_out, texts)
    with_words = rows.take((texts != "").any(axis=1))
    print(f"{len(with_words):,} of {len(rows):,} rows have a title")
    image = score(with_words, "image")
    for combination in (WORDS, IMAGE | WORDS, IMAGE | WORDS | KNOWN_LABELS):
        name = " + ".join(NAMES[bit] for bit in NAMES if combination & bit)
        found = score(fused_out_of_fold(with_words, combination), name)
        gain = compare_answers(with_words, image.metric.classes, found.metric.classes).overall.hm
        print(
            f"{'':24} against the image {gain.difference:+.3f} ({gain.low:+.3f}, {gain.high:+.3f})"
        )
    score(rows, "image, all rows")
    score(fused_out_of_fold(rows, IMAGE | KNOWN_LABELS), "image + known labels, all")


def draw(taxonomy: Taxonomy, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Titles [N, 1] that spell the labels, categories [N] and labels [N, A]."""
    random = np.random.default_rng(0)
    categories = np.arange(rows) % len(taxonomy.categories)
    targets = np.full((rows, taxonomy.num_slots), -1)
    titles = []
    for row, category in enumerate(categories.tolist()):
        named = []
        for slot, index in enumerate(taxonomy.slots[category]):
            classes = taxonomy.tasks[index].classes
            targets[row, slot] = random.integers(len(classes))
            named.append(classes[targets[row, slot]])
        titles.append(f"Maker{random.integers(500)} new {' '.join(named)} {row}")
    return np.array(titles, dtype=object)[:, None], categories, targets


def times(images: int, backbone: str) -> None:
    """Milliseconds of an image of `Predictor` with and without words."""
    taxonomy, rows = synthetic_taxonomy(), 8000
    texts, categories, targets = draw(taxonomy, rows)
    random = np.random.default_rng(0)
    started = time.process_time()
    words = fit_words(taxonomy, ["title"], texts, categories, targets)
    print(f"words fitted on {rows:,} titles: {time.process_time() - started:.1f} s of CPU")
    config = ModelConfig(backbone, pretrained_ckpt="none", head="linear")
    counts = {task.name: [10] * len(task.classes) for task in taxonomy.tasks}
    model = build_classifier(taxonomy, config)
    plain = Checkpoint(taxonomy, config, model.state_dict(), class_counts=counts)
    some = np.arange(400)
    said = words.probabilities(texts[some], categories[some])
    arrays = some.astype(str), categories[some], some, said, targets[some]
    # Only the time counts here: the images say what the words say.
    held_out = HeldOut(taxonomy, counts, *arrays, witnesses={"words": said})
    witnesses = fit_witnesses(held_out, words, None)
    drawn = [
        Image.fromarray(random.integers(0, 255, (300, 225, 3), dtype=np.uint8))
        for _ in range(images)
    ]
    exact = InferenceConfig("torch", workers=0, precision="32", accelerator="cpu")
    found = {}
    for name, given in (("images", None), ("images and words", texts[:images])):
        predictor = Predictor(replace(plain, witnesses=witnesses), exact)
        best = np.inf
        for _ in range(3):
            started = time.process_time()
            for _ in predictor.score(drawn.__getitem__, categories[:images], None, given):
                pass
            best = min(best, time.process_time() - started)
        found[name] = best / images
        print(f"{name}: {1e3 * found[name]:.2f} ms of CPU a row ({backbone})")
    started = time.process_time()
    words.probabilities(texts[:2000], categories[:2000])
    alone = (time.process_time() - started) / 2000
    print(f"words alone: {1e3 * alone:.3f} ms a row, {alone / found['images']:.1%} of the images")


def main() -> None:
    """Print scores, where there are files for them, and times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held_out", type=Path)
    parser.add_argument("--titles", type=Path)
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--backbone", default="ViT-B-32")
    options = parser.parse_args()
    if options.held_out and options.titles:
        held_out = HeldOut.read(options.held_out)
        scores(held_out, read_titles(options.titles, held_out.ids))
    if options.images:
        times(options.images, options.backbone)


if __name__ == "__main__":
    main()
