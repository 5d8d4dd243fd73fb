"""What only OpenVINO's engine does; the contract is tested for all engines together."""

import subprocess
import sys

from visual_taxonomy.inference.bundle import Bundle

CODE = """
import os, signal, sys
from pathlib import Path
from threading import Thread
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.inference.bundle import read_bundle
from visual_taxonomy.inference.engines.openvino_engine import OpenVinoEngine

engines = [OpenVinoEngine(read_bundle(Path(sys.argv[1])), InferenceConfig())]
thread = Thread(target=engines.clear)
thread.start()
thread.join()
signal.signal(signal.SIGALRM, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGALRM)
"""


def test_a_signal_is_handled_after_another_thread_has_let_the_last_engine_go(
    bundle: Bundle,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(bundle.folder)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
