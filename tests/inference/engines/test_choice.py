from dataclasses import replace
from typing import ClassVar

import pytest

from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import ONNX, OPENVINO, TAXONOMY, WEIGHTS, Bundle
from visual_taxonomy.inference.engines import ENGINES, choice
from visual_taxonomy.inference.engines.choice import make_engine
from visual_taxonomy.inference.engines.onnxruntime_engine import OnnxRuntimeEngine
from visual_taxonomy.inference.engines.torch_engine import TorchEngine

CPU = InferenceConfig(accelerator="cpu", precision="32")


def holding(bundle: Bundle, *names: str) -> Bundle:
    return replace(bundle, files=dict.fromkeys((TAXONOMY, *names), ""))


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch):
    """Make packages look as if they were not installed."""

    def hide(*names: str) -> None:
        find = choice.find_spec
        monkeypatch.setattr(choice, "find_spec", lambda name: name not in names and find(name))

    return hide


def test_a_checkpoint_is_run_by_torch(checkpoint) -> None:
    assert isinstance(make_engine(checkpoint, CPU), TorchEngine)
    assert isinstance(make_engine(checkpoint, replace(CPU, engine="torch")), TorchEngine)


def test_another_engine_needs_a_bundle(checkpoint) -> None:
    with pytest.raises(InputError, match="`engine=openvino` runs bundles, not checkpoints"):
        make_engine(checkpoint, InferenceConfig("openvino"))


@pytest.mark.parametrize("name", ENGINES)
def test_a_bundle_is_run_by_the_engine_that_is_asked_for(bundle, name: str) -> None:
    engine = make_engine(bundle, replace(CPU, engine=name))
    assert (engine.name, engine.precision, engine.image_size) == (name, "32", (32, 48))


def test_on_a_cpu_a_bundle_is_run_by_onnx_runtime(bundle) -> None:
    assert isinstance(make_engine(bundle, CPU), OnnxRuntimeEngine)


def test_without_onnx_runtime_the_next_that_is_installed_runs_it(bundle, without) -> None:
    without("onnxruntime")
    assert make_engine(bundle, CPU).name == "openvino"
    without("openvino")
    assert make_engine(bundle, CPU).name == "torch"


def test_the_engine_that_a_bundle_was_measured_with_runs_it(bundle, without) -> None:
    measured = replace(bundle, measured={"engine": "openvino"})
    assert make_engine(measured, CPU).name == "openvino"
    without("openvino")
    assert make_engine(measured, CPU).name == "onnxruntime"


def test_8_bits_are_faster_with_openvino(bundle, without) -> None:
    assert make_engine(replace(bundle, int8=True), CPU).name == "openvino"
    without("openvino")
    assert make_engine(replace(bundle, int8=True), CPU).name == "onnxruntime"


def test_half_precision_is_for_torch(bundle) -> None:
    engine = make_engine(bundle, replace(CPU, precision="bf16"))
    assert (engine.name, engine.precision) == ("torch", "bf16")


def test_on_a_gpu_torch_runs_what_was_not_made_for_8_bits(bundle, monkeypatch) -> None:
    class Device:
        type: ClassVar[str] = "cuda"

    monkeypatch.setattr("visual_taxonomy.device.pick_device", lambda accelerator: Device)
    assert choice._pick(bundle, InferenceConfig()) == "torch"
    assert choice._pick(replace(bundle, int8=True), InferenceConfig()) == "openvino"
    assert choice._pick(holding(bundle, ONNX), InferenceConfig()) == "onnxruntime"


def test_without_torch_there_is_no_look_for_a_gpu(bundle, without) -> None:
    without("torch")
    assert make_engine(bundle, InferenceConfig()).name == "onnxruntime"


def test_an_engine_needs_a_file_in_the_bundle(bundle) -> None:
    with pytest.raises(InputError, match="holds nothing for it; it runs with: onnxruntime, openv"):
        make_engine(holding(bundle, ONNX), InferenceConfig("torch"))
    with pytest.raises(InputError, match=r"`engine=onnxruntime`: .* it runs with: openvino$"):
        make_engine(holding(bundle, OPENVINO), InferenceConfig("onnxruntime"))


def test_an_engine_that_is_not_installed_is_named_with_the_remedy(bundle, without) -> None:
    without("onnxruntime", "openvino")
    with pytest.raises(InputError, match=r"not installed; pip install 'visual-taxonomy\[runtime"):
        make_engine(holding(bundle, ONNX), InferenceConfig())
    with pytest.raises(InputError, match=r"pip install 'visual-taxonomy\[openvino\]'"):
        make_engine(bundle, InferenceConfig("openvino"))
    without("torch")
    with pytest.raises(InputError, match=r"pip install visual-taxonomy$"):
        make_engine(holding(bundle, WEIGHTS), InferenceConfig())
