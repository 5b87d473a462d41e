"""TIFF stacks in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from mdlstm_core.errors import InputError
from mdlstm_core.volumes.stacks import (
    read_label_stack,
    read_stack,
    save_label_stack,
    volume_input,
)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(5, 6, 7), (3, 6, 7), (4, 6, 7), (6, 7)])
@pytest.mark.parametrize("kind", ["plain", "imagej", "ome"])
def test_grey_stacks_keep_slices_and_values(
    tmp_path: Path, dtype: Any, shape: tuple[int, ...], kind: str
) -> None:
    values = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    axes = "ZYX"[-len(shape) :]
    options = {} if kind == "plain" else {kind: True, "metadata": {"axes": axes}}
    tifffile.imwrite(tmp_path / "s.tif", values, photometric="minisblack", **options)

    read = read_stack(tmp_path / "s.tif")

    assert read.dtype == dtype
    np.testing.assert_array_equal(read, values.reshape(-1, 6, 7, 1))


def test_pages_of_other_programs_are_slices(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).integers(0, 256, (3, 6, 7), dtype=np.uint8)
    first, *others = (Image.fromarray(page) for page in pages)
    first.save(tmp_path / "s.tif", save_all=True, append_images=others)

    np.testing.assert_array_equal(read_stack(tmp_path / "s.tif")[..., 0], pages)


def test_color_is_three_channels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (4, 6, 7, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "s.tif", values, photometric="rgb")

    np.testing.assert_array_equal(read_stack(tmp_path / "s.tif"), values)


@pytest.mark.parametrize("slices", [1, 3, 5])
def test_labels_come_back(tmp_path: Path, slices: int) -> None:
    labels = np.random.default_rng(0).integers(0, 4, (slices, 6, 7), dtype=np.uint8)

    save_label_stack(labels, tmp_path / "labels.tif")

    np.testing.assert_array_equal(read_label_stack(tmp_path / "labels.tif"), labels)
    with Image.open(tmp_path / "labels.tif") as image:
        assert getattr(image, "n_frames", 1) == slices


def test_pages_of_different_sizes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(np.zeros((6, 7), dtype=np.uint8))
        file.write(np.zeros((6, 8), dtype=np.uint8))

    with pytest.raises(InputError, match=r"pages of different sizes or types \(6×7, 6×8\)") as told:
        read_stack(path)
    assert str(path) in str(told.value)


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated", "folder", "complex"])
def test_bad_file_is_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s.tif"
    if kind == "folder":
        path.mkdir()
    elif kind == "complex":
        tifffile.imwrite(path, np.zeros((3, 6, 7), dtype=np.complex64), photometric="minisblack")
    elif kind != "missing":
        tifffile.imwrite(path, np.zeros((3, 60, 70), dtype=np.uint8), photometric="minisblack")
        whole = path.read_bytes()
        path.write_bytes({"empty": b"", "text": b"no image", "truncated": whole[:6000]}[kind])

    with pytest.raises(InputError) as told:
        read_stack(path)

    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)
    assert str(told.value).endswith(".")


def test_labels_of_another_type_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "s.tif", np.zeros((3, 6, 7), dtype=np.uint16), photometric="minisblack"
    )

    with pytest.raises(InputError, match="1 channels of uint16; save class indices"):
        read_label_stack(tmp_path / "s.tif")


def test_channels_are_standardised() -> None:
    volume = np.random.default_rng(0).normal((3, 1000), (2, 50), (4, 5, 6, 2))
    volume = np.concatenate([volume, np.full((4, 5, 6, 1), 7.0)], axis=3)

    tensor = volume_input(volume)[0]

    np.testing.assert_allclose(tensor.mean(dim=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(tensor.std(dim=(1, 2, 3), correction=0), [1, 1, 0], atol=1e-4)
    np.testing.assert_allclose(
        tensor[0], (volume[..., 0] - volume[..., 0].mean()) / volume[..., 0].std(), atol=1e-4
    )
