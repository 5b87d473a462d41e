"""`--skip-broken`: one image that cannot be used costs that image, wherever its fault shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mdlstm_core.data.dataset import LabeledFolder

Mdlstm = Callable[..., Any]
Spoil = Callable[[Path], None]


def changed(name: str, change: Callable[[Any], object]) -> Spoil:
    """Return what changes a JSON file of an export."""

    def spoil(out: Path) -> None:
        path = out / name
        values = json.loads(path.read_text("utf-8"))
        change(values)
        path.write_text(json.dumps(values), "utf-8")

    return spoil


def rename(values: Any, number: int, name: str) -> None:
    values["images"][number]["file_name"] = name


def damage(name: str) -> Spoil:
    """Return what cuts off the end of a file."""

    def spoil(out: Path) -> None:
        content = (out / name).read_bytes()
        (out / name).write_bytes(content[: 3 * len(content) // 4])

    return spoil


INSTANCES, PANOPTIC = "annotations/instances.json", "annotations/panoptic.json"

FAULTS: list[tuple[str, Spoil, str, int]] = [
    ("labelme", damage("scene_2.json"), "scene_2.json is not valid JSON", 3),
    (
        "labelme",
        changed("scene_2.json", lambda v: v["shapes"][0].pop("label")),
        'scene_2.json, shape 0 has no valid "label"',
        3,
    ),
    (
        "coco",
        changed(INSTANCES, lambda v: v["annotations"][0].update(image_id=77)),
        'annotation 0 is of image 77, which "images" does not have',
        4,
    ),
    (
        "coco",
        changed(INSTANCES, lambda v: rename(v, 1, "/photos/scene_1.png")),
        "names the file '/photos/scene_1.png', which leads outside",
        3,
    ),
    (
        "coco",
        changed(INSTANCES, lambda v: rename(v, 1, "scene_0.jpg")),
        "instances.json has two images called scene_0; rename one of them",
        3,
    ),
    (
        "coco",
        changed(INSTANCES, lambda v: v["images"][1].update(id=1)),
        "instances.json has two images with the id 1; give each its own",
        2,
    ),
    (
        "coco",
        changed(INSTANCES, lambda v: v["images"][1].pop("id")),
        'instances.json, image at place 1 has no valid "id"',
        3,
    ),
    (
        "coco-panoptic",
        changed(PANOPTIC, lambda v: v["annotations"][0].update(image_id=77)),
        "panoptic.json, annotation 0 is of image 77",
        3,
    ),
    (
        "coco-panoptic",
        changed(PANOPTIC, lambda v: v["annotations"].append(v["annotations"][0])),
        "annotation 4 is the second one of image 1; remove one",
        4,
    ),
]


@pytest.mark.parametrize(("name", "spoil", "naming", "others"), FAULTS)
def test_fault_that_shows_while_the_source_is_read(
    mdlstm: Mdlstm,
    tiny_dataset: Path,
    tmp_path: Path,
    name: str,
    spoil: Spoil,
    naming: str,
    others: int,
) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    mdlstm("export", tiny_dataset, "--format", name, "--out", out)
    spoil(out)
    command = ("import", out, "--format", name, "--out", back)

    nothing = mdlstm(*command)
    assert nothing.code == 2
    assert naming in nothing.err
    assert not back.exists()

    rest = mdlstm(*command, "--skip-broken", "--json")
    report = json.loads(rest.out)
    assert rest.code == 1, "something is missing"
    assert naming in " ".join(report["broken"].values())
    assert report["written"] == len(LabeledFolder(back)) == others


def test_damaged_png_without_a_list_of_classes(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path
) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    mdlstm("export", tiny_dataset, "--format", "id-png", "--out", out)
    (out / "classes.json").unlink()
    damage("scene_1.png")(out)
    command = ("import", out, "--format", "id-png", "--images", tiny_dataset / "images")

    nothing = mdlstm(*command, "--out", back)
    assert (nothing.code, back.exists()) == (2, False)
    assert "scene_1.png is damaged or truncated" in nothing.err

    report = json.loads(mdlstm(*command, "--out", back, "--skip-broken", "--json").out)
    assert list(report["broken"]) == ["scene_1"]
    assert LabeledFolder(back).stems == ["scene_0", "scene_2", "scene_3"]
    assert [c.name for c in LabeledFolder(back).classes] == ["class 0", "class 1", "class 2"]


def test_project_is_told_the_fault_and_not_that_an_image_is_missing(
    mdlstm: Mdlstm, project: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    mdlstm("export", tiny_dataset, "--format", "coco", "--out", tmp_path / "out")
    changed(INSTANCES, lambda v: v["annotations"][0].update(image_id=77))(tmp_path / "out")

    result = mdlstm(
        "import", tmp_path / "out", "--format", "coco", "--into", project, "--skip-broken"
    )

    assert result.code == 1
    assert result.err.startswith("mdlstm: ")
    assert 'which "images" does not have' in result.err
    assert result.err.count("\n") == 1
    assert result.out.endswith(f"4 images written to {project}.\n")


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("voc", "labelmap.txt", "sky:1,1,1::\nroad:2,2,2::\nsky:3,3,3::\n"),
        ("yolo-seg", "data.yaml", "names: [sky, road, sky]\n"),
    ],
)
def test_class_that_is_there_twice_is_named_with_its_file(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path, name: str, file: str, content: str
) -> None:
    out = tmp_path / "out"
    mdlstm("export", tiny_dataset, "--format", name, "--out", out)
    (out / file).write_text(content)

    result = mdlstm("import", out, "--format", name, "--out", tmp_path / "back", "--skip-broken")

    assert result.code == 2
    assert result.err == (
        f"mdlstm: {out / file} has two classes called 'sky'; rename one of them.\n"
    )


def truncate_photograph(path: Path) -> None:
    """Leave of a photograph what tells its size: a JPEG's, for Pillow reads all of a PNG."""
    with Image.open(path) as image:
        image.convert("RGB").save(path, "JPEG")
    damage(path.name)(path.parent)


