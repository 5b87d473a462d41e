"""Label maps as indexed PNG, and overlays."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.images import read_label_map
from mdlstm_core.errors import InputError
from mdlstm_core.formats.indexed_png import save_indexed_png
from mdlstm_core.formats.overlay_png import overlay, save_overlay_png
from mdlstm_core.palette import default_color

CLASSES = (LabelClass("sky", (10, 20, 30)), LabelClass("road", (200, 100, 0)))


@pytest.fixture
def label_map() -> NDArray[np.uint8]:
    values = np.random.default_rng(0).integers(0, 2, (13, 17), dtype=np.uint8)
    values[3:5, 2:9] = IGNORE_INDEX
    return values


def test_indexed_png_read_by_others(tmp_path: Path, label_map: NDArray[np.uint8]) -> None:
    path = tmp_path / "map.png"
    save_indexed_png(label_map, CLASSES, path)

    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.size == (17, 13)
        np.testing.assert_array_equal(np.array(image), label_map)
        palette = image.getpalette()
        assert palette is not None
        assert palette[:6] == [10, 20, 30, 200, 100, 0]
        rgba = np.array(image.convert("RGBA"))
    assert (rgba[label_map == IGNORE_INDEX] == (0, 0, 0, 0)).all()
    assert (rgba[label_map == 1] == (200, 100, 0, 255)).all()
    # OpenCV has blue first.
    colors = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert (colors[label_map == 1] == (0, 100, 200)).all()
    np.testing.assert_array_equal(read_label_map(path), label_map)
    assert list(tmp_path.iterdir()) == [path]


def test_indexed_png_is_8_bit(tmp_path: Path, label_map: NDArray[np.uint8]) -> None:
    path = tmp_path / "map.png"
    save_indexed_png(np.minimum(label_map, 1), CLASSES, path)

    header = path.read_bytes()[16:26]
    assert header[-2:] == bytes([8, 3]), "bit depth and colour type in the PNG's header"


def test_as_many_classes_as_fit(tmp_path: Path) -> None:
    label_map = np.arange(256, dtype=np.uint8).reshape(16, 16)
    classes = [LabelClass(str(index), default_color(index)) for index in range(255)]

    save_indexed_png(label_map[:, ::-1], classes, tmp_path / "map.png")

    np.testing.assert_array_equal(read_label_map(tmp_path / "map.png"), label_map[:, ::-1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.full((2, 2), 2, np.uint8), "expected classes below 2, given 2"),
        (np.zeros((2, 2), np.int64), "expected H×W of uint8"),
        (np.zeros((2, 2, 3), np.uint8), "expected H×W of uint8"),
    ],
)
def test_wrong_label_map_is_named(tmp_path: Path, wrong: NDArray[np.uint8], message: str) -> None:
    with pytest.raises(ValueError, match=f"label_map_HW: {message}"):
        save_indexed_png(wrong, CLASSES, tmp_path / "map.png")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("opacity", [0.0, 0.3, 0.5, 1.0])
def test_overlay_blends(label_map: NDArray[np.uint8], opacity: float) -> None:
    image = np.random.default_rng(1).integers(0, 256, (13, 17, 3), dtype=np.uint8)
    before = image.copy()

    blended = overlay(image, label_map, CLASSES, opacity)

    for row, column in np.ndindex(13, 17):
        label, pixel = label_map[row, column], image[row, column].astype(float)
        expected = (
            pixel
            if label == IGNORE_INDEX
            else (1 - opacity) * pixel + opacity * np.array(CLASSES[label].color)
        )
        np.testing.assert_allclose(blended[row, column], expected, atol=0.51)
    assert blended.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


def test_overlay_is_saved(tmp_path: Path, label_map: NDArray[np.uint8]) -> None:
    image = np.full((13, 17, 3), 90, dtype=np.uint8)
    save_overlay_png(image, label_map, CLASSES, tmp_path / "overlay.png", 0.25)

    with Image.open(tmp_path / "overlay.png") as saved:
        np.testing.assert_array_equal(saved, overlay(image, label_map, CLASSES, 0.25))


def test_overlay_of_another_size_is_named(label_map: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"image_HW3: expected \(13, 17, 3\), given \(13, 16, 3\)"):
        overlay(np.zeros((13, 16, 3), np.uint8), label_map, CLASSES)


def test_unwritable_target_is_refused(tmp_path: Path, label_map: NDArray[np.uint8]) -> None:
    (tmp_path / "file").write_bytes(b"")
    target = tmp_path / "file" / "map.png"

    with pytest.raises(InputError, match="cannot be written"):
        save_indexed_png(label_map, CLASSES, target)
    with pytest.raises(InputError, match="cannot be written"):
        save_overlay_png(np.zeros((13, 17, 3), np.uint8), label_map, CLASSES, target)
