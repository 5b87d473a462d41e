"""The command line as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.cli import doctor
from mdlstm_core import __version__


@pytest.mark.parametrize(
    "command",
    ["predict", "train", "evaluate", "gates", "export", "import", "texture", "volume", "doctor"],
)
def test_help_has_examples(
    mdlstm: Callable[..., Any], capsys: pytest.CaptureFixture[str], command: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        mdlstm(command, "--help")

    assert caught.value.code == 0
    assert f"examples:\n  mdlstm {command}" in capsys.readouterr().out


def test_version(mdlstm: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        mdlstm("--version")

    assert caught.value.code == 0
    assert capsys.readouterr().out == f"mdlstm {__version__}\n"


def test_ctrl_c_ends_without_a_traceback(
    mdlstm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "findings", stop)

    assert mdlstm("doctor") == (130, "", "mdlstm: stopped.\n")
