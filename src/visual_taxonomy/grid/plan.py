"""From a grid to its runs, each with a name that is a digest of settings and data."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from visual_taxonomy.config import TrainConfig
from visual_taxonomy.config_values import from_dict, in_sections
from visual_taxonomy.errors import InputError
from visual_taxonomy.grid.grid_file import Grid, Variant
from visual_taxonomy.training.run_folder import numerical_settings


@dataclass(frozen=True)
class PlannedRun:
    """A run of a grid.

    Args:
        variant: Name of its configuration.
        seed: Value of `random_state`.
        fold: The fold that is held out, from 0; None for the one split.
        settings: Flag -> value, where the configuration differs from the base.
        config: All settings.
    """

    variant: str
    seed: int
    fold: int | None
    settings: Mapping[str, Any]
    config: TrainConfig

    @property
    def name(self) -> str:
        """What people call it.

        Example:
            >>> from visual_taxonomy.config import DataConfig
            >>> config = TrainConfig(DataConfig(Path("images"), Path("train.csv")))
            >>> PlannedRun("CE/DRW", 1, None, {}, config).name
            'CE/DRW, seed 1'
        """
        fold = "" if self.fold is None else f", fold {self.fold}"
        return f"{self.variant}, seed {self.seed}{fold}"


def plan(grid: Grid, threads: int = 1) -> list[PlannedRun]:
    """The runs of a grid: of each seed and fold all variants, one after the other.

    In this order a grid that is stopped half-way has compared all variants on some seeds.

    Args:
        grid: What the file asks for.
        threads: Of each process; images are loaded by what they leave.

    Raises:
        InputError: A combination of settings is refused; it is named.
    """
    folds = [None] if grid.folds is None else range(grid.folds)
    return [
        planned(grid, variant, seed, fold, threads)
        for seed in grid.seeds
        for fold in folds
        for variant in grid.variants
    ]


def planned(
    grid: Grid, variant: Variant, seed: int, fold: int | None, threads: int = 1
) -> PlannedRun:
    """One run of a grid.

    Raises:
        InputError: Its settings are refused.
    """
    settings = {
        # A process of its own for loading would take a core that another run has.
        **dict.fromkeys(("train_workers", "val_workers"), threads - 1),
        **grid.base,
        **variant.settings,
    }
    # Seeds change weights and batches, not rows: scores are compared on the same ones.
    split_seed = settings.get("split_seed", settings.get("random_state", 42))
    settings |= {"random_state": seed, "split_seed": split_seed}
    if grid.folds is not None:
        settings |= {"folds": grid.folds, "fold": fold}
    source = f"{grid.path}, '{variant.name}'"
    config = from_dict(TrainConfig, in_sections(TrainConfig, settings, source), source)
    # The rows of the score must not decide when the training stops.
    optimizer = replace(config.optimizer, patience=config.optimizer.epochs)
    config = replace(config, optimizer=optimizer)
    return PlannedRun(variant.name, seed, fold, variant.settings, config)


def check_objectives(runs: list[PlannedRun], source: Path) -> None:
    """Build loss, schedule and method of each run, as training would.

    Raises:
        InputError: A name or a parameter does not exist, or a combination is refused; it is named.
    """
    from torch import tensor

    from visual_taxonomy.taxonomy import Taxonomy
    from visual_taxonomy.training.objective import Objective
    from visual_taxonomy.training.task_updates import backward_options, build_method

    # Two heads of two classes: what is refused is refused for any taxonomy.
    taxonomy = Taxonomy.from_dict({"a": {"b": ["c", "d"], "e": ["f", "g"]}})
    counts = [tensor([2, 1]), tensor([2, 1])]
    seen = set()
    for run in runs:
        if run.variant in seen:
            continue
        seen.add(run.variant)
        try:
            # What has no effect is said by the run itself, in its log.
            with warnings.catch_warnings(action="ignore"):
                Objective(taxonomy, counts, run.config.objective, run.config.optimizer.epochs)
                method = build_method(run.config.objective, taxonomy)
            backward_options(run.config.objective, method.screens).check(method)
        except InputError as error:
            raise InputError(f"{source}, '{run.variant}': {error}") from None


def identify(run: PlannedRun, data: str) -> str:
    """The digest of a run: of all settings that change numbers, and of the data.

    Where data and weights lie does not count, but what they hold does.

    Args:
        run: The run.
        data: Digest of its rows.
    """
    settings = numerical_settings(run.config)
    weights = Path(run.config.model.pretrained_ckpt)
    if weights.is_file():
        settings["model"]["pretrained_ckpt"] = _digest_of_file(weights.resolve())
    if run.config.data.split_path is not None:
        settings["data"]["split_path"] = _digest_of_file(run.config.data.split_path.resolve())
    content = json.dumps(
        [settings, data, run.config.run.precision, run.config.run.accelerator], sort_keys=True
    )
    # 80 bits: short enough for the name of a folder, and no two runs of a ledger share them.
    return hashlib.sha256(content.encode()).hexdigest()[:20]


@cache
def _digest_of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
