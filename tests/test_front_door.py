"""The public names: which there are, where they come from, what importing costs."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import visual_taxonomy

PUBLIC = {
    *("Taxonomy", "Predictor", "Prediction", "InferenceConfig", "InputError", "__version__"),
    *("TrainConfig", "DataConfig", "ModelConfig", "ObjectiveConfig", "OptimizerConfig"),
    *("RunConfig", "train", "evaluate", "Checkpoint", "read_checkpoint"),
    *("Loss", "ClassWeighting", "TaskWeighting", "BackwardOptions"),
    *("build_loss", "build_class_weighting", "build_task_weighting", "multi_task_backward"),
}
"""A name that goes breaks the programs of others: add names freely, take one away with a note."""


def run(code: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_the_public_names_are_the_frozen_ones() -> None:
    assert set(visual_taxonomy.__all__) == PUBLIC
    assert sorted(visual_taxonomy.__all__) == list(visual_taxonomy.__all__)
    assert set(dir(visual_taxonomy)) >= PUBLIC


@pytest.mark.parametrize(("home", "names"), visual_taxonomy._HOMES.items())
def test_a_public_name_is_that_of_its_module(home: str, names: tuple[str, ...]) -> None:
    defined = importlib.import_module(f"visual_taxonomy.{home}")
    for name in names:
        assert getattr(visual_taxonomy, name) is getattr(defined, name)


def test_every_public_name_has_one_home() -> None:
    homes = [name for names in visual_taxonomy._HOMES.values() for name in names]
    assert sorted([*homes, "__version__"]) == sorted(PUBLIC)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'visual_taxonomy' has no attribute 'Predicator'"):
        visual_taxonomy.Predicator  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); import visual_taxonomy; dir(visual_taxonomy); "
        "new = set(sys.modules) - before; print(sorted(n for n in new if 'visual' in n)); "
        "print(bool({'torch', 'numpy', 'polars', 'PIL'} & new))"
    )
    expected = "['visual_taxonomy', 'visual_taxonomy.version']\nFalse"
    assert run(code) == expected


def test_what_needs_no_torch_is_there_without_it(bundle, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (40, 50), "red").save(tmp_path / "1.png")
    code = f"""
import sys
from importlib.machinery import PathFinder
HIDDEN = ("torch", "torchvision", "timm", "lightning", "safetensors", "matplotlib")
class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.split(".")[0] in HIDDEN
        return None if hidden else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
from pathlib import Path
from visual_taxonomy import InferenceConfig, InputError, Prediction, Predictor, Taxonomy
from visual_taxonomy import TrainConfig, evaluate
predictor = Predictor.load({str(bundle.folder)!r}, InferenceConfig(workers=0))
(answer,) = predictor.predict([Path({str(tmp_path / "1.png")!r})], ["Sarees"])
print(sorted(answer.labels), isinstance(answer, Prediction))
"""
    assert run(code) == "['border', 'color'] True"
