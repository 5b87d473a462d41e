"""The examples in docs/api.md and in docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = ("mdlstm_core.api", "mdlstm_core.formats.class_mapping", "mdlstm_core.formats.names")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_page_about_the_library() -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    # A fence after an example would be taken for its output.
    assert text.count(">>>") > 30
    results = doctest.testfile(str(ROOT / "docs" / "api.md"), module_relative=False)
    assert results.failed == 0
    assert results.attempted > 30


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0
    assert results.attempted > 0


def test_the_library_is_imported_without_torch() -> None:
    code = (
        "import sys, mdlstm_core; mdlstm_core.IGNORE_INDEX, mdlstm_core.LabelClass;"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_type_checkers_see_the_public_names() -> None:
    """Each name that is loaded lazily is also imported for them."""
    import mdlstm_core

    text = Path(mdlstm_core.__file__).read_text("utf-8")
    for name, home in mdlstm_core._HOMES.items():
        assert f"from mdlstm_core.{home} import {name} as {name}\n" in text
    assert (Path(mdlstm_core.__file__).parent / "py.typed").is_file()
