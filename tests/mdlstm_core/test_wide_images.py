"""Images of more than 8 bits, of several pages, and previews."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from mdlstm_core.data import previews
from mdlstm_core.data.display_window import DisplayWindow
from mdlstm_core.data.images import (
    find_images,
    image_size,
    read_image,
    read_picture,
)
from mdlstm_core.data.pages import file_and_page, pages_of
from mdlstm_core.data.previews import read_preview
from mdlstm_core.errors import InputError

KINDS = ["uint16", "int16", "uint32", "int32", "float16", "float32", "float64"]


def ramp(kind: str, channels: int = 1) -> NDArray[np.generic]:
    """Values 1000 to 1255 over the rows of 256×8 pixels, the channels equal."""
    column = np.arange(1000, 1256).astype(kind)
    values = np.repeat(column[:, np.newaxis], 8, axis=1)
    return values if channels == 1 else np.repeat(values[..., np.newaxis], channels, axis=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tiff_of_every_number_through_a_window(tmp_path: Path, kind: str, channels: int) -> None:
    path = tmp_path / "wide.tif"
    photometric = "minisblack" if channels == 1 else "rgb"
    tifffile.imwrite(path, ramp(kind, channels), photometric=photometric, compression="zlib")

    picture = read_picture(path, DisplayWindow(1000, 1255))

    expected = np.arange(256)[:, np.newaxis, np.newaxis]
    tolerance = 1 if kind == "float16" else 0
    assert picture.rgb.shape == (256, 8, 3)
    assert np.abs(picture.rgb.astype(int) - expected).max() <= tolerance
    assert picture.span == (1000, float(np.float32(1255).astype(kind)))
    assert image_size(path) == (256, 8)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_planes_of_colours_and_tiles(tmp_path: Path, kind: str) -> None:
    values = ramp(kind, 3)
    tifffile.imwrite(
        tmp_path / "planes.tif",
        np.moveaxis(values, -1, 0),
        photometric="rgb",
        planarconfig="separate",
    )
    tifffile.imwrite(tmp_path / "tiles.tif", values, photometric="rgb", tile=(32, 32))

    planes, tiles = read_picture(tmp_path / "planes.tif"), read_picture(tmp_path / "tiles.tif")

    assert planes.rgb.shape == (256, 8, 3)
    np.testing.assert_array_equal(planes.rgb, tiles.rgb)


def test_compression_that_tifffile_needs_codecs_for(tmp_path: Path) -> None:
    path = tmp_path / "lzw.tif"
    values = ramp("uint16", 3)
    values[..., 2] = 1000
    assert cv2.imwrite(str(path), values[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])

    rgb = read_picture(path, DisplayWindow(1000, 1255)).rgb

    assert rgb[255, 0].tolist() == [255, 255, 0]
    assert rgb[100, 0].tolist() == [100, 100, 0]


def test_wide_png_in_colour_keeps_all_bits(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    values = ramp("uint16", 3)
    values[..., 2] = 1000
    assert cv2.imwrite(str(path), values[..., ::-1])

    assert read_picture(path, DisplayWindow(1000, 1255)).rgb[100, 0].tolist() == [100, 100, 0]
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"wide\.png is damaged or truncated"):
        read_picture(path)


def test_wide_tiff_is_turned_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.tif"
    tifffile.imwrite(path, ramp("uint16"), extratags=[(274, "H", 1, 6, True)])

    rgb = read_picture(path, DisplayWindow(1000, 1255)).rgb

    assert rgb.shape == (8, 256, 3)
    assert rgb[0, ::255, 0].tolist() == [255, 0]  # the stored top row is on the right
    assert image_size(path) == (8, 256)


def test_white_that_is_zero(tmp_path: Path) -> None:
    path = tmp_path / "inverted.tif"
    tifffile.imwrite(path, ramp("uint16"), photometric="miniswhite")

    assert read_image(path)[::255, 0, 0].tolist() == [255, 0]


def test_truncated_wide_tiff_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.tif"
    noise = np.random.default_rng(0).integers(0, 4000, (64, 64, 3), dtype=np.uint16)
    tifffile.imwrite(path, noise, photometric="rgb")
    path.write_bytes(path.read_bytes()[:10_000])

    with pytest.raises(InputError, match=r"cut\.tif"):
        read_image(path)


@given(
    values=arrays.arrays(
        np.float32, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.floats(width=32)
    ),
    low=st.floats(-1e6, 1e6),
    width=st.floats(1e-3, 1e6),
)
def test_a_window_maps_as_defined(values: NDArray[np.float32], low: float, width: float) -> None:
    window = DisplayWindow(low, low + width)

    shown = window.to_8_bit(values)

    exact = (values.astype(np.float64) - window.low) / (window.high - window.low) * 255
    exact = np.nan_to_num(exact).clip(0, 255)
    # Single precision: as fine as the values of the file themselves.
    coarse = 255 * np.spacing(np.float32(max(abs(low), abs(low + width)))) * 4 / width
    assert (np.abs(shown - exact) <= 0.51 + coarse).all()


def test_pages_are_images_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    stack = np.stack([np.full((6, 5), value, np.uint8) for value in (10, 20, 30)])
    tifffile.imwrite(path, stack, photometric="minisblack")
    wide = tmp_path / "wide.tiff"
    tifffile.imwrite(wide, stack.astype(np.float64), photometric="minisblack")

    pages = find_images([path])

    assert [page.name for page in pages] == ["stack.tif", "stack#page=2.tif", "stack#page=3.tif"]
    assert [read_image(page)[0, 0, 0] for page in pages] == [10, 20, 30]
    assert find_images([pages[2]]) == [pages[2]]
    assert find_images([tmp_path]) == [*pages, *pages_of(wide)]
    assert len(pages_of(wide)) == 3
    spans = [read_picture(page).span for page in pages_of(wide)]
    assert spans == [(10, 10), (20, 20), (30, 30)]
    with pytest.raises(InputError, match=r"stack\.tif has no page 4"):
        read_image(tmp_path / "stack#page=4.tif")


def test_a_file_that_is_really_called_so_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "a#page=2.tif"
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(path)

    assert file_and_page(path) == (path, 0)
    assert read_image(path).shape == (3, 4, 3)


def test_first_frame_of_a_gif(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (5, 4), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])

    assert (read_image(tmp_path / "moving.gif") == [255, 0, 0]).all()
    assert find_images([tmp_path]) == [tmp_path / "moving.gif"]


def test_alpha_is_kept_beside_the_image(tmp_path: Path) -> None:
    rgba = np.zeros((600, 3, 4), dtype=np.uint8)
    rgba[:, :, 3] = (0, 51, 255)
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    rgba[..., 3] = 255
    Image.fromarray(rgba).save(tmp_path / "opaque.png")

    picture = read_picture(tmp_path / "rgba.png")

    assert picture.alpha is not None
    assert (picture.alpha == (0, 51, 255)).all()
    assert (picture.rgb[..., 0] == (255, 204, 0)).all()
    assert read_picture(tmp_path / "opaque.png").alpha is None


@pytest.mark.parametrize("orientation", [1, 6])
def test_preview_of_a_large_jpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orientation: int
) -> None:
    monkeypatch.setattr(previews, "_FROM", 400 * 320)
    exif = Image.Exif()
    exif[0x0112] = orientation
    rows, columns = np.mgrid[:320, :400]
    rgb = np.stack([rows // 2, columns // 2, rows * 0], axis=-1).astype(np.uint8)
    Image.fromarray(rgb).save(tmp_path / "large.jpg", exif=exif, quality=95)

    preview = read_preview(tmp_path / "large.jpg")

    assert preview is not None
    whole = read_image(tmp_path / "large.jpg")
    assert preview.size == whole.shape[:2]
    small = cv2.resize(whole, preview.rgb.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert preview.rgb.shape[0] == -(-whole.shape[0] // 8)
    assert np.abs(small.astype(int) - preview.rgb).mean() < 3
    Image.fromarray(rgb[:100]).save(tmp_path / "small.jpg")
    assert read_preview(tmp_path / "small.jpg") is None


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("kind", ["plain", "wide", "pyramid"])
def test_preview_of_a_large_tiff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, orientation: int
) -> None:
    monkeypatch.setattr(previews, "_FROM", 400 * 320)
    monkeypatch.setattr(previews, "_SIDE", 100)
    rows, columns = np.mgrid[:320, :400]
    values = np.stack([rows // 2, columns // 2, rows * 0], axis=-1).astype(np.uint8)
    tag = [(274, "H", 1, orientation, True)]
    path = tmp_path / "large.tif"
    with tifffile.TiffWriter(path) as tiff:
        if kind == "wide":
            tiff.write((rows * 200).astype(np.uint16), extratags=tag)
        elif kind == "plain":
            tiff.write(values, photometric="rgb", extratags=tag)
        else:
            options = {"photometric": "rgb", "tile": (64, 64), "compression": "zlib"}
            tiff.write(values, subifds=2, extratags=tag, **options)
            tiff.write(values[::2, ::2], subfiletype=1, **options)
            tiff.write(values[::4, ::4], subfiletype=1, **options)

    preview = read_preview(path)

    assert preview is not None
    whole = read_image(path)
    assert preview.size == whole.shape[:2]
    assert 80 <= max(preview.rgb.shape) <= 200
    small = cv2.resize(whole, preview.rgb.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - preview.rgb).mean() < 4


def test_what_has_to_be_decoded_as_a_whole_has_no_preview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "_FROM", 100)
    values = np.zeros((320, 400, 3), np.uint8)
    tifffile.imwrite(tmp_path / "zip.tif", values, compression="zlib", photometric="rgb")
    tifffile.imwrite(tmp_path / "alpha.tif", np.zeros((320, 400, 4), np.uint8), photometric="rgb")
    Image.fromarray(values).save(tmp_path / "image.png")
    (tmp_path / "broken.tif").write_bytes((tmp_path / "zip.tif").read_bytes()[:40])
    for path in sorted(tmp_path.iterdir()):
        assert read_preview(path) is None
