"""Which engine runs a model, and whether it is installed."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import ONNX, OPENVINO, WEIGHTS, Bundle
from visual_taxonomy.inference.engines.base import Engine

if TYPE_CHECKING:
    from visual_taxonomy.checkpoint import Checkpoint

_FILES = {
    "onnxruntime": (ONNX,),
    "openvino": (OPENVINO, ONNX),
    "torch": (WEIGHTS,),
}
"""Engine -> files of a bundle, one of which it needs; the order is that of preference."""

_REMEDIES = {
    "onnxruntime": "pip install 'visual-taxonomy[runtime]'",
    "openvino": "pip install 'visual-taxonomy[openvino]'",
    "torch": "pip install visual-taxonomy",
}


def make_engine(model: "Checkpoint | Bundle", config: InferenceConfig) -> Engine:
    """The engine that runs a model.

    A checkpoint is run by torch. For a bundle `auto` is torch where the bundle holds weights, was
    not made for 8 bits, and there is a GPU or half precision is asked for. Otherwise it is the
    engine that the bundle was measured with; if there is none or it is not installed, the first
    of ONNX Runtime (for 8 bits OpenVINO, which is faster then), OpenVINO and torch that is
    installed and for which the bundle holds a file.

    Raises:
        InputError: The engine cannot run the model, or is not installed.
    """
    if not isinstance(model, Bundle):
        if config.engine not in ("auto", "torch"):
            raise InputError(
                f"--engine {config.engine} runs bundles, not checkpoints; make one with "
                "`vtax export CHECKPOINT --to onnx --out FOLDER`"
            )
        return _torch(model, config)
    name = _pick(model, config) if config.engine == "auto" else config.engine
    _check(name, model)
    if name == "torch":
        from visual_taxonomy.inference.engines.torch_engine import checkpoint_of

        return _torch(checkpoint_of(model), config)
    if name == "openvino":
        from visual_taxonomy.inference.engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(model, config)
    from visual_taxonomy.inference.engines.onnxruntime_engine import OnnxRuntimeEngine

    return OnnxRuntimeEngine(model, config)


def _torch(checkpoint: "Checkpoint", config: InferenceConfig) -> Engine:
    from visual_taxonomy.inference.engines.torch_engine import TorchEngine

    return TorchEngine(checkpoint, config)


def _pick(bundle: Bundle, config: InferenceConfig) -> str:
    able = able_engines(bundle)
    if "torch" in able and not bundle.int8 and _wants_torch(config):
        return "torch"
    favourite = graph_engine(bundle)
    able.sort(key=lambda name: name != favourite)
    return next((name for name in able if find_spec(name)), able[0])


def graph_engine(bundle: Bundle) -> str:
    """The engine that runs the graph of a bundle where it is installed."""
    usual = "openvino" if bundle.int8 or bundle.has(OPENVINO) else "onnxruntime"
    return bundle.measured.get("engine", usual)


def able_engines(bundle: Bundle) -> list[str]:
    """The engines for which a bundle holds a file, installed or not, in order of preference."""
    return [name for name in _FILES if _has_file(name, bundle)]


def _wants_torch(config: InferenceConfig) -> bool:
    if not find_spec("torch"):
        return False
    if config.precision not in ("auto", "32"):
        return True
    from visual_taxonomy.device import pick_device

    return pick_device(config.accelerator).type != "cpu"


def _has_file(engine: str, bundle: Bundle) -> bool:
    return any(bundle.has(name) for name in _FILES[engine])


def _check(engine: str, bundle: Bundle) -> None:
    if not _has_file(engine, bundle):
        able = ", ".join(able_engines(bundle))
        raise InputError(
            f"--engine {engine}: {bundle.folder} holds nothing for it; it runs with: {able}"
        )
    if not find_spec(engine):
        raise InputError(f"--engine {engine}: not installed; {_REMEDIES[engine]}")
