"""Names of images as others have them, in every format."""

from __future__ import annotations

import json
from pathlib import Path

from mdlstm_core.formats.exchange import ReadOptions, WriteOptions
from mdlstm_core.formats.registry import load_format
from mdlstm_core.formats.target import writing


def test_names_with_blanks_and_letters_of_all_kinds(tmp_path: Path) -> None:
    """Folders of others become one name, and nothing is written outside the target."""
    name = "train set/ein Bild ü 写真 12:30.png"
    entry = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 1, 0, 1, 1]]}
    values = {
        "images": [{"id": 1, "file_name": name, "height": 4, "width": 6}],
        "categories": [{"id": 1, "name": "sky"}, {"id": 2, "name": "road"}],
        "annotations": [entry],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(values), "utf-8")
    source = load_format("coco").read(path, ReadOptions())
    assert [record.name for record in source.records] == ["train set_ein Bild ü 写真 12:30"]

    names = ("id-png", "npy", "voc", "coco", "yolo-seg", "camvid", "labelme", "coco-panoptic")
    for name in names:
        with writing(tmp_path / name) as target:
            load_format(name).write(source, target, WriteOptions(images=False))
        assert {p.name for p in tmp_path.iterdir()} <= {*names, "a.json"}
