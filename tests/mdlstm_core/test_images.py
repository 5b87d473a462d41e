"""Reading images of every format and every kind of damage."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mdlstm_core.data import images
from mdlstm_core.data.images import (
    find_images,
    image_size,
    images_in,
    read_image,
    read_label_map,
)
from mdlstm_core.errors import InputError

LOSSLESS = [("png", {}), ("bmp", {}), ("webp", {"lossless": True}), ("tif", {})]
LOSSLESS += [("tiff", {"compression": "tiff_lzw"})]
SUFFIXES = ["png", "jpg", "bmp", "webp", "tif"]
ORIENTATION = 0x0112


def gradient(height: int = 16, width: int = 24) -> NDArray[np.uint8]:
    """A smooth image, so that JPEG keeps it nearly as it is."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 9, columns * 9, rows * 4 + columns * 4], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(("suffix", "options"), LOSSLESS)
def test_lossless_formats(tmp_path: Path, suffix: str, options: dict[str, Any]) -> None:
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(gradient()).save(path, **options)

    np.testing.assert_array_equal(read_image(path), gradient())
    assert image_size(path) == (16, 24)


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_jpeg_and_its_colour_spaces(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "image.jpg"
    Image.fromarray(gradient()).convert(mode).save(path, quality=98)

    difference = np.abs(read_image(path).astype(int) - gradient())

    assert difference.mean() < 4


def test_grey_and_palette_images_become_rgb(tmp_path: Path) -> None:
    grey = gradient()[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    palette = Image.fromarray(grey)
    palette.putpalette(bytes(value for index in range(256) for value in (index, 255 - index, 7)))
    palette.save(tmp_path / "palette.png")

    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.dstack([grey] * 3))
    expected = np.dstack([grey, 255 - grey, np.full_like(grey, 7)])
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png"), expected)


def test_alpha_is_laid_over_white(tmp_path: Path) -> None:
    rgba = np.zeros((1, 3, 4), dtype=np.uint8)
    rgba[0, :, 3] = (0, 51, 255)
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8))
    palette.putpalette(bytes([10, 20, 30, 40, 50, 60]))
    palette.save(tmp_path / "palette.png", transparency=0)

    assert read_image(tmp_path / "rgba.png")[0, :, 0].tolist() == [255, 204, 0]
    assert read_image(tmp_path / "palette.png").tolist() == [[[255, 255, 255], [40, 50, 60]]]


@pytest.mark.parametrize(
    ("kind", "suffix"), [("uint16", "png"), ("int32", "tif"), ("float32", "tif")]
)
def test_wide_values_are_scaled(tmp_path: Path, kind: str, suffix: str) -> None:
    values = (np.arange(400).reshape(20, 20) * 100 + 3000).astype(kind)
    path = tmp_path / f"wide.{suffix}"
    Image.fromarray(values).save(path)

    image = read_image(path)

    assert image.shape == (20, 20, 3)
    assert (image[0, 0, 0], image[-1, -1, 0]) == (0, 255)
    assert (np.diff(image[..., 0].ravel().astype(int)) >= 0).all()
    assert abs(int(image[10, 0, 0]) - 128) <= 1


def test_wide_constant_and_broken_values_do_not_fail(tmp_path: Path) -> None:
    values = np.full((4, 4), 7.0, dtype=np.float32)
    Image.fromarray(values).save(tmp_path / "constant.tif")
    values[0] = (np.nan, np.inf, -np.inf, 3)
    Image.fromarray(values).save(tmp_path / "broken.tif")

    assert read_image(tmp_path / "constant.tif").max() == 0
    assert read_image(tmp_path / "broken.tif").shape == (4, 4, 3)


def stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return the pixels that a camera stores for an upright image, by the EXIF table."""
    transposed = upright.swapaxes(0, 1)
    return {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: transposed,
        6: transposed[::-1],
        7: transposed[::-1, ::-1],
        8: transposed[:, ::-1],
    }[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_and_label_maps_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path, label_path = tmp_path / "image.png", tmp_path / "label.png"
    pixels = np.ascontiguousarray(stored(gradient(), orientation))
    Image.fromarray(pixels).save(path, exif=exif)
    Image.fromarray(pixels[..., 0].copy()).save(label_path, exif=exif)

    np.testing.assert_array_equal(read_image(path), gradient())
    np.testing.assert_array_equal(read_label_map(label_path), gradient()[..., 0])
    assert image_size(path) == (16, 24)


def test_orientation_of_jpeg(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(gradient()).save(tmp_path / "image.jpg", exif=exif)

    assert read_image(tmp_path / "image.jpg").shape == (24, 16, 3)
    assert image_size(tmp_path / "image.jpg") == (24, 16)


def encoded(suffix: str) -> bytes:
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(noise).save(content, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix))
    return content.getvalue()


# Pillow's warnings are no errors outside of the tests, so that they are none here.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.6, 0.9])
def test_truncated_image_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path, content = tmp_path / f"image.{suffix}", encoded(suffix)
    path.write_bytes(content[: max(1, int(share * len(content)))])

    with pytest.raises(InputError) as caught:
        read_image(path)

    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damaged_image_is_read_or_refused(tmp_path: Path, suffix: str) -> None:
    generator = np.random.default_rng(0)
    content = np.frombuffer(encoded(suffix), dtype=np.uint8)
    path = tmp_path / f"image.{suffix}"
    for _ in range(60):
        damaged = content.copy()
        damaged[generator.integers(0, 120, size=3)] = generator.integers(0, 256, size=3)
        path.write_bytes(damaged.tobytes())
        for read in (read_image, read_label_map, image_size):
            # Any other exception fails the test.
            with suppress(InputError):
                read(path)


@pytest.mark.parametrize("read", [read_image, read_label_map, image_size])
def test_files_that_are_no_images_are_refused(tmp_path: Path, read: Any) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("This is no image.\n")
    for name, message in (
        ("empty.png", "is empty"),
        ("text.png", "is not an image"),
        ("missing.png", "There is no file"),
        (".", "is not an image"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            read(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_image_that_would_not_fit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(gradient()).save(tmp_path / "image.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 16 * 24 - 1)

    with pytest.raises(InputError, match="has 24×16 pixels"):
        read_image(tmp_path / "image.png")


def test_image_that_would_not_fit_into_what_is_free_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (3000, 1000)).save(tmp_path / "image.png")
    monkeypatch.setattr(images, "host_memory", lambda: (8 << 30, 20_000_000))

    with pytest.raises(InputError) as caught:
        read_image(tmp_path / "image.png")

    assert "has 3000×1000 pixels" in str(caught.value)
    assert "at most 2 million can be opened with the memory that is free" in str(caught.value)


def test_label_maps_are_read_as_indices(tmp_path: Path) -> None:
    label_map = np.array([[0, 1, 255], [7, 254, 1]], dtype=np.uint8)
    indexed = Image.fromarray(label_map)
    indexed.save(tmp_path / "grey.png")
    indexed.putpalette(bytes(range(255, -1, -1)) * 3)
    indexed.save(tmp_path / "palette.png")
    Image.fromarray(label_map == 1).save(tmp_path / "bits.png")

    np.testing.assert_array_equal(read_label_map(tmp_path / "grey.png"), label_map)
    np.testing.assert_array_equal(read_label_map(tmp_path / "palette.png"), label_map)
    np.testing.assert_array_equal(read_label_map(tmp_path / "bits.png"), label_map == 1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "I;16"])
def test_other_images_are_no_label_maps(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (3, 2)).save(tmp_path / "map.png")

    with pytest.raises(InputError, match="is not an 8-bit label map"):
        read_label_map(tmp_path / "map.png")


def test_images_are_found_in_files_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "inner.png").mkdir(parents=True)
    for name in ("b.PNG", "a.jpg", "._a.jpg", "notes.txt"):
        (folder / name).write_bytes(b"")
    (tmp_path / "alone").write_bytes(b"")

    found = find_images([tmp_path / "alone", folder])

    assert found == [tmp_path / "alone", folder / "a.jpg", folder / "b.PNG"]
    assert images_in(folder) == found[1:]


def test_missing_paths_and_folders_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no images"):
        find_images([tmp_path])
    with pytest.raises(InputError, match="There is no file or folder"):
        find_images([tmp_path / "missing"])
    with pytest.raises(InputError, match="cannot be read"):
        images_in(tmp_path / "missing")
