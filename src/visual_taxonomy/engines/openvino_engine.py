"""Run the graph of a bundle with OpenVINO on the CPU.

Shapes: as in `engines/base.py`.
"""

from collections import deque
from collections.abc import Callable

import numpy as np
from typing_extensions import override

from visual_taxonomy.bundle import ONNX, OPENVINO, Bundle
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.cores import available_cores
from visual_taxonomy.engines.base import softmax
from visual_taxonomy.engines.processor import GraphEngine


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
        import openvino

        super().__init__(bundle, config)
        graph = bundle.folder / (OPENVINO if bundle.has(OPENVINO) else ONNX)
        # Left to itself, it computes in bfloat16 where the processor has the instructions.
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": available_cores(),
            "PERFORMANCE_HINT": "THROUGHPUT",
        }
        model = openvino.Core().compile_model(graph, "CPU", settings)
        self.streams = model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._idle = deque(model.create_infer_request() for _ in range(self.streams + 1))

    @override
    def start(self, images: np.ndarray, categories: np.ndarray) -> Callable[[], np.ndarray]:
        # OpenVINO's own queue of work, not a thread for each stream: its Python side can lock up
        # when two threads hand over inputs at once.
        request = self._idle.popleft()
        request.start_async({"images": images, "categories": categories}, share_inputs=True)

        def fetch() -> np.ndarray:
            try:
                request.wait()
                return softmax(request.get_output_tensor(0).data)
            finally:
                self._idle.append(request)

        return fetch
