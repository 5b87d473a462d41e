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


@pytest.mark.parametrize(
    ("name", "folder", "pixels", "classes"),
    [
        ("scene", "stanford_background", 0.83, 0.72),
        ("scene-33", "siftflow", 0.785, 0.345),
        ("byeon2015-3x3", "stanford_background", 0.785, 0.68),
        ("byeon2015-5x5", "stanford_background", 0.70, 0.55),
    ],
)
@pytest.mark.skipif(
    not DATA.is_dir(), reason=f"{DATA} is absent; MDLSTM_DATA names the folder of datasets"
)
def test_labels_photographs_as_promised(
    mdlstm: Callable[..., Any],
    tmp_path: Path,
    name: str,
    folder: str,
    pixels: float,
    classes: float,
) -> None:
    dataset = DATA / folder
    # A quarter of the images, for the time they take; docs/accuracy.md has the figures of all.
    stems = (dataset / "val.txt").read_text().splitlines()
    (tmp_path / "quarter.txt").write_text("\n".join(stems[::4]))
    options = ("--list", tmp_path / "quarter.txt", "--model", name, "--device", "cpu", "--json")

    result = mdlstm("evaluate", dataset, *options)

    assert result.code == 0, result.err
    figures = json.loads(result.out)
    assert figures["pixel_accuracy"] >= pixels
    assert figures["class_accuracy"] >= classes
    assert figures["calibration_error"] <= 0.05
