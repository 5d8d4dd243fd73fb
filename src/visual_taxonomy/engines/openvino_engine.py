"""Run the graph of a bundle with OpenVINO on the CPU.

Shapes: as in `engines/base.py`.
"""

from collections.abc import Callable, Iterator

import numpy as np
from typing_extensions import override

from visual_taxonomy.bundle import ONNX, OPENVINO, Bundle
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.cores import available_cores
from visual_taxonomy.engines.base import Engine, Picture, PictureBatch, softmax
from visual_taxonomy.engines.pictures import load_pictures
from visual_taxonomy.engines.processor import check_is_float32_on_cpu

BATCH = 16


class OpenVinoEngine(Engine):
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

        check_is_float32_on_cpu(self.name, config)
        graph = bundle.folder / (OPENVINO if bundle.has(OPENVINO) else ONNX)
        # Left to itself, it computes in bfloat16 where the processor has the instructions.
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": available_cores(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._model = openvino.Core().compile_model(graph, "CPU", settings)
        self.precision = "int8" if bundle.int8 else "32"
        self.image_size = bundle.preprocessing.image_size
        self.batch_size = config.batch_size or BATCH
        self.workers = config.workers

    @override
    def batches(
        self, picture: Callable[[int], Picture], categories: np.ndarray
    ) -> Iterator[PictureBatch]:
        return load_pictures(picture, categories, self.image_size, self.batch_size, self.workers)

    @override
    def probabilities(self, images: np.ndarray, categories: np.ndarray) -> np.ndarray:
        outputs = self._model({"images": images, "categories": categories})
        return softmax(outputs[0])
