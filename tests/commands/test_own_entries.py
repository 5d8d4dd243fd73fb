"""A loss, a schedule, a method and a backbone of one's own: train, resume, predict elsewhere."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.checkpoint import read_checkpoint
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.synthetic.catalogue import synthesize

MODULE = """
from visual_taxonomy.class_weighting.inverse_frequency import InverseFrequency
from visual_taxonomy.losses.label_distribution_margin import LabelDistributionAwareMargin
from visual_taxonomy.task_weighting.base import LossWeighting

class Mine(LabelDistributionAwareMargin):
    "A loss of my own, of cosines."

class Rule(InverseFrequency):
    "A schedule of my own."

class Worst(LossWeighting):
    "A method of my own: the largest loss."
    def forward(self, losses, tasks, generator=None):
        return losses.max()
"""
NETS = """
import torch
from timm.models import register_model
from torch import nn

class Net(nn.Sequential):
    def __init__(self, width):
        super().__init__(nn.Conv2d(3, width, 8, 8), nn.ReLU(), nn.Flatten(), nn.LazyLinear(6))

@register_model
def own_net(pretrained=False, width=4, **timm_arguments):
    net = Net(width)
    net(torch.zeros(1, 3, 32, 32))
    return net
"""


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "catalogue"
    synthesize(folder, 50, seed=2, image_size=32, workers=1)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder with a module of one's own; it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    path = [entry for entry in sys.path if entry]  # pytest puts the current folder into it
    monkeypatch.setattr(sys, "path", path)
    (tmp_path / "own_training.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "own_nets.py").write_text(NETS, encoding="utf-8")
    yield tmp_path
    # Not own_nets: timm keeps its function for good, and warns where another takes its name.
    sys.modules.pop("own_training", None)


def flags(catalogue: Path, *more: str) -> list[str]:
    paths = ["--img_dir", str(catalogue / "images"), "--csv_path", str(catalogue / "train.csv")]
    paths += ["--attributes_config", str(catalogue / "attrs_config.json")]
    small = ["--backbone", "test_vit", "--image_size", "32", "32", "--pretrained_ckpt", "none"]
    fast = ["--batch_size", "16", "--epochs", "1", "--precision", "32", "--accelerator", "cpu"]
    alone = ["--train_workers", "0", "--val_workers", "0", "--batch_sampling", "joint"]
    return ["train", *paths, *small, *fast, *alone, "--save_dir", "out", *more]


def predict(checkpoint: Path, image: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Predict in a process that has never seen the module."""
    code = (
        "import sys; from pathlib import Path\n"
        "from visual_taxonomy import InferenceConfig, InputError, Predictor\n"
        "try: predictor = Predictor.load(sys.argv[1], InferenceConfig(accelerator='cpu'))\n"
        "except InputError as error: sys.exit(str(error))\n"
        "category = predictor.taxonomy.categories[0]\n"
        "print(predictor.predict([Path(sys.argv[2])], [category])[0].labels)"
    )
    away = checkpoint.parents[2] / "away"
    away.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", code, str(checkpoint), str(image)],
        capture_output=True,
        text=True,
        check=False,
        cwd=away,
        env={**os.environ, **environment},
    )


def test_entries_of_the_current_folder_train_resume_and_predict_elsewhere(
    catalogue: Path, here: Path
) -> None:
    own = ["--loss_type", "own_training:Mine", "--train_rule", "own_training:Rule"]
    own += ["--method", "own_training:Worst", "--loss_parameters", "scale", "9"]
    assert cli.run(flags(catalogue, *own)) == 0
    run = here / "out" / "visual_taxonomy_train"
    assert 'loss_type = "own_training:Mine"' in (run / "config.toml").read_text()
    assert cli.run(["train", "--config", str(run / "config.toml"), "--resume"]) == 0
    checkpoint = read_checkpoint(run / "best_score.pt")
    assert checkpoint.model.head == "cosine"  # as the loss asks, without asking it again
    assert checkpoint.weights["heads.classifiers.scale"] == 9
    result = predict(run / "best_score.pt", min((catalogue / "images").iterdir()))
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("{'")


def test_a_backbone_of_ones_own_trains_and_must_be_importable_to_predict(
    catalogue: Path, here: Path
) -> None:
    own = ["--backbone", "own_nets:own_net", "--backbone_parameters", "width", "5"]
    assert cli.run(flags(catalogue, *own, "--unlock_block", "0")) == 0
    path, image = (
        here / "out/visual_taxonomy_train/best_score.pt",
        min((catalogue / "images").iterdir()),
    )
    assert read_checkpoint(path).model.backbone == "own_nets:own_net"
    refused = predict(path, image)
    assert "backbone 'own_nets:own_net': there is no module own_nets; install it" in (
        refused.stderr
    )
    assert "Traceback" not in refused.stderr
    given = os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")])
    result = predict(path, image, PYTHONPATH=given)
    assert result.returncode == 0, result.stderr


def test_the_parts_of_a_backbone_of_ones_own_are_not_known(catalogue: Path, here: Path) -> None:
    del here
    with pytest.raises(InputError, match=r"own_net; give `unlock_block=0` or `freeze_backbone`"):
        cli.run(flags(catalogue, "--backbone", "own_nets:own_net"))


def test_a_backbone_without_published_weights_says_so(catalogue: Path, here: Path) -> None:
    del here
    own = ["--backbone", "own_nets:own_net", "--pretrained_ckpt", "timm"]
    with pytest.raises(InputError, match="no weights of timm for backbone own_nets:own_net"):
        cli.run(flags(catalogue, *own, "--unlock_block", "0"))


def test_a_checkpoint_cannot_call_what_is_no_model_of_timm(catalogue: Path, here: Path) -> None:
    with pytest.raises(
        InputError, match="'os:system' is not a backbone: it must be a function with"
    ):
        cli.run(flags(catalogue, "--backbone", "os:system"))
    with pytest.raises(InputError, match="'own_nets:Net' is not a backbone"):
        cli.run(flags(catalogue, "--backbone", "own_nets:Net"))
    assert not (here / "out").exists()


def test_prediction_looks_for_no_module_in_the_current_folder(here: Path) -> None:
    del here
    with pytest.raises(InputError, match="no such checkpoint"):
        Predictor.load("gone.pt")
    assert str(Path.cwd()) not in sys.path


def test_a_loss_of_cosines_needs_a_scale(catalogue: Path, here: Path) -> None:
    text = "\nfrom visual_taxonomy.losses import Loss\nclass Bare(Loss):\n    head = 'cosine'\n"
    text += "    def __init__(self, class_counts):\n        super().__init__()\n"
    (here / "own_training.py").write_text(MODULE + text)
    with pytest.raises(InputError, match=r"loss 'own_training:Bare' has head = 'cosine', so it n"):
        cli.run(flags(catalogue, "--loss_type", "own_training:Bare"))
