"""Every exchange format gives back what it was given, and others read the same in it."""

from __future__ import annotations

import base64
import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.draw
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.errors import InputError
from mdlstm_core.formats.cityscapes import LABELS
from mdlstm_core.formats.exchange import (
    ExchangeFormat,
    LabelSource,
    ReadOptions,
    Record,
    WriteOptions,
)
from mdlstm_core.formats.registry import load_format
from mdlstm_core.formats.target import writing

LabelMap = NDArray[np.uint8]

CLASSES = (
    LabelClass("background", (0, 0, 0)),
    LabelClass("road, wet", (10, 20, 30)),
    LabelClass("Straße", (200, 100, 0)),
    LabelClass("sky", (0, 0, 255)),
)
CITY = tuple(LabelClass(label.name, label.color) for label in LABELS if label.train_id != 255)[:4]

HOLES = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 1, 1, 1, 0],
        [0, 0, 1, 1, 255, 1, 0],
        [0, 1, 0, 1, 1, 1, 0],
        [0, 0, 0, 0, 2, 2, 3],
        [0, 3, 0, 0, 2, 0, 0],
    ],
    dtype=np.uint8,
)
"""Holes, islands in holes, single pixels, regions that touch at a corner only."""

label_maps = arrays(
    np.uint8,
    st.tuples(st.integers(1, 13), st.integers(1, 13)),
    elements=st.sampled_from([0, 1, 2, 3, IGNORE_INDEX]),
)

class_names = st.text(
    st.one_of(
        st.sampled_from("# :;,.-_|*&!%@`'\"\\/[]{}<>=~\t\n"),
        st.characters(categories=("L", "N", "P", "S", "Z")),
    ),
    min_size=1,
    max_size=20,
)
"""What files of classes use as marks is frequent."""


def is_refused(exchange_format: ExchangeFormat, name: str) -> bool:
    try:
        exchange_format.check((LabelClass(name, (1, 2, 3)),))
    except InputError:
        return True
    return False


@contextmanager
def folder() -> Iterator[Path]:
    # hypothesis runs one test many times: each example has a folder of its own.
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def source_of(
    label_map: LabelMap, into: Path, classes: tuple[LabelClass, ...] = CLASSES
) -> LabelSource:
    into.mkdir()
    image = into / "a photo ü.png"
    Image.new("RGB", label_map.shape[::-1], (1, 2, 3)).save(image)
    return LabelSource(classes, (Record("a photo ü", image, lambda: label_map),))


def write(
    label_map: LabelMap,
    name: str,
    root: Path,
    classes: tuple[LabelClass, ...] = CLASSES,
    options: WriteOptions | None = None,
) -> Path:
    source = source_of(label_map, root / "source", classes)
    with writing(root / "out") as target:
        load_format(name).write(source, target, options or WriteOptions())
    return root / "out"


def assert_same(found: LabelSource, label_map: LabelMap, classes: tuple[LabelClass, ...]) -> None:
    """Compare by the names of classes: a format may put them into another order."""
    names = [label_class.name for label_class in found.classes]
    table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
    for index, label_class in enumerate(classes):
        if label_class.name in names:
            table[index] = names.index(label_class.name)
    np.testing.assert_array_equal(found.records[0].load(), table[label_map])
    assert {classes[i].name for i in np.unique(label_map) if i != IGNORE_INDEX} <= set(names)


LOSSLESS = [
    ("dataset", {}),
    ("indexed-png", {}),
    ("indexed-png", {"ignore_value": 7}),
    ("id-png", {}),
    ("id-png", {"ignore_value": 4}),
    ("id-png-16", {}),
    ("id-png-16", {"ignore_value": 65535}),
    ("npy", {}),
    ("voc", {}),
    ("coco", {"regions": "masks"}),
    ("coco", {"regions": "polygons"}),
    ("coco-panoptic", {}),
    ("yolo-seg", {}),
    ("camvid", {}),
    ("labelme", {"regions": "masks"}),
    ("labelme", {"regions": "polygons"}),
]


@pytest.mark.parametrize(("name", "options"), LOSSLESS)
@settings(max_examples=15)
@given(label_map=label_maps)
@example(label_map=HOLES)
@example(label_map=np.full((1, 1), IGNORE_INDEX, np.uint8))
def test_what_is_written_is_read_back(name: str, options: dict, label_map: LabelMap) -> None:
    with folder() as root:
        out = write(label_map, name, root, options=WriteOptions(**options))
        ignore_value = options.get("ignore_value", IGNORE_INDEX)

        found = load_format(name).read(out, ReadOptions(ignore_value=ignore_value))

        assert len(found.records) == 1
        assert found.records[0].name == "a photo ü"
        assert_same(found, label_map, CLASSES)


@settings(max_examples=15)
@given(label_map=label_maps, train_ids=st.booleans())
def test_cityscapes_is_read_back(label_map: LabelMap, train_ids: bool) -> None:
    with folder() as root:
        out = write(label_map, "cityscapes", root, CITY)
        if train_ids:
            next(out.glob("gtFine/*/*/*_labelIds.png")).unlink()

        assert_same(load_format("cityscapes").read(out, ReadOptions()), label_map, CITY)


