import pytest

from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.engines.graph_engine import check_is_float32_on_cpu


def test_what_only_torch_can_do_is_refused() -> None:
    check_is_float32_on_cpu("openvino", InferenceConfig(precision="32", accelerator="cpu"))
    with pytest.raises(InputError, match="`accelerator=cuda`: openvino runs on the CPU here"):
        check_is_float32_on_cpu("openvino", InferenceConfig(accelerator="cuda"))
    with pytest.raises(InputError, match="`precision=bf16`: openvino computes in the precision"):
        check_is_float32_on_cpu("openvino", InferenceConfig(precision="bf16"))
