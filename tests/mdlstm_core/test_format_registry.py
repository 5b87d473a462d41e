"""Formats are found by name: ours, and those of other packages."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import ExchangeFormat
from mdlstm_core.formats.registry import BUILT_IN, GROUP, format_names, load_format

ROOT = Path(__file__).parent.parent.parent

PLUGIN = """
from mdlstm_core.formats.exchange import ExchangeFormat
class Mine(ExchangeFormat):
    name = "mine"
    summary = "a format of another package"
class Failing(ExchangeFormat):
    def __init__(self):
        raise RuntimeError("no licence")
Foreign = 3
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that installs a package which declares a format."""

    def install(value: str) -> None:
        (tmp_path / "their_formats.py").write_text(PLUGIN)
        info = tmp_path / "their_formats-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-formats\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\nmine = {value}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "their_formats", raising=False)

    return install


def test_all_of_ours_can_be_loaded() -> None:
    for name in BUILT_IN:
        found = load_format(name)
        assert isinstance(found, ExchangeFormat)
        assert found.name == name
        assert found.summary


def test_ours_are_declared_as_entry_points() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"][GROUP] == BUILT_IN


def test_format_of_another_package(plugin: Callable[[str], None]) -> None:
    plugin("their_formats:Mine")

    assert "mine" in format_names()
    assert load_format("mine").summary == "a format of another package"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("missing_module:Mine", "No module named 'missing_module'"),
        ("their_formats:Nothing", "no attribute 'Nothing'"),
        ("their_formats:Foreign", "not derived from ExchangeFormat"),
        ("their_formats:Failing", "no licence"),
    ],
)
def test_broken_package_is_named_and_stops_no_other(
    plugin: Callable[[str], None], value: str, why: str
) -> None:
    plugin(value)

    with pytest.raises(InputError) as caught:
        load_format("mine")
    message = str(caught.value)
    assert message.startswith("The format mine of the package their-formats is broken (")
    assert why in message
    assert message.endswith("; update or remove that package.")
    assert load_format("coco").name == "coco"
    assert "mine" in format_names()


def test_unknown_format_names_those_that_there_are() -> None:
    with pytest.raises(InputError, match=r"no format 'cocoa'; there are areas-csv, .*, yolo-seg"):
        load_format("cocoa")
    assert format_names() == sorted(format_names())
