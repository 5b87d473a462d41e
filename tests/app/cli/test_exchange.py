"""`mdlstm export` and `mdlstm import`: tables, choices, and what is never overwritten."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.predictor import Predictor

Mdlstm = Callable[..., Any]


def label_maps(dataset: Path) -> dict[str, list]:
    """The label maps as names, so that datasets with other orders of classes compare."""
    folder = LabeledFolder(dataset)
    names = np.array([c.name for c in folder.classes] + [""] * (256 - len(folder.classes)))
    return {s: names[folder.load(i).labels].tolist() for i, s in enumerate(folder.stems)}


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    "name", ["coco", "coco-panoptic", "voc", "yolo-seg", "camvid", "labelme", "dataset"]
)
def test_there_and_back(mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path, name: str) -> None:
    exported = mdlstm("export", tiny_dataset, "--format", name, "--out", tmp_path / "out")
    imported = mdlstm("import", tmp_path / "out", "--format", name, "--out", tmp_path / "back")

    assert (exported.code, exported.err) == (0, "")
    assert exported.out.endswith(f"4 images written to {tmp_path / 'out'}.\n")
    assert "sky    ->  sky\n" in exported.out
    assert (imported.code, imported.err) == (0, "")
    assert label_maps(tmp_path / "back") == label_maps(tiny_dataset)
    back, original = LabeledFolder(tmp_path / "back"), LabeledFolder(tiny_dataset)
    np.testing.assert_array_equal(back.load(2).image, original.load(2).image)


@pytest.mark.parametrize("name", ["indexed-png", "id-png", "id-png-16", "npy"])
def test_labels_alone_need_the_images(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path, name: str
) -> None:
    mdlstm("export", tiny_dataset, "--format", name, "--out", tmp_path / "out")
    command = ("import", tmp_path / "out", "--format", name, "--out", tmp_path / "back")

    without = mdlstm(*command)
    assert without.code == 2
    assert "There is no image for scene_0; give the folder with --images" in without.err
    assert not (tmp_path / "back").exists()
    assert mdlstm(*command, "--images", tiny_dataset / "images").code == 0
    assert label_maps(tmp_path / "back") == label_maps(tiny_dataset)


def test_dry_run_shows_the_table_and_writes_nothing(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path
) -> None:
    options = ("--map", "sky=ignore", "--map", "road=street", "--dry-run")

    result = mdlstm("export", tiny_dataset, "--format", "coco", "--out", tmp_path / "o", *options)

    assert result == (
        0,
        "sky    ->  (no label)\ngrass  ->  grass\nroad   ->  street\n"
        "Nothing was written (--dry-run).\n",
        "",
    )
    assert not (tmp_path / "o").exists()


def test_classes_are_mapped_by_name(mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path) -> None:
    """Into a dataset with one class of the same name, in upper case, at another place."""
    target = tmp_path / "target"
    target.mkdir()
    (target / "classes.json").write_text(
        json.dumps({"classes": ["water", "Sky"], "colors": [[0, 0, 1], [0, 0, 2]], "license": "x"})
    )
    options = ("--map", "road=ignore", "--json")

    result = mdlstm("import", tiny_dataset, "--format", "dataset", "--out", target, *options)

    report = json.loads(result.out)
    assert result.code == 0
    assert report["classes"] == [
        {"source": "sky", "target": "Sky", "is_new": False},
        {"source": "grass", "target": "grass", "is_new": True},
        {"source": "road", "target": None, "is_new": False},
    ]
    assert (report["written"], report["kept"], report["broken"]) == (4, [], {})
    description = json.loads((target / "classes.json").read_text())
    assert description["classes"] == ["water", "Sky", "grass"]
    assert description["colors"][:2] == [[0, 0, 1], [0, 0, 2]]
    assert description["license"] == "x"
    before, after = LabeledFolder(tiny_dataset).load(0).labels, LabeledFolder(target).load(0).labels
    np.testing.assert_array_equal(np.array([1, 2, 255])[np.minimum(before, 2)], after)


def test_labels_that_are_there_stay(mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path) -> None:
    mdlstm("export", tiny_dataset, "--format", "coco", "--out", tmp_path / "out")
    mine = tiny_dataset / "labels" / "scene_1.png"
    Image.new("L", (40, 30), 1).save(mine)
    (tiny_dataset / "labels" / "scene_2.png").unlink()
    kept, before = mine.read_bytes(), content(tiny_dataset)
    command = ("import", tmp_path / "out", "--format", "coco", "--out", tiny_dataset)

    result = mdlstm(*command)

    assert result.code == 0
    assert "1 images written" in result.out
    assert "3 images keep the labels they have; --overwrite replaces them" in result.out
    assert mine.read_bytes() == kept
    after = content(tiny_dataset)
    assert {k for k in after if after[k] != before.get(k)} == {
        "labels/scene_2.png",
        "classes.json",
    }
    assert mdlstm(*command, "--overwrite").code == 0
    assert mine.read_bytes() != kept


def test_broken_records_stop_all_or_are_left_out(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path
) -> None:
    mdlstm("export", tiny_dataset, "--format", "coco", "--out", tmp_path / "out")
    file = tmp_path / "out" / "annotations" / "instances.json"
    values = json.loads(file.read_text())
    broken = next(a for a in values["annotations"] if a["image_id"] == 3)
    broken["category_id"] = 99
    file.write_text(json.dumps(values))
    command = ("import", tmp_path / "out", "--format", "coco", "--out", tmp_path / "back")

    nothing = mdlstm(*command)
    assert nothing.code == 2
    assert f"{file}, annotation" in nothing.err
    assert not (tmp_path / "back").exists()

    rest = mdlstm(*command, "--skip-broken", "--json")
    report = json.loads(rest.out)
    assert rest.code == 1, "something is missing"
    assert rest.err.count("\n") == 1
    assert "has the category 99" in report["broken"]["scene_2"]
    assert report["written"] == 3
    assert LabeledFolder(tmp_path / "back").stems == ["scene_0", "scene_1", "scene_3"]


def test_missing_images_are_reported_and_the_rest_imported(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path
) -> None:
    for name in ("coco", "yolo-seg", "voc"):
        out, back = tmp_path / f"{name}-out", tmp_path / f"{name}-back"
        mdlstm("export", tiny_dataset, "--format", name, "--out", out)
        next(out.rglob("scene_1.png" if name != "voc" else "JPEGImages/scene_1.png")).unlink()
        # Of another size than its labels.
        Image.new("RGB", (7, 7)).save(next(out.rglob("images/**/scene_0.png"), tmp_path / "x.png"))
        command = ("import", out, "--format", name, "--out", back)

        assert mdlstm(*command).code == 2
        assert not back.exists()
        report = json.loads(mdlstm(*command, "--skip-broken", "--json").out)

        assert "scene_1" in report["broken"]
        assert report["written"] == 4 - len(report["broken"])
        assert len(LabeledFolder(back)) == report["written"]


def test_model_fills_what_a_person_left(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path, checkpoint_file: Path
) -> None:
    (tiny_dataset / "labels" / "scene_3.png").unlink()
    options = ("--format", "npy", "--labels", "all", "--model", checkpoint_file)

    result = mdlstm("export", tiny_dataset, *options, "--out", tmp_path / "out")

    assert result.code == 0, result.err
    predictor = Predictor(load_checkpoint(checkpoint_file))
    for stem in ("scene_0", "scene_3"):
        image = np.array(Image.open(tiny_dataset / "images" / f"{stem}.png"))
        expected = predictor.predict(image).label_map
        if stem == "scene_0":
            own = np.array(Image.open(tiny_dataset / "labels" / f"{stem}.png"))
            assert (own == 255).any()
            expected = np.where(own == 255, expected, own)
        np.testing.assert_array_equal(np.load(tmp_path / "out" / f"{stem}.npy"), expected)


def test_list_and_ignore_value(mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path) -> None:
    options = ("--format", "id-png", "--list", tiny_dataset / "val.txt", "--ignore-value", "9")

    assert mdlstm("export", tiny_dataset, *options, "--out", tmp_path / "out").code == 0

    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["classes.json", "scene_3.png"]
    with Image.open(tmp_path / "out" / "scene_3.png") as image:
        assert (np.array(image)[:, 37:] == 9).all()


def test_image_turned_by_its_camera_is_written_upright(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path
) -> None:
    image = Image.open(tiny_dataset / "images" / "scene_0.png").transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    (tiny_dataset / "images" / "scene_0.png").unlink()
    image.save(tiny_dataset / "images" / "scene_0.jpg", exif=exif)

    result = mdlstm("export", tiny_dataset, "--format", "yolo-seg", "--out", tmp_path / "out")

    assert result.code == 0, result.err
    with Image.open(tmp_path / "out" / "images" / "train" / "scene_0.png") as written:
        assert written.size == (40, 30)
        assert not written.getexif()


@pytest.mark.parametrize(
    ("arguments", "naming"),
    [
        (("--format", "nonsense"), "There is no format 'nonsense'; there are areas-csv, "),
        (("--format", "coco", "--map", "tree=sky"), "--map names the class 'tree'"),
        (("--format", "coco", "--map", "tree"), "must be CLASS=NAME"),
        (("--format", "coco", "--list", "none.txt"), "none.txt cannot be read"),
        (("--format", "overlay", "--opacity", "3"), "from 0 to 1"),
        (("--format", "voc", "--void-border", "-1"), "0 or more pixels"),
    ],
)
def test_wrong_options_are_refused(
    assert_refused: Callable[..., None],
    tiny_dataset: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    naming: str,
) -> None:
    assert_refused("export", tiny_dataset, "--out", tmp_path / "o", *arguments, naming=naming)
    assert not (tmp_path / "o").exists()


def test_cityscapes_asks_for_a_mapping(mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path) -> None:
    command = ("export", tiny_dataset, "--format", "cityscapes", "--out", tmp_path / "o")

    refused = mdlstm(*command, "--dry-run")
    assert refused.code == 2
    assert "no class 'grass': rename it, with --map too, to one of" in refused.err
    assert mdlstm(*command, "--map", "grass=terrain").code == 0
    (path,) = (tmp_path / "o" / "gtFine" / "train" / "unknown").glob("scene_0_*_labelIds.png")
    with Image.open(path) as image:
        assert set(np.unique(np.array(image))) == {0, 7, 22, 23}
    assert (tmp_path / "o/leftImg8bit/train/unknown/scene_0_leftImg8bit.png").is_file()


def test_only_a_folder_is_imported_into(
    assert_refused: Callable[..., None], tiny_dataset: Path, tmp_path: Path
) -> None:
    options = ("--format", "dataset", "--out", tmp_path / "a.mdlp")
    assert_refused("import", tiny_dataset, *options, naming="give a project with --into")