@pytest.mark.parametrize("name", sorted({name for name, _ in LOSSLESS}))
@settings(max_examples=25)
@given(data=st.data())
def test_any_number_of_classes(name: str, data: st.DataObject) -> None:
    """Any classes that the format does not refuse: how many, their names, which of them occur."""
    names = data.draw(st.lists(class_names, min_size=1, max_size=60, unique=True))
    names = [n for n in names if not is_refused(load_format(name), n)] or ["one"]
    classes = tuple(LabelClass(n, (i, 3 * i % 256, 255 - i)) for i, n in enumerate(names))
    values = st.sampled_from([*range(len(classes)), IGNORE_INDEX])
    label_map = data.draw(arrays(np.uint8, (4, 5), elements=values))
    with folder() as root:
        out = write(label_map, name, root, classes)

        assert_same(load_format(name).read(out, ReadOptions()), label_map, classes)


@pytest.mark.parametrize("name", ["dataset", "indexed-png", "id-png", "npy", "coco", "camvid"])
def test_classes_keep_name_order_and_color(tmp_path: Path, name: str) -> None:
    out = write(HOLES, name, tmp_path)

    found = load_format(name).read(out, ReadOptions()).classes

    # CamVid's palette needs colours that differ, and there is room for black.
    assert found == CLASSES


