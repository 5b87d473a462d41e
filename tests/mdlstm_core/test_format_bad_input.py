"""Files of others that cannot be used: one sentence with the file and what is wrong."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mdlstm_core.config import LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import LabelSource, ReadOptions, Record, WriteOptions
from mdlstm_core.formats.registry import load_format
from mdlstm_core.formats.target import writing

CLASSES = (LabelClass("sky", (1, 2, 3)), LabelClass("road", (4, 5, 6)))


def assert_refused(name: str, source: Path, *naming: str, **options: Any) -> None:
    """Reading, or loading the first record, is refused in one sentence."""
    with pytest.raises(InputError) as caught:
        load_format(name).read(source, ReadOptions(**options)).records[0].load()
    message = str(caught.value)
    assert str(source) in message
    for words in naming:
        assert words in message
    assert "\n" not in message
    assert message.endswith(".")


def save_json(path: Path, values: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), "utf-8")
    return path


def coco(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 6}],
        "categories": [{"id": 1, "name": "sky"}, {"id": 2, "name": "road"}],
        "annotations": [{"id": 9, "image_id": 1, "category_id": 2, "segmentation": None}],
    }
    return values | changes


def annotated(segmentation: object, **changes: Any) -> dict[str, Any]:
    entry = {"id": 9, "image_id": 1, "category_id": 2, "segmentation": segmentation} | changes
    return coco(annotations=[entry])


BAD_COCO: list[tuple[Any, str]] = [
    ([1], "must hold one JSON object"),
    ({}, 'no valid "categories"'),
    (coco(images=[{"id": 1}]), 'no valid "file_name"'),
    (coco(images=[]), "has no images"),
    (coco(categories=[{"id": i, "name": "sky"} for i in (1, 2)]), "two categories called 'sky'"),
    (coco(images=coco()["images"] * 2), "two images with the id 1"),
    (coco(categories=coco()["categories"][:1] * 2), "two categories with the id 1"),
    (coco(images=[coco()["images"][0] | {"file_name": "../a.png"}]), "leads outside"),
    (coco(images=[coco()["images"][0] | {"file_name": "/etc/a.png"}]), "leads outside"),
    (coco(images=[coco()["images"][0] | {"file_name": "C:\\a.png"}]), "leads outside"),
    (coco(images=[coco()["images"][0] | {"height": 10**6, "width": 10**6}]), "400 million"),
    (coco(images=[coco()["images"][0] | {"height": True}]), 'no valid "height"'),
    (annotated(None), "neither polygons nor RLE"),
    (annotated([[0, 0, 1, 1, 0, 1]], category_id=3), "the category 3"),
    (annotated([[0, 0, 1, 1, 0, 1]], image_id=7), "is of image 7"),
    (annotated([[0, 0, 1, 1]]), "at least three corners"),
    (annotated([[0, 0, 1, 1, 2]]), "at least three corners"),
    (annotated([["a", 0, 1, 1, 0, 1]]), "not made of numbers"),
    (annotated([[0, 0, 4, 4, 10**400, 0]]), "not made of numbers"),
    (annotated([[0, 0, 4, 4, float("nan"), 0]]), "at least three corners"),
    (annotated([[0, 0, 4, 4, 4, 0, 0, 4]]), "crosses itself"),
    (annotated([[0, 0, 1, 1, 0, 1]], category_id=10**400), "has the category 1000"),
    (annotated([[0, 0, 60, 0, 0, 4]]), "outside its image of 6×4 pixels"),
    (annotated({"size": [4, 6], "counts": [3, 4]}), "does not add up to 6×4 pixels"),
    (annotated({"size": [4, 6], "counts": [-3, 27]}), "does not add up"),
    (annotated({"size": [4, 6], "counts": [10**400]}), "does not add up"),
    (coco(images=[coco()["images"][0] | {"height": 10**400}]), "400 million"),
    (coco(images=[coco()["images"][0] | {"height": float("inf")}]), 'no valid "height"'),
    (annotated({"size": [4, 6], "counts": "0"}), "does not add up"),
    (annotated({"size": [4, 6], "counts": "oooo"}), "does not add up"),
    (annotated({"size": [4, 6], "counts": "ÿ"}), "does not add up"),
    (annotated({"size": [6, 4], "counts": [24]}), "of the size [6, 4]"),
]


@pytest.mark.parametrize(("values", "naming"), BAD_COCO)
def test_coco(tmp_path: Path, values: Any, naming: str) -> None:
    assert_refused("coco", save_json(tmp_path / "a.json", values), naming)


def test_json_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content, naming in (
        (b"{", "not valid JSON"),
        (b"\xff\xfe\x00", "not a text"),
        (b"", "JSON"),
    ):
        path.write_bytes(content)
        assert_refused("coco", path, naming)
    path.write_text("[" * 100_000)
    assert_refused("labelme", path, "not valid JSON")


def test_coco_image_of_another_size(tmp_path: Path) -> None:
    Image.new("RGB", (5, 5)).save(tmp_path / "a.png")
    path = save_json(tmp_path / "a.json", annotated([[0, 0, 1, 1, 0, 1]]))

    assert_refused("coco", path, "is 6×4 pixels, but its image", "a.png is 5×5")


def test_panoptic(tmp_path: Path) -> None:
    entry = {"image_id": 1, "file_name": "a.png", "segments_info": [{"id": 7, "category_id": 1}]}
    path = save_json(tmp_path / "p.json", coco(annotations=[entry]))
    pixels = np.zeros((4, 6, 3), np.uint8)
    (tmp_path / "p").mkdir()

    def refused(naming: str) -> None:
        Image.fromarray(pixels).save(tmp_path / "p" / "a.png")
        with pytest.raises(InputError, match=naming):
            load_format("coco-panoptic").read(path, ReadOptions()).records[-1].load()

    pixels[1, 1] = (8, 1, 0)
    refused("a.png has the segment 264, which is not in .*p.json, annotation 0")
    pixels = pixels[:2]
    refused("a.png is 6×2 pixels, but .*p.json says 6×4")
    save_json(path, coco(annotations=[entry, entry]))
    refused("annotation 1 is the second one of image 1")
    save_json(path, coco(annotations=[entry | {"file_name": "../../a.png"}]))
    refused("leads outside")


BAD_YOLO = [
    ("2 0 0 1 0 1 1", "there are the classes 0 to 1"),
    ("x 0 0 1 0 1 1", "begins with 'x'"),
    ("7" * 5_000 + " 0 0 1 0 1 1", "begins with '77777777777777777777', but"),
    ("0 " + "7" * 5_000 + " 0 1 0 1 1", "at least three corners"),
    ("0 1e999 0 1 0 1 1", "at least three corners"),
    ("0 0.5 0.5 1 1", "is a box"),
    ("0 0 0 1 0 1", "at least three corners"),
    ("0 0 0 1 zero 1 1", "not made of numbers"),
    ("0 0 0 1 nan 1 1", "at least three corners"),
    ("0 0 0 30 0 1 1", "outside its image"),
    ("0 0 0 1 1 1 0 0 1", "crosses itself"),
]


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "images" / "a.png")
    (tmp_path / "data.yaml").write_text("names: [sky, road]\n")
    return tmp_path


@pytest.mark.parametrize(("line", "naming"), BAD_YOLO)
def test_yolo(yolo: Path, line: str, naming: str) -> None:
    (yolo / "labels" / "a.txt").write_text(f"0 0 0 1 0 1 1\n{line}\n")

    assert_refused("yolo-seg", yolo, "a.txt, line 2,", naming)


@pytest.mark.parametrize(
    "text",
    [
        "names: {1: sky}",
        "a: [",
        "[]",
        "names: 3",
        "names: [" + "7" * 5_000 + "]",
        "a: 2024-02-31",
    ],
)
def test_yolo_without_names(yolo: Path, text: str) -> None:
    (yolo / "data.yaml").write_text(text)

    assert_refused("yolo-seg", yolo, "data.yaml")


def labelme(shape: dict[str, Any], **changes: Any) -> dict[str, Any]:
    whole = {"label": "sky", "shape_type": "polygon", "points": [[0, 0], [1, 0], [1, 1]]}
    values = {"shapes": [whole | shape], "imagePath": "a.png", "imageHeight": 4, "imageWidth": 6}
    return values | changes


def mask_of(values: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(values).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


MASK = mask_of(np.ones((4, 6), np.uint8))

BAD_LABELME: list[tuple[dict[str, Any], str]] = [
    (labelme({"label": None}), 'shape 0 has no valid "label"'),
    (labelme({"points": None}), 'no valid "points"'),
    (labelme({"points": [1, 2, 3]}), "points that are not x and y"),
    (labelme({"points": [[0, 0], [9, 9], [0, 9]]}), "outside its image"),
    (labelme({"points": [[0, 0], [4, 4], [4, 0], [0, 4]]}), "crosses itself"),
    (labelme({"points": [[0, 0], [1, 0], [1, 10**400]]}), "not made of numbers"),
    (labelme({"shape_type": "line"}), "is of the type line, which encloses no area"),
    (labelme({"shape_type": "star"}), "is of the type 'star', which is not known"),
    (labelme({"shape_type": "circle"}), "circle that is not a middle and a point"),
    *[
        (labelme({"shape_type": "circle", "points": [[1, value], [2, 2]]}), naming)
        for value, naming in (
            ("x", "circle that is not made of numbers"),
            (10**400, "circle that is not made of numbers"),
            (float("nan"), "circle that is not a middle"),
            (1e300, "circle around (1, 1e+300), outside its image of 6×4 pixels"),
        )
    ],
    *[
        (labelme({"shape_type": "mask", "mask": MASK, "points": [[0, 0], [value, 3]]}), naming)
        for value, naming in (
            (float("nan"), "a box of whole pixels"),
            (float("inf"), "a box of whole pixels"),
            (10**400, "another size than its box"),
            ("5", "a box of whole pixels"),
        )
    ],
    (labelme({"shape_type": "mask", "mask": "%"}), "mask that is no PNG"),
    (labelme({}, imageHeight=None), 'no valid "imageHeight"'),
    (labelme({}, imageWidth=10**9), "400 million"),
    (labelme({}, shapes=3), 'no valid "shapes"'),
    (labelme({}, imagePath=".."), "leads outside"),
]


@pytest.mark.parametrize(("values", "naming"), BAD_LABELME)
def test_labelme(tmp_path: Path, values: dict[str, Any], naming: str) -> None:
    assert_refused("labelme", save_json(tmp_path / "a.json", values), naming)


def bomb(path: Path) -> None:
    """Write a PNG of a few bytes that promises a million by a million pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    head = struct.pack(">IIBBBBB", 1_000_000, 1_000_000, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(bytes(9))), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def rgb(path: Path) -> None:
    Image.new("RGB", (3, 3), (9, 9, 9)).save(path)


