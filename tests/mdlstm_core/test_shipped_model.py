"""The shipped model on real photographs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("MDLSTM_DATA", ROOT.parent / "shared" / "data"))
STANFORD = DATA / "stanford_background"


@pytest.mark.skipif(
    not STANFORD.is_dir(),
    reason=f"{STANFORD} is absent; MDLSTM_DATA names the folder of datasets",
)
def test_scene_labels_photographs_as_promised(mdlstm: Callable[..., Any]) -> None:
    options = ("--list", STANFORD / "val.txt", "--model", "scene", "--device", "cpu", "--json")

    result = mdlstm("evaluate", STANFORD, *options)

    assert result.code == 0, result.err
    figures = json.loads(result.out)
    assert figures["images"] == 100
    assert figures["pixel_accuracy"] >= 0.76