def test_255_classes_fit(tmp_path: Path) -> None:
    label_map = np.arange(256, dtype=np.uint8).reshape(16, 16)
    classes = tuple(LabelClass(f"c{i}", (i, 255 - i, i // 2)) for i in range(255))
    names = ("dataset", "id-png", "npy", "coco", "coco-panoptic", "yolo-seg", "camvid", "labelme")
    for name in names:
        (tmp_path / name).mkdir()
        out = write(label_map, name, tmp_path / name, classes)
        assert_same(load_format(name).read(out, ReadOptions()), label_map, classes)


# Readers that are not ours.


def read_voc(out: Path) -> LabelMap:
    """As VOC's rules have it: indices of a palette image, void is 255."""
    (stem,) = (out / "ImageSets/Segmentation/trainval.txt").read_text("utf-8").splitlines()
    with Image.open(out / f"SegmentationClass/{stem}.png") as image:
        assert image.mode == "P"
        # CLASSES begin with background, so that indices are ids.
        return np.array(image)


def read_coco(out: Path) -> LabelMap:
    coco = COCO(out / "annotations" / "instances.json")
    (image,) = coco.loadImgs(coco.getImgIds())
    labels = np.full((image["height"], image["width"]), IGNORE_INDEX, np.uint8)
    for annotation in coco.loadAnns(coco.getAnnIds()):
        mask = coco.annToMask(annotation).astype(bool)
        assert mask.sum() == annotation["area"]
        box = coco_mask.toBbox(coco.annToRLE(annotation))
        np.testing.assert_array_equal(box, annotation["bbox"])
        assert (labels[mask] == IGNORE_INDEX).all(), "regions do not overlap"
        labels[mask] = annotation["category_id"] - 1
    return labels


def read_panoptic(out: Path) -> LabelMap:
    """By the rule of panopticapi: id = R + 256 G + 256² B; OpenCV has blue first."""
    (annotation,) = json.loads((out / "annotations/panoptic.json").read_text("utf-8"))[
        "annotations"
    ]
    content = np.fromfile(out / "annotations/panoptic" / annotation["file_name"], np.uint8)
    blue, green, red = cv2.split(cv2.imdecode(content, cv2.IMREAD_COLOR).astype(int))
    ids = red + 256 * green + 65536 * blue
    labels = np.full(ids.shape, IGNORE_INDEX, np.uint8)
    for segment in annotation["segments_info"]:
        inside = ids == segment["id"]
        assert inside.sum() == segment["area"]
        labels[inside] = segment["category_id"] - 1
    assert ((labels == IGNORE_INDEX) == (ids == 0)).all()
    return labels


def read_yolo(out: Path) -> LabelMap:
    """Even-odd at the pixels' centres, by scikit-image."""
    description = yaml.safe_load((out / "data.yaml").read_text("utf-8"))
    assert description.keys() == {"train", "val", "names"}
    assert (out / description["train"]).is_dir()
    names = description["names"]
    assert list(names.values()) == [label_class.name for label_class in CLASSES]
    (image,) = (out / "images" / "train").iterdir()
    with Image.open(image) as opened:
        width, height = opened.size
    labels = np.full((height, width), IGNORE_INDEX, np.uint8)
    text = (out / "labels" / "train" / f"{image.stem}.txt").read_text()
    for line in text.splitlines():
        class_id, *numbers = line.split()
        values = np.array(numbers, dtype=float).reshape(-1, 2)
        assert ((values >= 0) & (values <= 1)).all()
        # Its pixels have their centres at whole numbers.
        x, y = (values * (width, height) - 0.5).T
        labels[skimage.draw.polygon(y, x, (height, width))] = int(class_id)
    return labels


def read_labelme_masks(out: Path) -> LabelMap:
    """As labelme's `shapes_to_label` does with masks."""
    values = json.loads(next(out.glob("*.json")).read_text("utf-8"))
    assert (out / values["imagePath"]).is_file()
    labels = np.full((values["imageHeight"], values["imageWidth"]), IGNORE_INDEX, np.uint8)
    names = (out / "labels.txt").read_text("utf-8").splitlines()
    assert names[0] == "__ignore__"
    for shape in values["shapes"]:
        assert shape.keys() == {
            "label", "points", "group_id", "description", "shape_type", "flags", "mask",
        }  # fmt: skip
        (x1, y1), (x2, y2) = np.asarray(shape["points"]).astype(int)
        with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as image:
            mask = np.array(image).astype(bool)
        labels[y1 : y2 + 1, x1 : x2 + 1][mask] = names.index(shape["label"]) - 1
    return labels


def read_id_png(out: Path) -> LabelMap:
    content = np.fromfile(out / "a photo ü.png", np.uint8)
    values = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    return np.where(values == 65535, IGNORE_INDEX, values).astype(np.uint8)


def read_indexed_png(out: Path) -> LabelMap:
    """Indices by Pillow; OpenCV, which applies the palette, finds the colours of the classes."""
    path = out / "a photo ü.png"
    with Image.open(path) as image:
        assert image.mode == "P"
        indices = np.array(image)
    colors = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
    for index, label_class in enumerate(CLASSES):
        assert (colors[indices == index] == label_class.color).all()
    return indices


def read_color_png(out: Path) -> LabelMap:
    lines = (out / "label_colors.txt").read_text("utf-8").splitlines()
    names = [label_class.name for label_class in CLASSES] + ["Void"]
    with Image.open(out / "labels" / "a photo ü_L.png") as image:
        colors = np.array(image)
    labels = np.full(colors.shape[:2], 254, np.uint8)
    for line in lines:
        color, name = line.split("\t")
        inside = (colors == np.array(color.split(), int)).all(axis=2)
        labels[inside] = IGNORE_INDEX if name == "Void" else names.index(name)
    return labels


OTHERS: list[tuple[str, dict, Callable[[Path], LabelMap]]] = [
    ("indexed-png", {}, read_indexed_png),
    ("id-png", {}, read_id_png),
    ("id-png-16", {"ignore_value": 65535}, read_id_png),
    ("npy", {}, lambda out: np.load(out / "a photo ü.npy")),
    ("dataset", {}, lambda out: LabeledFolder(out).load(0).labels),
    ("voc", {}, read_voc),
    ("coco", {"regions": "masks"}, read_coco),
    ("coco", {"regions": "polygons"}, read_coco),
    ("coco-panoptic", {}, read_panoptic),
    ("yolo-seg", {}, read_yolo),
    ("labelme", {"regions": "masks"}, read_labelme_masks),
    ("camvid", {}, read_color_png),
]


# pycocotools' own, with NumPy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("name", "options", "read"), OTHERS)
@settings(max_examples=15)
@given(label_map=label_maps)
@example(label_map=HOLES)
def test_others_read_the_same(
    name: str, options: dict, read: Callable[[Path], LabelMap], label_map: LabelMap
) -> None:
    with folder() as root:
        out = write(label_map, name, root, options=WriteOptions(**options))

        np.testing.assert_array_equal(read(out), label_map)


@settings(max_examples=15)
@given(label_map=label_maps)
def test_opencv_reads_cityscapes(label_map: LabelMap) -> None:
    ids = np.zeros(256, np.uint8)
    ids[: len(CITY)] = [label.id for label in LABELS if label.train_id != 255][: len(CITY)]
    with folder() as root:
        out = write(label_map, "cityscapes", root, CITY)
        (path,) = (out / "gtFine" / "train" / "unknown").glob("*_gtFine_labelIds.png")
        found = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)

    np.testing.assert_array_equal(found, ids[label_map])


@settings(max_examples=20)
@given(label_map=label_maps)
def test_areas_count_every_pixel(label_map: LabelMap) -> None:
    with folder() as root:
        source = source_of(label_map, root / "source")
        with writing(root / "out") as target:
            for name in ("areas-json", "areas-csv"):
                load_format(name).write(source, target, WriteOptions())
        (image,) = json.loads((root / "out" / "areas.json").read_text("utf-8"))["images"]
        text = (root / "out" / "areas.csv").read_text("utf-8")

    expected = {c.name: int((label_map == i).sum()) for i, c in enumerate(CLASSES)}
    assert image["per_class"] == expected
    assert image["unlabeled"] + sum(expected.values()) == label_map.size
    rows = list(csv.DictReader(io.StringIO(text)))
    found = {row["class"]: int(row["pixels"]) for row in rows}
    assert found == expected | {"": image["unlabeled"]}
    assert {row["image"] for row in rows} == {"a photo ü"}
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1, abs=1e-5)
