"""`mdlstm texture`: what it writes, and what it refuses in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Mdlstm = Callable[..., Any]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """An image with a dark and a light half, and a stroke on each."""
    grey = np.where(np.arange(40) < 20, 60, 200) + np.zeros((30, 1), dtype=int)
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "image.png")
    strokes = np.full((30, 40), 255, dtype=np.uint8)
    strokes[5:25, 8], strokes[5:25, 30] = 1, 0
    Image.fromarray(strokes).save(tmp_path / "strokes.png")
    return tmp_path / "image.png", tmp_path / "strokes.png"


def test_label_map_follows_the_scribbles(
    mdlstm: Mdlstm, files: tuple[Path, Path], tmp_path: Path
) -> None:
    image, strokes = files
    out = tmp_path / "new" / "labels.png"

    result = mdlstm("texture", image, "--scribbles", strokes, "--out", out, "--steps", 60)

    assert result == (0, f"{out}: 2 textures\n", "")
    with Image.open(out) as written:
        assert written.mode == "P"
        label_map = np.array(written)
    assert label_map.shape == (30, 40)
    assert np.mean(label_map == (np.arange(40) < 20)) > 0.8


def test_a_run_that_the_clock_cut_off_says_so(
    mdlstm: Mdlstm, files: tuple[Path, Path], tmp_path: Path
) -> None:
    image, strokes = files
    out = tmp_path / "labels.png"

    result = mdlstm("texture", image, "--scribbles", strokes, "--out", out, "--seconds", 1e-9)

    assert result.code == 0
    assert result.err == (
        "mdlstm: The time was up after 1 of 400 steps, which will not come out the same again; "
        "give more --seconds, or fewer --steps.\n"
    )


def test_scribbles_of_one_class_are_refused(
    assert_refused: Mdlstm, files: tuple[Path, Path], tmp_path: Path
) -> None:
    image, strokes = files
    Image.new("L", (40, 30), 255).save(strokes)

    out = tmp_path / "labels.png"
    assert_refused("texture", image, "--scribbles", strokes, "--out", out, naming="two classes")
    assert not out.exists()


def test_inputs_are_never_overwritten(assert_refused: Mdlstm, files: tuple[Path, Path]) -> None:
    image, strokes = files
    before = strokes.read_bytes()

    assert_refused("texture", image, "--scribbles", strokes, "--out", strokes, naming=strokes)

    assert strokes.read_bytes() == before


@pytest.mark.parametrize("missing", [0, 1])
def test_missing_file_is_refused(
    assert_refused: Mdlstm, files: tuple[Path, Path], tmp_path: Path, missing: int
) -> None:
    files[missing].unlink()

    arguments = ("texture", files[0], "--scribbles", files[1], "--out", tmp_path / "o.png")
    assert_refused(*arguments, naming=files[missing])
