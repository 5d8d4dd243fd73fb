"""The features of the rows of a probe, from a frozen backbone or from the feature cache."""

from collections.abc import Mapping
from pathlib import Path

from visual_taxonomy.config import TrainConfig
from visual_taxonomy.data.table import Table
from visual_taxonomy.model.classifier import Classifier, build_classifier
from visual_taxonomy.progress import Reporter
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.batch_source import images_of
from visual_taxonomy.training.feature_cache import UNREADABLE
from visual_taxonomy.training.feature_source import table_features
from visual_taxonomy.training.parallel import Parallel
from visual_taxonomy.training.preparation import Tables
from visual_taxonomy.training.probing.encoded import Encoded
from visual_taxonomy.training.setup import load_weights
from visual_taxonomy.training.unreadable import TRAINING, VALIDATION, Unreadable


def frozen_classifier(taxonomy: Taxonomy, config: TrainConfig, reporter: Reporter) -> Classifier:
    """The model in evaluation mode; its heads are random yet.

    Raises:
        InputError: The backbone or its weights do not exist, or do not fit each other.
    """
    model = build_classifier(taxonomy, config.model)
    if not load_weights(model, config.model):
        reporter.note("note: the backbone has random weights; `pretrained_ckpt` loads others")
    return model.eval()


def encoded_parts(
    config: TrainConfig, tables: Tables, model: Classifier, parallel: Parallel, reporter: Reporter
) -> tuple[Encoded, Encoded]:
    """Training and validation rows with their features.

    With a feature cache they are the files that `vtax train --freeze_backbone` of the same split
    has written, or would find.

    Raises:
        InputError: No image of a part can be read, or a file of the cache is damaged.
    """
    found = {
        name: _encoded(config, table, model, parallel, reporter)
        for name, table in ((TRAINING, tables.training), (VALIDATION, tables.validation))
    }
    _unreadable(found).check(parallel, {TRAINING: tables.training, VALIDATION: tables.validation})
    return found[TRAINING], found[VALIDATION]


def list_unreadable(
    parts: tuple[Encoded, Encoded], tables: Tables, parallel: Parallel, folder: Path
) -> None:
    """Write unreadable.csv, where an image could not be read, and warn of it."""
    seen = _unreadable(dict(zip((TRAINING, VALIDATION), parts, strict=True)))
    seen.report(parallel, {TRAINING: tables.training, VALIDATION: tables.validation}, folder)


def _encoded(
    config: TrainConfig, table: Table, model: Classifier, parallel: Parallel, reporter: Reporter
) -> Encoded:
    images = images_of(config, table, model.encoder.backbone.preprocessing, parallel, reporter)
    features = table_features(config, table, images, 0, model, parallel, reporter)
    return Encoded(features[0].numpy(), table.categories, table.targets)


def _unreadable(parts: Mapping[str, Encoded]) -> Unreadable:
    seen = Unreadable()
    for name, part in parts.items():
        seen.readable[name] = int(part.has_image.sum())
        for row in (~part.has_image).nonzero()[0].tolist():
            seen.reasons[name, row] = UNREADABLE
    return seen
