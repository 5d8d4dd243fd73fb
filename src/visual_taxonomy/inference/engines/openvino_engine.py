"""Run the graph of a bundle with OpenVINO on the CPU.

Shapes: as in `inference/engines/base.py`.
"""

from collections import deque
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.cores import available_cores
from visual_taxonomy.inference.bundle import ONNX, OPENVINO, Bundle
from visual_taxonomy.inference.engines.base import softmax
from visual_taxonomy.inference.engines.graph_engine import GraphEngine

if TYPE_CHECKING:
    import openvino


@cache
def core() -> "openvino.Core":
    """The one core of this process, which is never given back.

    Its CPU plugin gives the thread that compiles a stack for signal handlers. If the last core goes
    in another thread, that stack is freed but still in use: the next signal, such as Ctrl-C, ends
    the process with a segmentation fault (OpenVINO 2026.4).
    """
    import openvino

    return openvino.Core()


class OpenVinoEngine(GraphEngine):
    """A compiled model of OpenVINO on all cores this process may use, in the streams it asks for.

    Args:
        bundle: With an OpenVINO or an ONNX graph.
        config: Batch size and loading threads.

    Raises:
        InputError: The config asks for a GPU or half precision.
    """

    name = "openvino"
    usual_batch_size = 16

    def __init__(self, bundle: Bundle, config: InferenceConfig) -> None:
        super().__init__(bundle, config)
        graph = bundle.folder / (OPENVINO if bundle.has(OPENVINO) else ONNX)
        # Left to itself, it computes in bfloat16 where the processor has the instructions.
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": available_cores(),
            "PERFORMANCE_HINT": "THROUGHPUT",
        }
        self._model = core().compile_model(graph, "CPU", settings)
        self.streams = self._model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        # No lock: popleft and append of a deque are atomic.
        self._idle: deque[Any] = deque()
        self._handing_over = Lock()

    @override
    def start(self, images: np.ndarray, categories: np.ndarray) -> Callable[[], np.ndarray]:
        try:
            # Requests are reused: making one takes memory for a whole batch of activations.
            request = self._idle.popleft()
        except IndexError:
            request = self._model.create_infer_request()
        with self._handing_over:  # two threads that do so at once can lock each other up
            request.start_async({"images": images, "categories": categories}, share_inputs=True)

        def fetch() -> np.ndarray:
            try:
                request.wait()
                # A view of the request's memory: softmax makes its own array before that is reused.
                return softmax(request.get_output_tensor(0).data)
            finally:
                # Also after an error: the request is free again, whatever became of it.
                self._idle.append(request)

        return fetch
