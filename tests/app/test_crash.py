"""Tests of what the program leaves when it crashes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from app.settings import crash_path

_PROGRAM = """
import faulthandler
from app.__main__ import make_application
application = make_application()
def beyond_python():
    faulthandler._sigsegv()
beyond_python()
"""


def test_a_crash_leaves_its_calls_beside_the_log() -> None:
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    for times in (1, 2):
        ended = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env=environment,
            capture_output=True,
            check=False,
            cwd=Path(__file__).parents[2],
        )
        assert ended.returncode == -signal.SIGSEGV
        text = crash_path().read_text()
        assert text.count("Segmentation fault") == times
        assert text.count("in beyond_python") == times
