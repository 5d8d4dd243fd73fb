"""Every tracker for real: W&B offline, TensorBoard's event files, MLflow's database."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visual_taxonomy.config import RunConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import Report, evaluate
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.trackers import (
    IDS_NAME,
    TRACKERS,
    Trackers,
    named_scores,
)

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # of the trackers about themselves


@pytest.fixture
def report() -> Report:
    """Micro 1/2, macro 1/3, HM 0.4 for the one attribute with labels; the name has an ampersand."""
    taxonomy = Taxonomy.from_dict({"Tops & Tunics": {"neck": ["round", "V"], "fit": ["slim"]}})
    predicted, targets = np.array([[0, 0], [0, 0]]), np.array([[0, -1], [1, -1]])
    return evaluate(taxonomy, predicted, targets, np.array([0, 0]))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracker reaches for the network."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def tracked(tmp_path: Path, report: Report, offline: None) -> Callable[..., RunConfig]:
    """A function that tracks a short run, or the rest of one, and gives its config."""

    def track(name: str, first_step: int = 1, resume: bool = False) -> RunConfig:
        flags = {name: True, "log_checkpoint": True, "resume": resume}
        config = RunConfig(save_dir=tmp_path, run_name="r1", **flags)
        config.folder.mkdir(exist_ok=True)
        trackers = Trackers(config)
        with trackers.run({"objective": {"loss_type": "LDAM"}}):
            values = {"hm": 0.25, "val_loss": math.nan} | named_scores(report)
            trackers.log(values, first_step)
            Image.new("RGB", (8, 6), "red").save(config.folder / "scores.png")
            (config.folder / "best_score.pt").write_bytes(b"weights")
        return config

    return track


def test_scores_are_named_by_category_and_attribute(report):
    assert named_scores(report) == {
        "hm/Tops & Tunics": pytest.approx(0.4),
        "micro/Tops & Tunics": 0.5,
        "macro/Tops & Tunics": pytest.approx(1 / 3),
        "hm/Tops & Tunics/neck": pytest.approx(0.4),
        "micro/Tops & Tunics/neck": 0.5,
        "macro/Tops & Tunics/neck": pytest.approx(1 / 3),
    }


def test_tensorboard_holds_config_scores_and_plots(tracked):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = tracked("tensorboard")
    events = EventAccumulator(str(config.folder / "tensorboard")).Reload()
    assert {"hm", "hm/Tops & Tunics/neck"} <= set(events.Tags()["scalars"])
    assert events.Scalars("hm")[0].value == 0.25
    (image,) = events.Images("scores")
    assert (image.height, image.width) == (6, 8)
    files = list((config.folder / "tensorboard").rglob("events.out.tfevents*"))
    assert any(b"LDAM" in file.read_bytes() for file in files)


@pytest.mark.slow
def test_mlflow_holds_config_scores_plots_and_checkpoint_and_resumes_the_same_run(tracked):
    from mlflow.tracking import MlflowClient

    config = tracked("mlflow")
    tracked("mlflow", first_step=2, resume=True)
    client = MlflowClient(f"sqlite:///{config.folder / 'mlflow.db'}")
    (run,) = client.search_runs([each.experiment_id for each in client.search_experiments()])
    assert run.info.status == "FINISHED"
    assert run.data.params == {"objective/loss_type": "LDAM"}
    assert run.data.metrics["hm/Tops _ Tunics/neck"] == pytest.approx(0.4)
    assert [each.step for each in client.get_metric_history(run.info.run_id, "hm")] == [1, 2]
    found = {path.name for path in (config.folder / "mlartifacts").rglob("*") if path.is_file()}
    assert found == {"scores.png", "best_score.pt"}


@pytest.mark.slow
def test_wandb_writes_an_offline_run_and_resumes_it_under_its_id(tracked):
    config = tracked("wandb")
    ids = json.loads((config.folder / IDS_NAME).read_text())
    tracked("wandb", first_step=2, resume=True)
    assert json.loads((config.folder / IDS_NAME).read_text()) == ids
    runs = list((config.folder / "wandb").glob("offline-run-*"))
    assert runs
    assert all(run.name.endswith(ids["wandb"]) for run in runs)
    content = b"".join(path.read_bytes() for path in config.folder.rglob("*.wandb"))
    for expected in (b"LDAM", b"hm/Tops & Tunics/neck", b"best_score"):
        assert expected in content
    assert list(config.folder.rglob("media/images/scores*.png"))


def test_without_a_flag_nothing_is_tracked_and_nothing_written(tmp_path):
    trackers = Trackers(RunConfig(save_dir=tmp_path, run_name="r1"))
    with trackers.run({}):
        trackers.log({"hm": 0.5}, 1)
    assert not list(tmp_path.iterdir())


class Spy:
    """A tracker that remembers what it is told."""

    packages = ()
    run_id = None

    def __init__(self, config: RunConfig, run_id: str | None) -> None:
        self.seen = SEEN

    def __getattr__(self, name: str):
        return lambda *arguments: self.seen.append((name, *arguments))


SEEN: list[tuple[object, ...]] = []


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What the spy in place of TensorBoard is told."""
    SEEN.clear()
    monkeypatch.setitem(TRACKERS, "tensorboard", Spy)
    return SEEN


@pytest.mark.parametrize("wanted", [False, True])
def test_the_checkpoint_is_sent_only_where_asked_for(tmp_path, spied, wanted):
    config = RunConfig(tmp_path, "r1", tensorboard=True, log_checkpoint=wanted)
    config.folder.mkdir()
    best = config.folder / "best_score.pt"
    with Trackers(config).run({}):
        best.touch()
    expected = [("log_checkpoint", best)] if wanted else []
    assert spied == [("log_config", {}), *expected, ("finish", "success")]


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_a_run_that_breaks_off_is_marked_as_failed(tmp_path, spied, error):
    def break_off() -> None:
        raise error

    config = RunConfig(tmp_path, "r1", tensorboard=True)
    with pytest.raises(error), Trackers(config).run({}):
        break_off()
    assert spied[-1] == ("finish", "failed")


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_whose_package_is_missing_names_the_extra(monkeypatch, tmp_path, name):
    monkeypatch.setattr("visual_taxonomy.training.trackers.find_spec", lambda package: None)
    message = rf"`{name}` needs .*{name}.*: pip install 'visual-taxonomy\[{name}\]'"
    with pytest.raises(InputError, match=message):
        Trackers(RunConfig(save_dir=tmp_path, **{name: True}))
