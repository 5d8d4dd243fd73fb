"""What only OpenVINO's engine does; the contract is tested for all engines together."""

import subprocess
import sys

from visual_taxonomy.inference.bundle import Bundle

CODE = """
import gc, os, signal, sys, time
from pathlib import Path
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.inference.bundle import read_bundle
from visual_taxonomy.inference.engines.openvino_engine import OpenVinoEngine

engine = OpenVinoEngine(read_bundle(Path(sys.argv[1])), InferenceConfig())
del engine
gc.collect()
signal.signal(signal.SIGALRM, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGALRM)
time.sleep(0)
"""


def test_a_signal_after_the_last_engine_is_gone_is_handled(bundle: Bundle) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(bundle.folder)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
