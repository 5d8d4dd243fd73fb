"""Run the ONNX graph of a bundle with ONNX Runtime on the CPU.

Shapes: as in `inference/engines/base.py`.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from typing_extensions import override

from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.cores import available_cores
from visual_taxonomy.inference.bundle import ONNX, Bundle
from visual_taxonomy.inference.engines.base import softmax
from visual_taxonomy.inference.engines.graph_engine import GraphEngine

# Each holds the tensors of a batch.
_MOST_STREAMS = 8


class OnnxRuntimeEngine(GraphEngine):
    """A session of ONNX Runtime on all cores this process may use, shared by a few streams.

    Args:
        bundle: With an ONNX graph.
        config: Batch size and loading threads.

    Raises:
        InputError: The config asks for a GPU or half precision.
    """

    name = "onnxruntime"
    usual_batch_size = 8

    def __init__(self, bundle: Bundle, config: InferenceConfig) -> None:
        import onnxruntime

        super().__init__(bundle, config)
        options = onnxruntime.SessionOptions()
        self.streams = min(available_cores(), _MOST_STREAMS)
        # Streams share the cores; with all cores for each, they would fight for them.
        options.intra_op_num_threads = available_cores() // self.streams
        self._pool = ThreadPoolExecutor(self.streams, "stream")
        self._session = onnxruntime.InferenceSession(
            bundle.folder / ONNX, options, providers=["CPUExecutionProvider"]
        )

    @override
    def start(self, images: np.ndarray, categories: np.ndarray) -> Callable[[], np.ndarray]:
        return self._pool.submit(self._run, images, categories).result

    def _run(self, images: np.ndarray, categories: np.ndarray) -> np.ndarray:
        # A session may be used by several threads at once, so the streams need only one.
        (logits,) = self._session.run(None, {"images": images, "categories": categories})
        return softmax(logits)
