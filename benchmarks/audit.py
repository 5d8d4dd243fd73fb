r"""How many of the labels that were flipped on purpose `vtax audit` finds, beside cleanlab.

A share of the labels of some heads is replaced by another class, drawn at random. Then the heads
are fitted out of fold, near-duplicates in one fold, on the labels with the flips: a logistic
regression a head on the features of a frozen backbone. The labels of those heads are ranked by how
likely they are wrong, and precision at k is the share of flips among the first k, k being how many
there are. Chance is the share of flips among all. Labels of the catalogue that were wrong before
count against every ranking alike.

    python benchmarks/audit.py --data ../shared/data/apparel --seeds 0 1 2 \
        --weights ../shared/weights/mobilenetv2_100.safetensors --cache features

Rankings of cleanlab (`pip install cleanlab`) by the same probabilities stand beside it where it is
installed. Seed 0 is the one by which the score of `audit/wrong_labels.py` was chosen.
"""

import argparse
import importlib.util
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from visual_taxonomy.audit.lists import cross_fitted_answers
from visual_taxonomy.audit.wrong_labels import find_wrong_labels
from visual_taxonomy.config import ModelConfig
from visual_taxonomy.data.dataset import ImageDataset, batches_in_order, make_loader
from visual_taxonomy.data.duplicates import fingerprints, group_near_duplicates
from visual_taxonomy.data.table import Table
from visual_taxonomy.data.transforms import evaluation_transform
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.model.classifier import build_classifier
from visual_taxonomy.taxonomy import UNKNOWN
from visual_taxonomy.training.feature_cache import cached_features, encode, request_key
from visual_taxonomy.training.preparation import named_class_counts, read_labelled_table
from visual_taxonomy.training.setup import load_weights

NUM_HEADS, FLIPPED, FOLDS = 20, 0.05, 5
LEAST_LABELS = 100
"""Labels a head has at least: 5 % of fewer are no more than a handful of flips."""


class Flips(NamedTuple):
    """Labels with mistakes put in on purpose."""

    targets: np.ndarray
    """[N, A] classes, with the flips."""
    is_flipped: np.ndarray
    """[N, A] bool."""
    is_asked: np.ndarray
    """[N, A] bool; the labels of the chosen heads."""


def flip(table: Table, seed: int) -> Flips:
    """Replace 5 % of the labels of 20 heads, both drawn at random."""
    random = np.random.default_rng(seed)
    heads = [
        (category, slot, len(table.taxonomy.tasks[task].classes))
        for category, slots in enumerate(table.taxonomy.slots)
        for slot, task in enumerate(slots)
        if (table.class_counts(task) > 0).sum() > 1
        and table.class_counts(task).sum() >= LEAST_LABELS
    ]
    targets = table.targets.copy()
    is_flipped, is_asked = np.zeros_like(targets, bool), np.zeros_like(targets, bool)
    for index in random.choice(len(heads), min(NUM_HEADS, len(heads)), replace=False):
        category, slot, num_classes = heads[index]
        rows = np.flatnonzero((table.categories == category) & (targets[:, slot] >= 0))
        is_asked[rows, slot] = True
        chosen = random.choice(rows, round(FLIPPED * len(rows)), replace=False)
        shift = random.integers(1, num_classes, len(chosen))
        targets[chosen, slot] = (targets[chosen, slot] + shift) % num_classes
        is_flipped[chosen, slot] = True
    return Flips(targets, is_flipped, is_asked)


def features_of(table: Table, weights: Path, cache: Path) -> np.ndarray:
    """[N, D] features of the frozen MobileNetV2, encoded only once."""
    config = ModelConfig(
        backbone="mobilenetv2_100",
        pretrained_ckpt=str(weights),
        backbone_parameters={"pad_type": "same"},
        normalization="inception",
        image_size=(160, 120),
    )
    model = build_classifier(table.taxonomy, config)
    load_weights(model, config)
    encoder = model.encoder.eval()
    preprocessing = encoder.backbone.preprocessing
    size = preprocessing.image_size
    transform = evaluation_transform(size, preprocessing.interpolation)
    dataset = ImageDataset(table.path, table.categories, table.targets, transform, size)
    batches = make_loader(dataset, batches_in_order(len(table), 64), workers=0)
    key = request_key(encoder, config, table, "plain, float32")
    found = cached_features(
        cache, key, 1, lambda _: encode(encoder, batches, len(table), nullcontext)
    )
    return found[0].numpy()