def truncated(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 2, (64, 64), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:200])


def wrong_id(path: Path) -> None:
    Image.fromarray(np.full((3, 3), 2, np.uint8)).save(path)


def test_bombs_inside_other_formats(tmp_path: Path) -> None:
    """A file of a few bytes that promises 10¹² pixels, wherever a format reads an image."""
    pixels = tmp_path / "bomb.png"
    bomb(pixels)
    mask = base64.b64encode(pixels.read_bytes()).decode()
    shape = {"shape_type": "mask", "mask": mask, "points": [[0, 0], [5, 3]]}
    assert_refused("labelme", save_json(tmp_path / "a.json", labelme(shape)), "400 million")

    (tmp_path / "camvid" / "labels").mkdir(parents=True)
    bomb(tmp_path / "camvid" / "labels" / "a_L.png")
    (tmp_path / "camvid" / "label_colors.txt").write_text("1 2 3 sky\n")
    assert_refused("camvid", tmp_path / "camvid", "a_L.png", "400 million")

    entry = {"image_id": 1, "file_name": "a.png", "segments_info": [{"id": 7, "category_id": 1}]}
    path = save_json(tmp_path / "p.json", coco(annotations=[entry]))
    (tmp_path / "p").mkdir()
    bomb(tmp_path / "p" / "a.png")
    with pytest.raises(InputError, match="400 million"):
        load_format("coco-panoptic").read(path, ReadOptions()).records[0].load()


