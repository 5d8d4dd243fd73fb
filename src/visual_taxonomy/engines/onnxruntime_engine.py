"""Run the ONNX graph of a bundle with ONNX Runtime on the CPU.

Shapes: as in `engines/base.py`.
"""

from collections.abc import Callable, Iterator

import numpy as np
from typing_extensions import override

from visual_taxonomy.bundle import ONNX, Bundle
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.cores import available_cores
from visual_taxonomy.engines.base import Engine, Picture, PictureBatch, softmax
from visual_taxonomy.engines.pictures import load_pictures
from visual_taxonomy.engines.processor import check_is_float32_on_cpu

BATCH = 16


class OnnxRuntimeEngine(Engine):
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

        check_is_float32_on_cpu(self.name, config)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = available_cores()
        self._session = onnxruntime.InferenceSession(
            bundle.folder / ONNX, options, providers=["CPUExecutionProvider"]
        )
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
        (logits,) = self._session.run(None, {"images": images, "categories": categories})
        return softmax(logits)
