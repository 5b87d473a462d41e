"""Numbers and colours that other programs expect, from what they publish."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import skimage.draw
from numpy.typing import NDArray
from PIL import Image

from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.formats.cityscapes import LABELS
from mdlstm_core.formats.exchange import LabelSource, ReadOptions, Record, WriteOptions
from mdlstm_core.formats.registry import load_format
from mdlstm_core.formats.target import writing
from mdlstm_core.formats.voc import VOC_NAMES

CLASSES = (
    LabelClass("background", (0, 0, 0)),
    LabelClass("road", (10, 20, 30)),
    LabelClass("Straße", (200, 100, 0)),
)
CITY = tuple(LabelClass(label.name, label.color) for label in LABELS if label.train_id != 255)[:4]


def write(
    label_map: NDArray[np.uint8],
    name: str,
    root: Path,
    classes: tuple[LabelClass, ...] = CLASSES,
    options: WriteOptions | None = None,
) -> Path:
    image = root / "a photo ü.png"
    Image.new("RGB", label_map.shape[::-1], (1, 2, 3)).save(image)
    source = LabelSource(classes, (Record("a photo ü", image, lambda: label_map),))
    with writing(root / "out") as target:
        load_format(name).write(source, target, options or WriteOptions())
    return root / "out"


def test_cityscapes_has_the_published_ids(tmp_path: Path) -> None:
    label_map = np.array([[0, 1, 2, 3, IGNORE_INDEX]], np.uint8)
    out = write(label_map, "cityscapes", tmp_path, CITY)

    def pixels(kind: str) -> list:
        (path,) = (out / "gtFine" / "train" / "unknown").glob(f"*_gtFine_{kind}.png")
        with Image.open(path) as image:
            return np.array(image)[0].tolist()

    # road, sidewalk, building, wall
    assert pixels("labelIds") == [7, 8, 11, 12, 0]
    assert pixels("labelTrainIds") == [0, 1, 2, 3, 255]
    assert pixels("color") == [
        [128, 64, 128], [244, 35, 232], [70, 70, 70], [102, 102, 156], [0, 0, 0],
    ]  # fmt: skip
    assert [label.train_id for label in LABELS if label.train_id != 255] == list(range(19))
    assert [label.id for label in LABELS] == list(range(4, 34))


def test_voc_colors_are_the_published_ones(tmp_path: Path) -> None:
    classes = tuple(LabelClass(name, (0, 0, 0)) for name in VOC_NAMES)
    label_map = np.arange(21, dtype=np.uint8)[None]
    out = write(label_map, "voc", tmp_path, classes)

    with Image.open(out / "SegmentationClass" / "a photo ü.png") as image:
        colors = np.array(image.convert("RGB"))[0].tolist()
        palette = image.getpalette() or []
    # The development kit's table: aeroplane, bicycle, …, tvmonitor, and void.
    assert colors[:5] == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert colors[15] == [192, 128, 128]
    assert colors[20] == [0, 64, 128]
    assert palette[-3:] == [224, 224, 192]


@pytest.mark.parametrize("listed", [True, False])
def test_voc_as_cvat_and_datumaro_export_it(tmp_path: Path, listed: bool) -> None:
    """Colours instead of indices, and classes in any order; without a list, VOC's own."""
    colors = {"background": (0, 0, 0), "car": (128, 128, 128), "person": (192, 128, 128)}
    if listed:
        colors = {"car": (1, 2, 3), "background": (0, 0, 0), "person": (250, 50, 83)}
        lines = [f"{name}:{r},{g},{b}::" for name, (r, g, b) in colors.items()]
        text = "\n".join(["# label:color_rgb:parts:actions", *lines])
        (tmp_path / "labelmap.txt").write_text(text + "\n")
    names = np.array([["car", "person", "background"], ["", "person", "car"]])
    pixels = [[colors.get(name, (224, 224, 192)) for name in row] for row in names.tolist()]
    (tmp_path / "SegmentationClass").mkdir()
    Image.fromarray(np.array(pixels, np.uint8)).save(tmp_path / "SegmentationClass" / "a.png")

    source = load_format("voc").read(tmp_path, ReadOptions())

    found = np.array([c.name for c in source.classes] + [""] * (256 - len(source.classes)))
    np.testing.assert_array_equal(found[source.records[0].load()], names)


def test_voc_void_border_is_where_classes_meet(tmp_path: Path) -> None:
    label_map = np.zeros((5, 9), np.uint8)
    label_map[:, 5:] = 1
    out = write(label_map, "voc", tmp_path, options=WriteOptions(void_border=2))

    with Image.open(out / "SegmentationClass" / "a photo ü.png") as image:
        indices = np.array(image)
    assert indices[2].tolist() == [0, 0, 0, 255, 255, 255, 255, 1, 1]


@pytest.mark.parametrize(
    ("middle", "rim"),
    [
        ((20.3, 14.2), (25.1, 17.7)),
        ((3, 2), (14.5, 2)),
        ((38.9, 29), (38.9, 1e6)),
        ((7, 7), (7, 7)),
    ],
)
def test_circle_of_labelme_is_filled(
    tmp_path: Path, middle: tuple[float, float], rim: tuple[float, float]
) -> None:
    """As scikit-image fills discs; one that stands out of the image is cut off."""
    shape = {"label": "sky", "shape_type": "circle", "points": [middle, rim]}
    values = {"shapes": [shape], "imagePath": "a.png", "imageHeight": 30, "imageWidth": 40}
    (tmp_path / "a.json").write_text(json.dumps(values))

    (record,) = load_format("labelme").read(tmp_path, ReadOptions()).records

    expected = np.full((30, 40), IGNORE_INDEX, np.uint8)
    # Its pixels have their centres at whole numbers.
    centre = (middle[1] - 0.5, middle[0] - 0.5)
    expected[skimage.draw.disk(centre, math.dist(middle, rim), shape=(30, 40))] = 0
    np.testing.assert_array_equal(record.load(), expected)


@pytest.mark.parametrize("outlines", [False, True])
def test_overlay_shows_classes(tmp_path: Path, outlines: bool) -> None:
    label_map = np.zeros((5, 7), np.uint8)
    label_map[1:4, 2:5] = 2
    label_map[:, 6] = IGNORE_INDEX
    options = WriteOptions(opacity=1, outlines=outlines)
    out = write(label_map, "overlay", tmp_path, options=options)

    with Image.open(out / "a photo ü_overlay.png") as image:
        pixels = np.array(image)
    inner = (1, 2, 3) if outlines else (200, 100, 0)
    assert pixels[2, 3].tolist() == list(inner), "in the middle of a region"
    assert pixels[1, 2].tolist() == [200, 100, 0], "at its border"
    assert pixels[2, 6].tolist() == [1, 2, 3], "no label"
