"""Which engine runs a model, and whether it is installed."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import Bundle
from visual_taxonomy.inference.engines import ENGINE_REGISTRY, ENGINES
from visual_taxonomy.inference.engines.base import Engine

if TYPE_CHECKING:
    from visual_taxonomy.checkpoint import Checkpoint

AUTO = "auto"
_OF_CHECKPOINTS = next(name for name, entry in ENGINES.items() if entry.runs_checkpoints)


def check_name(config: InferenceConfig) -> None:
    """Refuse an engine that does not exist, before a model is read.

    Raises:
        InputError: There is none of that name.
    """
    if config.engine != AUTO:
        ENGINE_REGISTRY.find(config.engine)


def make_engine(model: "Checkpoint | Bundle", config: InferenceConfig) -> Engine:
    """The engine that runs a model.

    A checkpoint is run by torch. For a bundle `auto` is torch where the bundle holds weights, was
    not made for 8 bits, and there is a GPU or half precision is asked for. Otherwise it is the
    engine that the bundle was measured with; if there is none or it is not installed, the first
    of ONNX Runtime (for 8 bits OpenVINO, which is faster then), OpenVINO and torch that is
    installed and for which the bundle holds a file.

    Raises:
        InputError: The engine does not exist, cannot run the model, or is not installed.
    """
    name = config.engine
    # Not isinstance(model, Checkpoint): naming that class imports torch.
    if not isinstance(model, Bundle):
        name = _OF_CHECKPOINTS if name == AUTO else name
        if not ENGINE_REGISTRY.find(name).runs_checkpoints:
            raise InputError(
                f"`engine={name}` runs bundles, not checkpoints; make one with "
                "`vtax export CHECKPOINT --to onnx --out FOLDER`"
            )
    else:
        name = _pick(model, config) if name == AUTO else name
        _check(name, model)
    make = ENGINE_REGISTRY.find(name).load()
    return make(model, config)


def graph_engine(bundle: Bundle) -> str:
    """The engine that runs the graph of a bundle where it is installed."""
    return bundle.measured.get("engine", graph_engines(bundle)[0])


def graph_engines(bundle: Bundle) -> list[str]:
    """The engines for which a bundle holds a graph, installed or not, the fastest first."""
    graphs = [name for name in ENGINES if not ENGINES[name].runs_checkpoints]

    def is_slower(name: str) -> bool:
        own = ENGINES[name].files[0]
        readers = [other for other in graphs if own in ENGINES[other].files]
        is_made_for_it = len(readers) == 1 and bundle.has(own)
        return not (is_made_for_it or (bundle.int8 and ENGINES[name].is_best_with_int8))

    able = [name for name in graphs if _has_file(name, bundle)]
    # A bundle of weights alone has no graph, but its card still says what would run one.
    return sorted(able or graphs, key=is_slower)


def able_engines(bundle: Bundle) -> list[str]:
    """The engines for which a bundle holds a file, installed or not, in order of preference."""
    return [name for name in ENGINES if _has_file(name, bundle)]


def _pick(bundle: Bundle, config: InferenceConfig) -> str:
    able = able_engines(bundle)
    # 8 bits were asked for at export and exist in the graph only; torch would run the float32
    # weights.
    if _OF_CHECKPOINTS in able and not bundle.int8 and _wants_torch(config):
        return _OF_CHECKPOINTS
    # The sort is stable: behind the favourite the order of the table stays.
    favourite = graph_engine(bundle)
    able.sort(key=lambda name: name != favourite)
    # The favourite may not be installed here; if none is, `_check` says how to install the first.
    return next((name for name in able if find_spec(ENGINES[name].package)), able[0])


def _wants_torch(config: InferenceConfig) -> bool:
    # Looking for a GPU imports torch, which takes a second where a bundle needs none.
    if not find_spec("torch"):
        return False
    if config.precision not in ("auto", "32"):
        return True
    from visual_taxonomy.device import pick_device

    return pick_device(config.accelerator).type != "cpu"


def _has_file(engine: str, bundle: Bundle) -> bool:
    return any(bundle.has(name) for name in ENGINE_REGISTRY.find(engine).files)


def _check(engine: str, bundle: Bundle) -> None:
    entry = ENGINE_REGISTRY.find(engine)
    if not _has_file(engine, bundle):
        able = ", ".join(able_engines(bundle))
        raise InputError(
            f"`engine={engine}`: {bundle.folder} holds nothing for it; it runs with: {able}"
        )
    if not find_spec(entry.package):
        raise InputError(f"`engine={engine}`: not installed; {entry.remedy}")