@pytest.mark.parametrize("name", ["coco", "yolo-seg", "voc"])
def test_bombs_in_the_place_of_photographs(tmp_path: Path, name: str) -> None:
    label_map = np.zeros((3, 4), np.uint8)
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    source = LabelSource(CLASSES, (Record("a", tmp_path / "a.png", lambda: label_map),))
    with writing(tmp_path / "out") as target:
        load_format(name).write(source, target, WriteOptions())
    (photo,) = (p for p in (tmp_path / "out").rglob("a.png") if "Class" not in p.parent.name)
    bomb(photo)

    with pytest.raises(InputError, match="400 million"):
        load_format(name).read(tmp_path / "out", ReadOptions()).records[0].load()


BAD_PNG: list[tuple[Callable[[Path], None], str]] = [
    (bomb, "400 million"),
    (rgb, "has colours"),
    (truncated, "damaged or truncated"),
    (wrong_id, "the id 2 at column 0, row 0"),
    (Path.touch, "is empty"),
]


@pytest.mark.parametrize(("make", "naming"), BAD_PNG)
@pytest.mark.parametrize("name", ["dataset", "indexed-png", "id-png", "voc", "cityscapes"])
def test_label_png(tmp_path: Path, name: str, make: Callable[[Path], None], naming: str) -> None:
    places = {
        "dataset": "labels/a.png",
        "voc": "SegmentationClass/a.png",
        "cityscapes": "gtFine/train/x/a_gtFine_labelIds.png",
    }
    save_json(tmp_path / "classes.json", {"classes": ["sky", "road"]})
    (tmp_path / "labelmap.txt").write_text("sky:0,0,0::\nroad:1,1,1::\n")
    path = tmp_path / places.get(name, "a.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    if name == "cityscapes" and make is wrong_id:
        Image.fromarray(np.full((3, 3), 40, np.uint8)).save(path)
        naming = "the id 40"
    if name == "voc" and make is rgb:
        naming = f"the colour (9, 9, 9) at column 0, row 0, which {tmp_path / 'labelmap.txt'}"

    assert_refused(name, tmp_path, path.name, naming)


@pytest.mark.parametrize(
    ("text", "naming"),
    [
        ("sky:9,9,9::\nroad:9,9,9::\n", "has the colour (9, 9, 9) twice"),
        ("sky:9,9,256::\n", "line 1: the colour is not of 0 to 255"),
        ("sky:9,9::\n", "line 1: 'sky:9,9::' is no class"),
    ],
)
def test_voc_with_colors(tmp_path: Path, text: str, naming: str) -> None:
    (tmp_path / "SegmentationClass").mkdir()
    rgb(tmp_path / "SegmentationClass" / "a.png")
    (tmp_path / "labelmap.txt").write_text(text)

    assert_refused("voc", tmp_path, "labelmap.txt", naming)


def test_camvid(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    rgb(tmp_path / "labels" / "a_L.png")
    palette = tmp_path / "label_colors.txt"
    assert_refused("camvid", tmp_path, "label_colors.txt")
    for text, naming in (
        ("1 2 3\tsky\n", "the colour (9, 9, 9) at column 0, row 0"),
        ("0 0 0 sky\n0 0 0 road\n", "line 2: the name or the colour is there twice"),
        ("0 0 sky\n", "line 1"),
        ("0 0 256 sky\n", "not of 0 to 255"),
    ):
        palette.write_text(text)
        assert_refused("camvid", tmp_path, naming)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"\x93NUMPY\x01\x00F\x00"
        + b"{'descr': '|u1', 'fortran_order': False, 'shape': (9999999, 9999999)}".ljust(69)
        + b"\n",
    ],
)
def test_npy(tmp_path: Path, content: bytes) -> None:
    save_json(tmp_path / "classes.json", {"classes": ["sky"]})
    (tmp_path / "a.npy").write_bytes(content)

    assert_refused("npy", tmp_path, "a.npy is not a NumPy array")


def test_npy_of_another_kind(tmp_path: Path) -> None:
    save_json(tmp_path / "classes.json", {"classes": ["sky"]})
    for values in (np.zeros((2, 2)), np.zeros((2, 2, 2), int)):
        np.save(tmp_path / "a.npy", values)
        assert_refused("npy", tmp_path, "an H×W array of integers")


@pytest.mark.parametrize("name", ["overlay", "areas-csv", "areas-json"])
def test_formats_that_are_only_written(tmp_path: Path, name: str) -> None:
    assert_refused(name, tmp_path, "can only be written")


def test_missing_source(tmp_path: Path) -> None:
    names = ("dataset", "id-png", "npy", "voc", "coco", "yolo-seg", "camvid", "labelme")
    for name in (*names, "cityscapes", "coco-panoptic", "indexed-png"):
        assert_refused(name, tmp_path / "none")