def out_of_fold(
    table: Table, features: np.ndarray, groups: np.ndarray, flips: Flips, seed: int
) -> HeldOut:
    """Probabilities of the chosen heads for every row, from regressions that have not seen it."""
    targets = np.where(flips.is_asked, flips.targets, UNKNOWN)
    taxonomy = table.taxonomy
    most = max(len(task.classes) for task in taxonomy.tasks)
    probabilities = np.zeros((*targets.shape, most), dtype=np.float32)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for training, held_out in folds.split(features, table.categories, groups):
        scaler = StandardScaler().fit(features[training])
        x, y = scaler.transform(features[training]), scaler.transform(features[held_out])
        for category, slots in enumerate(taxonomy.slots):
            asked = table.categories[held_out] == category
            for slot in range(len(slots)):
                labels = targets[training, slot]
                rows = (table.categories[training] == category) & (labels >= 0)
                classes = np.unique(labels[rows])
                if len(classes) > 1:
                    model = LogisticRegression(C=0.01, tol=1e-3, max_iter=1000)
                    model.fit(x[rows], labels[rows])
                    cells = np.ix_(held_out[asked], [slot], classes)
                    probabilities[cells] = model.predict_proba(y[asked])[:, None]
    counts = named_class_counts(replace(table, targets=targets))
    return HeldOut(taxonomy, counts, table.ids, table.categories, groups, probabilities, targets)


def found_by_audit(held_out: HeldOut, is_flipped: np.ndarray) -> np.ndarray:
    """Whether each label of the list of `vtax audit` is a flip, in the order of the list."""
    answers = cross_fitted_answers(held_out, target_precision=0.95)
    findings = find_wrong_labels(replace(held_out, probabilities=answers.probabilities))
    slots = {head.task: head.slot for head in held_out.heads()}
    return np.array([is_flipped[each.row, slots[each.task]] for each in findings])


def found_by_cleanlab(held_out: HeldOut, is_flipped: np.ndarray) -> dict[str, np.ndarray]:
    """Ranking -> whether each label is a flip, in its order; all heads together."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    flips: list[np.ndarray] = []
    scores: dict[str, list[np.ndarray]] = {}
    for head in held_out.heads():
        if not len(head.rows):
            continue
        labels, probabilities = head.labels, head.probabilities
        flips.append(is_flipped[head.rows, head.slot])
        margin = get_label_quality_scores(labels, probabilities, method="normalized_margin")
        own = get_label_quality_scores(labels, probabilities, method="self_confidence")
        issues = find_label_issues(labels, probabilities, n_jobs=1)
        for name, quality in (
            ("normalized_margin", margin),
            ("self_confidence", own),
            ("find_label_issues, then normalized_margin", margin - issues),
        ):
            scores.setdefault(name, []).append(quality)
    of_all = np.concatenate(flips)
    return {
        f"cleanlab {name}": of_all[np.argsort(np.concatenate(each), kind="stable")]
        for name, each in scores.items()
    }


def main() -> None:
    """Flip, fit and rank for each seed; print a Markdown table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    attributes = options.data / "category_attributes.parquet"
    table = read_labelled_table(
        options.data / "train.csv", options.data / "images", None, attributes
    )
    features = features_of(table, options.weights, options.cache)
    groups = group_near_duplicates(fingerprints(table.images))
    print("| seed | ranking | labels | flips k | chance | precision at k | x chance | at k / 4 |")
    print("|---|---|---|---|---|---|---|---|")
    for seed in options.seeds:
        flips = flip(table, seed)
        held_out = out_of_fold(table, features, groups, flips, seed)
        rankings = {"vtax audit": found_by_audit(held_out, flips.is_flipped)}
        if importlib.util.find_spec("cleanlab"):
            rankings |= found_by_cleanlab(held_out, flips.is_flipped)
        k, labels = int(flips.is_flipped.sum()), int(flips.is_asked.sum())
        for name, is_hit in rankings.items():
            precision, first = is_hit[:k].sum() / k, is_hit[: k // 4].sum() / (k // 4)
            print(
                f"| {seed} | {name} | {labels:,} | {k:,} | {k / labels:.3f} | {precision:.3f} | "
                f"{precision * labels / k:.1f} | {first:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
