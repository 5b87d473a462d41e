"""`mdlstm doctor`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from app.cli.doctor import findings
from app.settings import crash_path
from mdlstm_core import __version__
from mdlstm_core.kernels import GPU_KERNELS, KERNELS
from resources import model_names


def test_json_has_the_findings(mdlstm: Callable[..., Any]) -> None:
    result = mdlstm("doctor", "--json")

    found = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert found["versions"]["mdlstm"] == __version__
    assert found["versions"]["python"] == platform.python_version()
    assert found["versions"]["torch"] == torch.__version__
    assert found["versions"]["numpy"] == np.__version__
    assert all(found["versions"].values())
    assert found["device"]["used"] in {"cpu", "cuda"}
    assert found["device"]["why"]
    assert found["processor"] == {"cores": os.cpu_count(), "threads": torch.get_num_threads()}
    assert 0 < found["memory"]["available_bytes"] < found["memory"]["total_bytes"]
    assert found["kernel"]["backends"] == [*KERNELS, *GPU_KERNELS]
    assert found["kernel"]["used"] in KERNELS
    assert found["models"] == model_names()
    assert found["logs"] == str(crash_path().parent)


def test_text_has_a_line_a_finding(mdlstm: Callable[..., Any]) -> None:
    lines = mdlstm("doctor").out.splitlines()

    assert f"versions mdlstm    {__version__}" in lines
    assert any(line.startswith("memory total") and line.endswith("GiB") for line in lines)
    assert any(line.startswith("kernel backends") and "reference, torch" in line for line in lines)


def test_library_that_is_missing_is_no_error(
    mdlstm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PySide6", None)

    assert findings()["versions"]["PySide6"] is None
    assert "versions PySide6   not found" in mdlstm("doctor").out.splitlines()


def test_no_widgets_are_loaded() -> None:
    code = (
        "import sys; from app.cli.main import main; main(['doctor']);"
        "sys.exit(any(name in sys.modules for name in ('PySide6.QtWidgets', 'PySide6.QtGui')))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
