import subprocess
import sys

import pytest

from visual_taxonomy.errors import InputError
from visual_taxonomy.preprocessing import Preprocessing

HALF = (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": (0, 5)}, "image size .0, 5."),
        ({"image_size": (5,)}, "height and width"),
        ({"mean": (0.5,)}, "three numbers"),
        ({"std": (0.5, 0.0, 0.5)}, "std above 0"),
        ({"interpolation": "cubist"}, "'cubist' is none of: nearest"),
    ],
)
def test_preprocessing_that_cannot_be_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        Preprocessing(**{"image_size": (8, 8), "mean": HALF, "std": HALF, **change})


def test_preprocessing_is_known_without_torch() -> None:
    code = "import sys, visual_taxonomy.preprocessing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
