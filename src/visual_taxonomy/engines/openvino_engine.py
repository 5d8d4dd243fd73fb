"""Run the graph of a bundle with OpenVINO on the CPU.

Shapes: as in `engines/base.py`.
"""

import numpy as np
from typing_extensions import override

from visual_taxonomy.bundle import ONNX, OPENVINO, Bundle
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.cores import available_cores
from visual_taxonomy.engines.base import softmax
from visual_taxonomy.engines.processor import GraphEngine


class OpenVinoEngine(GraphEngine):
    """A compiled model of OpenVINO on all cores this process may use.

    Args:
        bundle: With an OpenVINO or an ONNX graph.
        config: Batch size and loading threads.

    Raises:
        InputError: The config asks for a GPU or half precision.
    """

    name = "openvino"

    def __init__(self, bundle: Bundle, config: InferenceConfig) -> None:
        import openvino

        super().__init__(bundle, config)
        graph = bundle.folder / (OPENVINO if bundle.has(OPENVINO) else ONNX)
        # Left to itself, it computes in bfloat16 where the processor has the instructions.
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": available_cores(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._model = openvino.Core().compile_model(graph, "CPU", settings)

    @override
    def probabilities(self, images: np.ndarray, categories: np.ndarray) -> np.ndarray:
        outputs = self._model({"images": images, "categories": categories})
        return softmax(outputs[0])
