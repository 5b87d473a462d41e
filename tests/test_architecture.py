"""The rules of the house that no single test of a module can see."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST_LINES = 400


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter: in this one, other tests have imported everything."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


def assert_not_loaded(imports: str, banned: str) -> None:
    done = run_python(f"import sys\n{imports}\nsys.exit({banned!r} in sys.modules)")
    assert done.returncode == 0, done.stderr or f"{banned} is loaded by: {imports}"


def tracked_python_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    # A file deleted but not yet committed is still listed.
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_imports_follow_the_contracts() -> None:
    # In the caller's terminal this is `lint-imports`; here it need not be on the PATH.
    done = run_python("from importlinter.cli import lint_imports_command as run; run()")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_window_appears_without_waiting_for_torch() -> None:
    assert_not_loaded("import app.__main__, app.views.main_window", "torch")


def test_window_appears_without_waiting_for_the_plots() -> None:
    assert_not_loaded("import app.__main__, app.views.main_window", "pyqtgraph")


def test_help_appears_without_waiting_for_torch() -> None:
    assert_not_loaded("import app.cli.main; app.cli.main.build_parser()", "torch")


def test_document_needs_no_widgets() -> None:
    every_module = (
        "import importlib, pkgutil, app.document\n"
        "names = [m.name for m in pkgutil.walk_packages(app.document.__path__, 'app.document.')]\n"
        "assert names, 'app.document is empty'\n"
        "[importlib.import_module(name) for name in names]"
    )

    assert_not_loaded(every_module, "PySide6.QtWidgets")


def test_no_file_outgrows_its_purpose() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in tracked_python_files()}

    assert lengths, "git lists no Python file"
    too_long = {
        str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > MOST_LINES
    }
    assert not too_long


def test_workers_get_threads_that_python_knows() -> None:
    """A plain QThread crashes with torch 2.11 (see `app/inference/worker_thread.py`)."""
    plain = [
        path.name
        for path in tracked_python_files()
        if path.is_relative_to(ROOT / "app") and re.search(r"\bQThread\b", path.read_text("utf-8"))
    ]
    assert plain == ["worker_thread.py"]
