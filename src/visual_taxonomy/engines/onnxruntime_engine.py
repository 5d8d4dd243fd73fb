"""Run the ONNX graph of a bundle with ONNX Runtime on the CPU.

Shapes: as in `engines/base.py`.
"""

import numpy as np
from typing_extensions import override

from visual_taxonomy.bundle import ONNX, Bundle
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.cores import available_cores
from visual_taxonomy.engines.base import softmax
from visual_taxonomy.engines.processor import GraphEngine


class OnnxRuntimeEngine(GraphEngine):
    """A session of ONNX Runtime on all cores this process may use.

    Args:
        bundle: With an ONNX graph.
        config: Batch size and loading threads.

    Raises:
        InputError: The config asks for a GPU or half precision.
    """

    name = "onnxruntime"

    def __init__(self, bundle: Bundle, config: InferenceConfig) -> None:
        import onnxruntime

        super().__init__(bundle, config)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = available_cores()
        self._session = onnxruntime.InferenceSession(
            bundle.folder / ONNX, options, providers=["CPUExecutionProvider"]
        )

    @override
    def probabilities(self, images: np.ndarray, categories: np.ndarray) -> np.ndarray:
        (logits,) = self._session.run(None, {"images": images, "categories": categories})
        return softmax(logits)
