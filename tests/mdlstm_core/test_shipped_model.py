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


@pytest.mark.timeout(600)  # 500 images at four looks each, beside other tests
@pytest.mark.parametrize(
    ("name", "folder", "images", "pixels", "classes"),
    [
        ("scene", "stanford_background", 25, 0.81, 0.768),
        pytest.param("scene", "stanford_background", 100, 0.831, 0.76, marks=pytest.mark.thorough),
        pytest.param("scene-33", "siftflow", 200, 0.80, 0.30, marks=pytest.mark.thorough),
        ("byeon2015-3x3", "stanford_background", 100, 0.786, 0.688),
        ("byeon2015-5x5", "stanford_background", 25, 0.75, 0.68),
        pytest.param(
            "byeon2015-5x5", "stanford_background", 100, 0.777, 0.682, marks=pytest.mark.thorough
        ),
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
    images: int,
    pixels: float,
    classes: float,
) -> None:
    dataset, listed = DATA / folder, tmp_path / "first.txt"
    names = (dataset / "val.txt").read_text().splitlines(keepends=True)
    listed.write_text("".join(names[:images]))
    options = ("--list", listed, "--model", name, "--device", "cpu", "--json")

    result = mdlstm("evaluate", dataset, *options)

    assert result.code == 0, result.err
    figures = json.loads(result.out)
    assert figures["images"] == images
    assert figures["pixel_accuracy"] >= pixels
    assert figures["class_accuracy"] >= classes
    assert figures["calibration_error"] <= 0.03
