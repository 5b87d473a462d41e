"""The loop without a display, where the user gave something that cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_unknown_kernel_is_said_in_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "--headless", "--device", "cpu", "--out", tmp_path / "out"],
        env={**os.environ, "MDLSTM_KERNEL": "abacus"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "mdlstm-labeler: MDLSTM_KERNEL: expected auto or one of reference, " in done.stderr
    assert done.stderr.endswith(", given 'abacus'.\n")
    assert "Traceback" not in done.stderr
