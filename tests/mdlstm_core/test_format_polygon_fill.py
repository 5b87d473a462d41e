"""Polygons that programs fill with their borders: how much larger a label gets there."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.draw
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.formats.exchange import LabelSource, Record, WriteOptions
from mdlstm_core.formats.registry import load_format
from mdlstm_core.formats.target import writing

LabelMap = NDArray[np.uint8]
CLASSES = tuple(LabelClass(name, (7 * i, 0, i)) for i, name in enumerate(("sky", "road", "tree")))

label_maps = arrays(
    np.uint8,
    st.tuples(st.integers(1, 13), st.integers(1, 13)),
    elements=st.sampled_from([0, 1, 2, IGNORE_INDEX]),
)


def labelme_polygons(out: Path, _shape: tuple[int, ...]) -> list[NDArray[np.float64]]:
    values = json.loads(next(out.glob("*.json")).read_text("utf-8"))
    return [np.array(found["points"]) for found in values["shapes"]]


def yolo_polygons(out: Path, shape: tuple[int, ...]) -> list[NDArray[np.float64]]:
    lines = next(out.glob("labels/train/*.txt")).read_text().splitlines()
    values = [np.array(line.split()[1:], float).reshape(-1, 2) for line in lines]
    return [points * (shape[1], shape[0]) for points in values]


def drawn_by_pillow(points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pillow's fill, which labelme's `shape_to_mask` uses, paints the border's pixels too."""
    image = Image.new("L", (shape[1], shape[0]))
    ImageDraw.Draw(image).polygon([tuple(p) for p in points.tolist()], outline=1, fill=1)
    return np.array(image).astype(bool)


def drawn_by_opencv(points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """OpenCV's fill, of vertices in whole pixels, paints the border's pixels too."""
    mask = np.zeros((shape[0], shape[1]), np.uint8)
    # Eight digits were written: what was whole is just below it.
    return cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], color=(1,)).astype(bool)


@pytest.mark.parametrize(
    ("name", "polygons", "draw"),
    [
        ("labelme", labelme_polygons, drawn_by_pillow),
        ("yolo-seg", yolo_polygons, drawn_by_opencv),
    ],
)
@settings(max_examples=60)
@given(label_map=label_maps)
def test_fill_that_paints_borders_is_at_most_a_pixel_larger_to_the_right_and_below(
    name: str, polygons: Callable, draw: Callable, label_map: LabelMap
) -> None:
    shape = label_map.shape
    # hypothesis runs one test many times: each example has a folder of its own.
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        Image.new("RGB", shape[::-1]).save(Path(folder) / "a.png")
        record = Record("a", Path(folder) / "a.png", lambda: label_map)
        with writing(out) as target:
            load_format(name).write(LabelSource(CLASSES, (record,)), target, WriteOptions())
        found = polygons(out, shape)

    for points in found:
        own = np.zeros(shape, bool)
        x, y = points.T - 0.5
        own[skimage.draw.polygon(y, x, shape)] = True
        grown = own.copy()
        grown[:, 1:] |= own[:, :-1]
        grown[1:] |= grown[:-1].copy()
        drawn = draw(points, shape)
        assert (drawn <= grown).all()
        assert (drawn >= own).all()
