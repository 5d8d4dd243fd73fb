"""Configs: what they refuse, and that they survive TOML."""

from dataclasses import replace
from pathlib import Path

import pytest

from visual_taxonomy.config import (
    DataConfig,
    InferenceConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RunConfig,
    TrainConfig,
)
from visual_taxonomy.config_values import from_dict, read_toml, to_dict, to_toml
from visual_taxonomy.errors import InputError


def example() -> TrainConfig:
    return TrainConfig(
        data=DataConfig(Path("a b/images"), Path('quo"te.csv'), parq_path=Path("c.parquet")),
        model=ModelConfig(image_size=(160, 120), backbone_parameters={"pad_type": "same"}),
        objective=ObjectiveConfig(loss_parameters={"gamma": 2.0}),
        optimizer=OptimizerConfig(epochs=3, scratch_lr=1e-3),
    )


def test_a_config_survives_toml(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(to_toml(example()), encoding="utf-8")
    assert read_toml(TrainConfig, path) == example()


def test_whole_numbers_serve_as_fractions_and_nothing_else_is_converted() -> None:
    assert from_dict(OptimizerConfig, {"clip_norm": 2}).clip_norm == 2.0
    with pytest.raises(InputError, match="epochs = '3' cannot be used; expected int"):
        from_dict(OptimizerConfig, {"epochs": "3"})
    with pytest.raises(InputError, match="epochs = True cannot be used"):
        from_dict(OptimizerConfig, {"epochs": True})
    with pytest.raises(InputError, match="expected one of mixed, sequential, joint"):
        from_dict(
            DataConfig, {"img_dir": "a", "csv_path": "b", "batch_sampling": "both"}, "run.toml"
        )


def test_an_unknown_key_is_named_with_its_section_and_the_nearest() -> None:
    with pytest.raises(InputError, match=r"run\.toml, \[optimizer\]: 'epoch' .*mean 'epochs'"):
        from_dict(TrainConfig, {"optimizer": {"epoch": 3}}, "run.toml")


def test_a_missing_required_key_is_named() -> None:
    with pytest.raises(InputError, match=r"\[data\]: 'csv_path' is missing"):
        from_dict(TrainConfig, {"data": {"img_dir": "images"}}, "run.toml")


def test_an_unusable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: no such config file"):
        read_toml(TrainConfig, tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("= 3")
    with pytest.raises(InputError, match=r"bad\.toml: not a TOML file"):
        read_toml(TrainConfig, tmp_path / "bad.toml")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000)
    with pytest.raises(InputError, match=r"deep\.toml: not a config: .* nested too deeply"):
        read_toml(TrainConfig, tmp_path / "deep.toml")
    (tmp_path / "long.toml").write_text("a = " + "9" * 5000)
    with pytest.raises(InputError, match=r"long\.toml: not a TOML file"):
        read_toml(TrainConfig, tmp_path / "long.toml")


def test_a_value_out_of_range_is_named_with_its_file_and_section() -> None:
    with pytest.raises(InputError, match=r"run\.toml, \[optimizer\]: `epochs` must be above 0"):
        from_dict(
            TrainConfig,
            {"data": {"img_dir": "a", "csv_path": "b"}, "optimizer": {"epochs": 0}},
            "run.toml",
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DataConfig(Path("a"), Path("b"), val_ratio=1.0), "`val_ratio` must lie between"),
        (lambda: DataConfig(Path("a"), Path("b"), train_workers=-1), "`train_workers` must be 0"),
        (lambda: ModelConfig(dropout=1.0), "`dropout` must lie in"),
        (lambda: ModelConfig(drop_path=-0.1), "`drop_path` must lie in"),
        (
            lambda: ModelConfig(drop_path=0.1, backbone_parameters={"drop_path_rate": 0.1}),
            "`drop_path` and drop_path_rate of `backbone_parameters` are the same",
        ),
        (lambda: ModelConfig(image_size=(0, 3)), "`image_size` must be above 0"),
        (lambda: ObjectiveConfig(beta=1.5), "`beta` must lie in"),
        (lambda: ObjectiveConfig(label_smoothing=1.0), "`label_smoothing` must lie in"),
        (lambda: OptimizerConfig(batch_size=0), "`batch_size` must be above 0"),
        (lambda: OptimizerConfig(scratch_lr=-1), "`scratch_lr` must be 0 or more"),
        (lambda: OptimizerConfig(warm_up=2), "`warm_up` must lie in"),
        (lambda: OptimizerConfig(layer_decay=0), "`layer_decay` must lie in"),
        (lambda: OptimizerConfig(ema_decay=1.0), "`ema_decay` must lie in"),
        (lambda: RunConfig(devices=0), "`devices` must be above 0"),
        *(
            (lambda name=name: RunConfig(run_name=name), "`run_name` must be the name of a folder")
            for name in ("a/b", "/a", "a/", "..", ".", "", "a\\b", "a\0b")
        ),
        (lambda: DataConfig(Path("a"), Path("b"), random_state=2**32), "`random_state` must be at"),
        (
            lambda: DataConfig(Path("a"), Path("b"), randaugment=(0, 9)),
            "`randaugment` is 1 or",
        ),
        (lambda: DataConfig(Path("a"), Path("b"), randaugment=(2, 31)), "of 0 to 30, not 2 and 31"),
        (lambda: DataConfig(Path("a"), Path("b"), random_erasing=1.5), "`random_erasing` must lie"),
        (lambda: ObjectiveConfig(row_budget_mb=0), "`row_budget_mb` must be above 0"),
        (lambda: InferenceConfig(batch_size=0), "`batch_size` must be above 0"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_flag(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_averaging_over_mirror_images_needs_images() -> None:
    data = DataConfig(Path("a"), Path("b"), feature_cache=Path("c"))
    model = ModelConfig(freeze_backbone=True, tta="flip")
    with pytest.raises(InputError, match="`tta=flip` needs images, and `feature_cache` holds"):
        TrainConfig(data, model)


def test_views_without_augmentation_are_refused() -> None:
    files = (Path("a"), Path("b"))
    data = DataConfig(*files, feature_cache=Path("c"), feature_views=2, augmentation="none")
    with pytest.raises(InputError, match="`feature_views` with `augmentation=none` would all be"):
        TrainConfig(data, ModelConfig(freeze_backbone=True))
    for added in ({"randaugment": (2, 9)}, {"random_erasing": 0.5}):
        TrainConfig(replace(data, **added), ModelConfig(freeze_backbone=True))


def test_markers_and_chosen_columns_are_recorded() -> None:
    config = DataConfig(Path("a"), Path("b"), missing_values=("?", "-nan"))
    assert to_dict(config)["missing_values"] == ["?", "-nan"]
    assert from_dict(DataConfig, to_dict(config)) == config
    usual = DataConfig(Path("a"), Path("b"), attribute_columns=("color", "neck"))
    assert {"NA", "None", "nan"} < set(to_dict(usual)["missing_values"])
    assert from_dict(DataConfig, to_dict(usual)) == usual


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fold": 1}, "`fold` 1 needs `folds`"),
        ({"folds": 1}, "`folds` must be 2 or more, not 1"),
        ({"folds": 3, "fold": 3}, r"`fold` must be one of 0 \.\.\. 2 for `folds` 3, not 3"),
        ({"folds": 3, "fold": -1}, "`fold` must be one of 0"),
        ({"folds": 3, "test_ratio": 0.1}, "`folds` holds out each row once"),
        ({"folds": 3, "split_path": Path("a")}, "`folds` and `split_path` both say which rows"),
        ({"folds": 3, "val_csv_path": Path("a")}, "`folds` and `val_csv_path` both say which"),
    ],
)
def test_folds_that_cannot_be_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DataConfig(Path("a"), Path("b.csv"), **given)  # type: ignore[arg-type]
