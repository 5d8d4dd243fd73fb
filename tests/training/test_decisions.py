"""What a run leaves of its held-out predictions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visual_taxonomy.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from visual_taxonomy.config import (
    DataConfig,
    InferenceConfig,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
    TrainConfig,
)
from visual_taxonomy.decision.held_out import HELD_OUT_NAME, HeldOut
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.training import decisions
from visual_taxonomy.training import train as whole_run
from visual_taxonomy.training.preparation import split_table
from visual_taxonomy.training.run_folder import HELD_OUT_LAST_NAME
from visual_taxonomy.training.train import Result, read_rows, train

pytestmark = pytest.mark.filterwarnings("ignore:.*image could not be read")


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "catalogue"
    synthesize(folder, 40, seed=2, image_size=32, workers=1)
    config = config_of(folder, folder).data
    rows = split_table(read_rows(config).table, config, folder).validation
    rows.path(3).write_bytes(b"no image")
    return folder


def run(catalogue: Path, save_dir: Path, epochs: int = 3, **data: object) -> Result:
    found = train(config_of(catalogue, save_dir, epochs, **data))
    assert found is not None
    return found


def config_of(catalogue: Path, save_dir: Path, epochs: int = 3, **data: object) -> TrainConfig:
    small = {"embed_dim": 24, "depth": 1, "num_heads": 3}
    files = (catalogue / "images", catalogue / "train.csv", catalogue / "attrs_config.json")
    given = {
        "val_ratio": 0.4,
        "group_duplicates": False,
        "train_workers": 0,
        "val_workers": 0,
        **data,
    }
    return TrainConfig(
        DataConfig(*files, **given),
        ModelConfig("vit_tiny_patch16_224", "none", small, (32, 32), unlock_block=0),
        optimizer=OptimizerConfig(epochs=epochs, batch_size=16, scratch_lr=1e-2),
        run=RunConfig(save_dir, precision="32", accelerator="cpu"),
    )


@pytest.mark.parametrize("kind", ["images", "features", "averaged"])
def test_held_out_predictions_are_those_of_the_recommended_checkpoint(
    kind: str, catalogue: Path, tmp_path: Path
) -> None:
    config = config_of(catalogue, tmp_path)
    if kind == "averaged":
        config = replace(config, model=replace(config.model, tta="flip"))
    if kind == "features":
        frozen = replace(config.model, freeze_backbone=True)
        data = replace(config.data, feature_cache=tmp_path / "features")
        config = replace(config, model=frozen, data=data)
    result = train(config)
    assert result is not None
    held_out = HeldOut.read(result.folder / HELD_OUT_NAME)
    settings = InferenceConfig("torch", None, 0, "32", "cpu", decision="argmax")
    predictor = Predictor.load(result.folder / "best_score.pt", settings)
    expected = np.concatenate(
        [scores.probabilities for scores in predictor.predict_table(result.validation)]
    )
    assert predictor.tta == ("flip" if kind == "averaged" else "none")
    assert held_out.ids.tolist() == result.validation.ids.tolist()
    np.testing.assert_allclose(held_out.probabilities, expected, atol=1e-5)
    assert (~held_out.probabilities.any(axis=(1, 2))).sum() == 1  # cannot be read


def test_a_run_killed_at_its_end_finishes_it_when_it_is_resumed(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(catalogue, tmp_path / "whole")

    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(whole_run, "settle_decisions", killed)
        with pytest.raises(SystemExit):
            run(catalogue, tmp_path / "killed")
    config = config_of(catalogue, tmp_path / "killed")
    folder = config.run.folder
    kept = read_checkpoint(folder / "best_score.pt").held_out
    assert kept is not None
    with monkeypatch.context() as patch:
        patch.setattr(decisions, "link_or_copy", killed)
        with pytest.raises(SystemExit):
            decisions.settle_decisions(folder)
    train(replace(config, run=replace(config.run, resume=True)))
    for name in (HELD_OUT_NAME, HELD_OUT_LAST_NAME):
        found, expected = (HeldOut.read(each / name) for each in (folder, whole.folder))
        assert np.array_equal(found.probabilities, expected.probabilities)
    for path in folder.glob("best_*.pt"):
        found, expected = (read_checkpoint(each / path.name) for each in (folder, whole.folder))
        assert found.held_out is None
        assert found.decision == expected.decision is not None
    assert whole.decision_figures == read_checkpoint(folder / "best_score.pt").decision_figures


def test_rows_that_nothing_can_be_fitted_on_leave_argmax(
    held_out: HeldOut, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    unlabelled = replace(held_out, targets=np.full_like(held_out.targets, -1))
    write_checkpoint(
        tmp_path / "best_score.pt",
        replace(checkpoint, class_counts=dict(held_out.class_counts), held_out=unlabelled),
    )
    with pytest.warns(UserWarning, match="no decision can be fitted on the validation rows"):
        decisions.settle_decisions(tmp_path)
    assert read_checkpoint(tmp_path / "best_score.pt").decision is None
    assert HeldOut.read(tmp_path / HELD_OUT_NAME).ids.tolist() == held_out.ids.tolist()
