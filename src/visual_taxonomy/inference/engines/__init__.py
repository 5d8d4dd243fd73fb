"""What runs a model: torch, ONNX Runtime or OpenVINO, all with one interface of NumPy arrays."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from visual_taxonomy.inference.bundle import ONNX, OPENVINO, WEIGHTS
from visual_taxonomy.registry import Registry, import_named

if TYPE_CHECKING:
    from visual_taxonomy.inference.engines.base import Engine

_HERE = "visual_taxonomy.inference.engines"


class EngineEntry(NamedTuple):
    """An engine as it is chosen, without importing it or the package that computes."""

    # A string, not the class: importing torch's engine imports torch.
    address: str
    """Module and class of the `Engine`: "module:Class"; it takes a bundle and a config."""
    package: str
    """The package that computes, as it is imported and installed."""
    files: tuple[str, ...]
    """Model files of a bundle, one of which it needs, the one made for it first."""
    extra: str = ""
    """Extra of visual-taxonomy that installs the package; empty where it is no extra."""
    runs_checkpoints: bool = False
    """Whether it takes a `Checkpoint` too, and computes with the weights, not with a graph."""
    is_best_with_int8: bool = False
    """Whether it is the fastest with a graph of 8 bits."""

    def load(self) -> "Callable[..., Engine]":
        """Import the class."""
        return import_named(self.address, "engine")

    def describe(self) -> str:
        """A line for `vtax list engines`."""
        return f"runs {' or '.join(self.files)}; {self.remedy}"

    @property
    def remedy(self) -> str:
        """How to install what computes."""
        if self.address.startswith(f"{_HERE}."):
            extra = f"'visual-taxonomy[{self.extra}]'" if self.extra else "visual-taxonomy"
            return f"pip install {extra}"
        return f"pip install {self.package}"


ENGINES: dict[str, EngineEntry] = {  # in order of preference
    "onnxruntime": EngineEntry(
        f"{_HERE}.onnxruntime_engine:OnnxRuntimeEngine", "onnxruntime", (ONNX,), "runtime"
    ),
    "openvino": EngineEntry(
        f"{_HERE}.openvino_engine:OpenVinoEngine",
        "openvino",
        (OPENVINO, ONNX),
        "openvino",
        is_best_with_int8=True,
    ),
    "torch": EngineEntry(
        f"{_HERE}.torch_engine:TorchEngine", "torch", (WEIGHTS,), runs_checkpoints=True
    ),
}

ENGINE_REGISTRY = Registry(
    "engine",
    "visual_taxonomy.engines",
    ENGINES,
    lambda entry: "" if isinstance(entry, EngineEntry) else "it must be an EngineEntry",
)