def files(folder: Path, pattern: str) -> set[str]:
    return {path.name for path in folder.rglob(pattern)}


@pytest.mark.parametrize("of", ["dataset", "project"])
@pytest.mark.parametrize("name", ["overlay", "coco", "labelme", "voc"])
def test_photograph_that_is_truncated_or_gone_is_left_out_of_an_export(
    mdlstm: Mdlstm, filled: Path, tiny_dataset: Path, tmp_path: Path, name: str, of: str
) -> None:
    """The project's last image has no labels, so the dataset's is without any, too."""
    images, out = tiny_dataset / "images", tmp_path / "out"
    truncate_photograph(images / "scene_0.png")
    (images / "scene_1.png").unlink()
    source = tiny_dataset if of == "dataset" else filled
    command = ("export", source, "--format", name, "--out", out)

    nothing = mdlstm(*command)
    assert (nothing.code, out.exists()) == (2, False)

    rest = mdlstm(*command, "--skip-broken", "--json")
    report = json.loads(rest.out)
    assert rest.code == 1
    assert report["broken"].keys() == {"scene_0", "scene_1"}
    # A project knows the file that was labeled.
    naming = "damaged or truncated" if of == "dataset" else "not the picture that was labeled"
    assert naming in report["broken"]["scene_0"]
    assert report["written"] == 1
    left = "scene_2_overlay.png" if name == "overlay" else "scene_2.png"
    assert files(out, "scene_*.png") == {left}


def test_labels_alone_are_exported_without_a_look_at_the_photographs(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path
) -> None:
    truncate_photograph(tiny_dataset / "images" / "scene_0.png")
    (tiny_dataset / "images" / "scene_1.png").unlink()
    for name, options in (("id-png", ()), ("coco", ("--no-images",))):
        command = ("export", tiny_dataset, "--format", name, "--out", tmp_path / name)

        result = mdlstm(*command, *options, "--skip-broken", "--json")

        assert result.code == 0, result.err
        assert json.loads(result.out)["written"] == 4
