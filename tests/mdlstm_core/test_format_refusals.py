"""What cannot be written is refused in one sentence, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdlstm_core.config import LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import LabelSource, Record, WriteOptions
from mdlstm_core.formats.registry import load_format
from mdlstm_core.formats.target import writing

CLASSES = (LabelClass("sky", (1, 2, 3)), LabelClass("road", (4, 5, 6)))


def write(
    tmp_path: Path, name: str, classes: tuple[LabelClass, ...] = CLASSES, **options: Any
) -> None:
    label_map = np.zeros((3, 3), np.uint8)
    source = LabelSource(classes, (Record("a", None, lambda: label_map),))
    with writing(tmp_path / "out") as target:
        load_format(name).write(source, target, WriteOptions(**({"images": False} | options)))


@pytest.mark.parametrize(
    ("name", "classes", "options", "naming"),
    [
        ("voc", [("a:b", (0, 0, 0))], {}, "'a:b'"),
        ("voc", [("sky", (0, 0, 0)), ("#1", (0, 0, 0))], {}, "'#1'.* is a comment: rename it"),
        ("labelme", [("__ignore__", (0, 0, 0))], {}, "'__ignore__'"),
        ("labelme", [("a\nb", (0, 0, 0))], {}, r"'a\\nb'"),
        ("camvid", [("a", (1, 1, 1)), ("b", (1, 1, 1))], {}, "'a' and 'b' have the same colour"),
        ("camvid", [("VOID", (1, 1, 1))], {}, "means no label"),
        ("cityscapes", [("tree", (1, 1, 1))], {}, "no class 'tree': rename it"),
        ("id-png", [("a", (1, 1, 1))], {"ignore_value": 0}, "ignore value 0"),
        ("id-png", [("a", (1, 1, 1))], {"ignore_value": 256}, "from 1 to 255"),
        ("npy", [("a", (1, 1, 1))], {"ignore_value": -1}, "ignore value -1"),
        ("overlay", [("a", (1, 1, 1))], {}, "no image for a"),
        ("coco", [("a", (1, 1, 1))], {"images": True}, "no image for a"),
        ("overlay", [("a", (1, 1, 1))], {"opacity": 2}, "from 0 to 1"),
    ],
)
def test_nothing_is_left_when_writing_is_refused(
    tmp_path: Path, name: str, classes: list, options: dict, naming: str
) -> None:
    with pytest.raises(InputError, match=naming):
        write(tmp_path, name, tuple(LabelClass(*values) for values in classes), **options)

    assert not list(tmp_path.iterdir())


def test_one_broken_record_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> np.ndarray:
        raise InputError("b.png is damaged.")

    good = Record("a", None, lambda: np.zeros((3, 3), np.uint8))
    source = LabelSource(CLASSES, (good, Record("b", None, broken)))
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    for name in ("id-png", "coco", "voc", "yolo-seg", "labelme", "npy", "camvid", "coco-panoptic"):
        with pytest.raises(InputError, match=r"b\.png is damaged"), writing(out) as target:
            load_format(name).write(source, target, WriteOptions(images=False))
        assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path, "id-png")
    before = {p: p.read_bytes() for p in (tmp_path / "out").iterdir()}

    with pytest.raises(InputError, match="is there already"):
        write(tmp_path, "indexed-png")
    assert {p: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize("name", ["../a", "/a", "b/../../a", "..\\a"])
def test_no_file_is_written_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="leads outside"), writing(tmp_path / "out") as target:
        target.write(name, b"")
    assert not list(tmp_path.iterdir())


def test_names_that_some_systems_take_for_one(tmp_path: Path) -> None:
    records = tuple(Record(name, None, lambda: np.zeros((1, 1), np.uint8)) for name in ("A", "a"))
    with pytest.raises(InputError, match="Two images are called a"):
        LabelSource(CLASSES, records)
