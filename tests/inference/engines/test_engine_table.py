"""The table of engines: what it declares is true, and nothing is imported to read it."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.engines import ENGINE_REGISTRY, ENGINES, EngineEntry
from visual_taxonomy.inference.engines.base import Engine
from visual_taxonomy.inference.engines.choice import make_engine
from visual_taxonomy.inference.prediction import Predictor


@pytest.mark.parametrize(("name", "entry"), ENGINES.items())
def test_an_entry_names_an_engine_of_its_name_and_a_package(name: str, entry: EngineEntry) -> None:
    engine = entry.load()
    assert isinstance(engine, type)
    assert issubclass(engine, Engine)
    assert engine.name == name
    assert find_spec(entry.package) is not None
    assert entry.files


def test_one_engine_runs_checkpoints() -> None:
    assert [name for name, entry in ENGINES.items() if entry.runs_checkpoints] == ["torch"]


def test_the_table_is_read_without_importing_an_engine() -> None:
    code = (
        "import sys; from visual_taxonomy.inference.engines.choice import ENGINES; "
        "print({'torch', 'onnxruntime', 'openvino'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_an_engine_that_does_not_exist_is_refused_before_the_model_is_read() -> None:
    with pytest.raises(InputError, match=r"'openvion' is none of: onnxru.*Did you mean 'openvino'"):
        Predictor.load("gone.pt", InferenceConfig("openvion"))


def test_an_engine_of_ones_own_runs_a_bundle(bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EngineEntry(f"{__name__}:Own", "numpy", ("model.onnx",))
    module = sys.modules.setdefault(__name__, type(sys)(__name__))
    monkeypatch.setattr(module, "ENTRY", entry, raising=False)
    monkeypatch.setattr(module, "Own", lambda model, config: (model, config), raising=False)
    config = InferenceConfig(f"{__name__}:ENTRY")
    assert make_engine(bundle, config) == (bundle, config)
    monkeypatch.setattr(module, "ENTRY", entry._replace(package="not_there"))
    with pytest.raises(InputError, match="not installed; pip install not_there"):
        make_engine(bundle, config)
    with pytest.raises(InputError, match=":Own' is not an engine: it must be an EngineEntry"):
        ENGINE_REGISTRY.find(f"{__name__}:Own")
