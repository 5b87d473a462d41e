"""Labeled folders: the layout on disk, and everything that can be wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mdlstm_core.config import LabelClass
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.data.images import read_image
from mdlstm_core.errors import InputError
from mdlstm_core.palette import default_color


def describe(root: Path, **changes: Any) -> None:
    description = json.loads((root / "classes.json").read_text()) | changes
    (root / "classes.json").write_text(json.dumps(description))


def test_images_come_with_their_labels(tiny_dataset: Path) -> None:
    dataset = LabeledFolder(tiny_dataset, tiny_dataset / "train.txt")

    sample = dataset.load(1)

    assert dataset.stems == ["scene_0", "scene_1", "scene_2"]
    assert len(dataset) == 3
    assert dataset.image_path(1) == tiny_dataset / "images" / "scene_1.png"
    assert [c.name for c in dataset.classes] == ["sky", "grass", "road"]
    assert dataset.classes[1].color == default_color(1)
    assert dataset.source == "none"
    np.testing.assert_array_equal(sample.image, read_image(dataset.image_path(1)))
    assert set(np.unique(sample.labels)) == {0, 1, 2, 255}


def test_without_a_list_all_images_are_used(tiny_dataset: Path) -> None:
    assert len(LabeledFolder(tiny_dataset)) == 4


def test_colors_are_read(tiny_dataset: Path) -> None:
    describe(tiny_dataset, colors=[[1, 2, 3], [4, 5, 6], [7, 8, 255]])

    assert LabeledFolder(tiny_dataset).classes[2] == LabelClass("road", (7, 8, 255))


def test_texts_may_start_with_a_mark(tiny_dataset: Path) -> None:
    for name in ("classes.json", "val.txt"):
        path = tiny_dataset / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    assert LabeledFolder(tiny_dataset, tiny_dataset / "val.txt").stems == ["scene_3"]


def test_label_map_of_another_size_is_refused(tiny_dataset: Path) -> None:
    Image.new("L", (30, 40)).save(tiny_dataset / "labels" / "scene_2.png")

    with pytest.raises(InputError, match=r"scene_2.png is 30×40 pixels, but .* is 40×30"):
        LabeledFolder(tiny_dataset)


def test_sizes_are_compared_upright(tiny_dataset: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(tiny_dataset / "images" / "scene_0.png") as image:
        image.rotate(90, expand=True).save(tiny_dataset / "images" / "scene_0.png", exif=exif)

    assert LabeledFolder(tiny_dataset).load(0).image.shape == (30, 40, 3)


def test_label_outside_the_classes_is_refused(tiny_dataset: Path) -> None:
    Image.new("L", (40, 30), 3).save(tiny_dataset / "labels" / "scene_0.png")

    with pytest.raises(InputError, match=r"has the label 3, but .* names 3 classes"):
        LabeledFolder(tiny_dataset).load(0)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("classes.json", "is not a dataset: classes.json cannot be read"),
        ("labels/scene_1.png", "There is no file .*scene_1.png"),
        ("images/scene_1.png", "There is no image scene_1 in"),
    ],
)
def test_missing_file_is_refused(tiny_dataset: Path, missing: str, message: str) -> None:
    (tiny_dataset / missing).unlink()

    with pytest.raises(InputError, match=message):
        LabeledFolder(tiny_dataset, tiny_dataset / "train.txt")


def test_folder_without_images_is_refused(tiny_dataset: Path) -> None:
    for path in (tiny_dataset / "images").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="names no images"):
        LabeledFolder(tiny_dataset)

    (tiny_dataset / "images").rmdir()
    with pytest.raises(InputError, match="has no folder images"):
        LabeledFolder(tiny_dataset)


def test_two_images_of_one_name_are_refused(tiny_dataset: Path) -> None:
    Image.new("RGB", (40, 30)).save(tiny_dataset / "images" / "scene_1.jpg")

    with pytest.raises(InputError, match="would share one label map"):
        LabeledFolder(tiny_dataset)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"scene_0\nscene_9\n", "There is no image scene_9"),
        (b"\n \n", "names no images"),
        (b"\xff\xfe\x00", "is not a text of stems"),
        (None, "cannot be read: No such file"),
    ],
)
def test_bad_list_is_refused(tiny_dataset: Path, content: bytes | None, message: str) -> None:
    path = tiny_dataset / "list.txt"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InputError, match=message):
        LabeledFolder(tiny_dataset, path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "must hold an object"),
        ("{}", 'must hold a list "classes"'),
        ('{"classes": []}', 'must hold a list "classes"'),
        ('{"classes": ["sky", "sky"]}', "names a class twice"),
        ('{"classes": ["sky"], "ignore_index": 0}', "must have the value 255"),
        ('{"classes": ["sky"], "colors": []}', "one colour a class"),
        ('{"classes": ["sky"], "colors": [7]}', "7 is not a colour"),
        ('{"classes": ["sky"], "colors": [["r", "g", "b"]]}', "is not a colour"),
        ('{"classes": ["sky"], "colors": [[0, 0, 256]]}', "is not of 0 to 255"),
    ],
)
def test_bad_description_is_refused(tiny_dataset: Path, content: str, message: str) -> None:
    (tiny_dataset / "classes.json").write_text(content)

    with pytest.raises(InputError, match=message) as caught:
        LabeledFolder(tiny_dataset)

    assert "classes.json" in str(caught.value)


def test_all_that_is_wrong_is_said_at_once(tiny_dataset: Path) -> None:
    images, labels = tiny_dataset / "images", tiny_dataset / "labels"
    (images / "scene_0.png").write_bytes(b"")
    (labels / "scene_1.png").unlink()
    Image.new("L", (30, 40)).save(labels / "scene_3.png")

    with pytest.raises(InputError) as caught:
        LabeledFolder(tiny_dataset)

    assert str(caught.value) == (
        f"3 of 4 images cannot be used: 1) {images / 'scene_0.png'} is empty; replace it by an "
        f"image; 2) There is no file {labels / 'scene_1.png'}; 3) {labels / 'scene_3.png'} is "
        f"30×40 pixels, but its image {images / 'scene_3.png'} is 40×30."
    )


def test_of_many_bad_images_ten_are_named(tiny_dataset: Path) -> None:
    stems = [f"missing_{number:02}" for number in range(13)]
    (tiny_dataset / "list.txt").write_text("\n".join([*stems, "scene_0"]))

    with pytest.raises(InputError) as caught:
        LabeledFolder(tiny_dataset, tiny_dataset / "list.txt")

    said = str(caught.value)
    assert said.startswith("13 of 14 images cannot be used: 1) There is no image missing_00 in ")
    assert "10) There is no image missing_09 in " in said
    assert "missing_10" not in said
    assert said.endswith("; and 3 more.")
