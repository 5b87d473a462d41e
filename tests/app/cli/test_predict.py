"""`mdlstm predict`: what it writes, and what it refuses in a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.data.images import read_image
from mdlstm_core.formats.overlay_png import overlay
from mdlstm_core.memory import ON_CPU
from mdlstm_core.predictor import Predictor

Mdlstm = Callable[..., Any]


@pytest.fixture
def photo_file(tmp_path: Path, photo: NDArray[np.uint8]) -> Path:
    path = tmp_path / "photos" / "photo.png"
    path.parent.mkdir()
    Image.fromarray(photo).save(path)
    return path


def written(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir()) if out.exists() else []


def test_label_map_is_what_the_model_says(
    mdlstm: Mdlstm, photo_file: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"

    result = mdlstm("predict", photo_file, "--out", out, "--model", checkpoint_file)

    assert result == (0, "", "")
    assert written(out) == ["photo.png"]
    checkpoint = load_checkpoint(checkpoint_file)
    expected = Predictor(checkpoint, "cpu").predict(read_image(photo_file)).label_map
    with Image.open(out / "photo.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image), expected)
        palette = image.getpalette()
    assert palette is not None
    assert palette[:9] == [value for c in checkpoint.classes for value in c.color]
    colors = cv2.imread(str(out / "photo.png"), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(colors, np.reshape(palette, (-1, 3))[expected])


def test_overlay_is_written_beside_it(
    mdlstm: Mdlstm, photo_file: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ("--out", out, "--model", checkpoint_file, "--overlay", "--device", "cpu")

    assert mdlstm("predict", photo_file, *options).code == 0

    assert written(out) == ["photo.png", "photo_overlay.png"]
    classes = load_checkpoint(checkpoint_file).classes
    with Image.open(out / "photo.png") as image:
        expected = overlay(read_image(photo_file), np.array(image), classes)
    np.testing.assert_array_equal(read_image(out / "photo_overlay.png"), expected)


def test_photograph_keeps_its_exact_size(
    mdlstm: Mdlstm, checkpoint_file: Path, tmp_path: Path
) -> None:
    rocket = data.rocket()
    Image.fromarray(rocket).save(tmp_path / "rocket.png")

    mdlstm("predict", tmp_path / "rocket.png", "--out", tmp_path / "o", "--model", checkpoint_file)

    assert cv2.imread(str(tmp_path / "o" / "rocket.png")).shape == rocket.shape == (427, 640, 3)


def test_area_that_the_model_looks_at_can_be_set(
    mdlstm: Mdlstm, checkpoint_file: Path, tmp_path: Path
) -> None:
    Image.fromarray(data.rocket()).save(tmp_path / "rocket.png")
    options = ("predict", tmp_path / "rocket.png", "--model", checkpoint_file, "--device", "cpu")

    finer = mdlstm(*options, "--out", tmp_path / "o", "--pixels", 50_000)
    refused = mdlstm(*options, "--out", tmp_path / "p", "--pixels", 999)

    checkpoint = load_checkpoint(checkpoint_file)
    expected = Predictor(checkpoint.looking_at(50_000), "cpu").predict(data.rocket()).label_map
    usual = Predictor(checkpoint, "cpu").predict(data.rocket()).label_map
    assert finer.code == 0
    with Image.open(tmp_path / "o" / "rocket.png") as image:
        np.testing.assert_array_equal(np.array(image), expected)
    assert (expected != usual).any()
    assert (refused.code, "1,000 to 16,000,000 pixels, not 999" in refused.err) == (2, True)


def test_turned_photograph_is_labeled_upright(
    mdlstm: Mdlstm, checkpoint_file: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "turned.jpg", exif=exif)

    mdlstm("predict", tmp_path / "turned.jpg", "--out", tmp_path / "o", "--model", checkpoint_file)

    with Image.open(tmp_path / "o" / "turned.png") as image:
        assert image.size == (30, 40)


def test_files_and_folders_are_taken_together(
    mdlstm: Mdlstm, photo_file: Path, checkpoint_file: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    images, out = tiny_dataset / "images", tmp_path / "out"

    result = mdlstm("predict", photo_file, images, "--out", out, "--model", checkpoint_file)

    assert result.code == 0
    assert written(out) == ["photo.png", *(f"scene_{n}.png" for n in range(4))]


def test_broken_images_do_not_keep_the_others_from_being_labeled(
    mdlstm: Mdlstm, photo_file: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    folder, out = photo_file.parent, tmp_path / "out"
    (folder / "a_empty.png").write_bytes(b"")
    (folder / "b_text.jpg").write_text("no image")
    (folder / "z_cut.png").write_bytes(photo_file.read_bytes()[:700])

    result = mdlstm("predict", folder, "--out", out, "--model", checkpoint_file)

    assert result.code == 2
    lines = result.err.splitlines()
    assert len(lines) == 3
    for line, name in zip(lines, ("a_empty.png", "b_text.jpg", "z_cut.png"), strict=True):
        assert line.startswith("mdlstm: ")
        assert str(folder / name) in line
    assert written(out) == ["photo.png"]


def test_label_maps_do_not_depend_on_the_gpus_memory(
    mdlstm: Mdlstm, tiny_dataset: Path, checkpoint_file: Path, tmp_path: Path, short_memory: Any
) -> None:
    command = ("predict", tiny_dataset / "images", "--model", checkpoint_file, "--device", "cpu")
    mdlstm(*command, "--out", tmp_path / "usual")
    # Every image fails on the GPU and is labeled on the CPU.
    short_memory.fails = [True, False] * 4

    result = mdlstm(*command, "--out", tmp_path / "short")

    assert result == (0, "", f"mdlstm: {ON_CPU}\n")
    assert short_memory.fails == []
    names = written(tmp_path / "usual")
    assert written(tmp_path / "short") == names
    for name in names:
        assert (tmp_path / "short" / name).read_bytes() == (tmp_path / "usual" / name).read_bytes()


def test_too_little_memory_does_not_keep_the_others_from_being_labeled(
    mdlstm: Mdlstm, tiny_dataset: Path, checkpoint_file: Path, tmp_path: Path, short_memory: Any
) -> None:
    images, out = tiny_dataset / "images", tmp_path / "out"
    short_memory.fail, short_memory.fails = lambda: torch.empty(10**15), [False, True]

    result = mdlstm("predict", images, "--out", out, "--model", checkpoint_file)

    assert result.code == 2
    assert result.err == (
        f"mdlstm: There is not enough memory to label {images / 'scene_1.png'}; "
        "close other programs.\n"
    )
    assert written(out) == ["scene_0.png", "scene_2.png", "scene_3.png"]


@pytest.mark.parametrize("name", ["missing", "empty", "truncated", "text", "no_images"])
def test_bad_image_is_refused(
    assert_refused: Mdlstm, photo_file: Path, checkpoint_file: Path, tmp_path: Path, name: str
) -> None:
    path, out = tmp_path / f"{name}.png", tmp_path / "out"
    if name == "no_images":
        path.mkdir()
    elif name != "missing":
        half = photo_file.read_bytes()[: photo_file.stat().st_size // 2]
        path.write_bytes({"empty": b"", "text": b"no image", "truncated": half}[name])

    assert_refused("predict", path, "--out", out, "--model", checkpoint_file, naming=path)

    assert written(out) == []


@pytest.mark.parametrize("out", ["file", "file/out"])
def test_unwritable_folder_is_refused(
    assert_refused: Mdlstm, photo_file: Path, checkpoint_file: Path, tmp_path: Path, out: str
) -> None:
    (tmp_path / "file").write_text("in the way")

    arguments = (photo_file, "--out", tmp_path / out, "--model", checkpoint_file)
    assert_refused("predict", *arguments, naming=tmp_path / out)

    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize("kind", ["missing", "truncated", "foreign"])
def test_bad_model_is_refused_before_anything_is_written(
    assert_refused: Mdlstm, photo_file: Path, checkpoint_file: Path, tmp_path: Path, kind: str
) -> None:
    model = tmp_path / "model"
    if kind != "missing":
        model.write_bytes(checkpoint_file.read_bytes()[:-5] if kind == "truncated" else b"text" * 9)

    assert_refused("predict", photo_file, "--out", tmp_path / "out", "--model", model, naming=model)

    assert not (tmp_path / "out").exists()


def test_two_images_of_one_stem_are_refused(
    assert_refused: Mdlstm, photo_file: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    other, out = tmp_path / "photo.jpg", tmp_path / "out"
    Image.new("RGB", (4, 4)).save(other)

    assert_refused(
        "predict", photo_file, other, "--out", out, "--model", checkpoint_file, naming=other
    )

    assert not out.exists()


def test_overlay_of_one_image_is_not_the_label_map_of_another(
    mdlstm: Mdlstm, assert_refused: Mdlstm, photo_file: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (4, 4)).save(photo_file.with_name("photo_overlay.jpg"))
    arguments = ("predict", photo_file.parent, "--out", tmp_path / "o", "--model", checkpoint_file)

    assert_refused(*arguments, "--overlay", naming="photo_overlay")
    assert not (tmp_path / "o").exists()
    assert mdlstm(*arguments).code == 0


def test_images_are_never_overwritten(
    assert_refused: Mdlstm, photo_file: Path, checkpoint_file: Path
) -> None:
    before = photo_file.read_bytes()
    out = photo_file.parent / ".." / photo_file.parent.name

    assert_refused(
        "predict", photo_file, "--out", out, "--model", checkpoint_file, naming="photo.png"
    )

    assert photo_file.read_bytes() == before


def test_gpu_that_is_not_there_is_refused(
    assert_refused: Mdlstm,
    photo_file: Path,
    checkpoint_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    model = ("--model", checkpoint_file, "--device", "cuda")

    assert_refused("predict", photo_file, "--out", tmp_path / "out", *model, naming="--device cpu")

    assert not (tmp_path / "out").exists()


def test_disk_that_fills_up_leaves_no_half_file(
    assert_refused: Mdlstm,
    photo_file: Path,
    checkpoint_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    out = tmp_path / "out"

    assert_refused(
        "predict", photo_file, "--out", out, "--model", checkpoint_file, naming="No space"
    )

    assert written(out) == []


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "app.cli.main", "predict", *(str(a) for a in arguments)]


def test_program_exits_with_2_and_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path / "missing.png", "--out", tmp_path / "out"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"mdlstm: There is no file or folder {tmp_path / 'missing.png'}.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_terminal_shows_a_bar(photo_file: Path, checkpoint_file: Path, tmp_path: Path) -> None:
    import pty
    import termios

    outside, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    arguments = (photo_file, "--out", tmp_path / "out", "--model", checkpoint_file)
    done = subprocess.run(command(*arguments), stderr=terminal, check=False)
    shown = os.read(outside, 10_000)
    for descriptor in (outside, terminal):
        os.close(descriptor)

    assert done.returncode == 0
    assert b"1/1" in shown
