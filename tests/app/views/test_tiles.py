"""What the canvas draws, compared with a slow and simple reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PySide6.QtCore import QCoreApplication, QRect, QThreadPool
from PySide6.QtGui import QImage, QPainter

from app.document.document import ImageDocument
from app.document.label_map import LabelMap
from app.document.stroke import Box
from app.views.canvas.layer_stack import LayerStack
from app.views.canvas.pyramid import Level, smaller_levels
from app.views.canvas.tiles import Tile, TileGrid, pixels_shown, sample_nearest, sample_smooth
from app.views.canvas.view_transform import ViewTransform
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.images import Picture

CLASSES = (LabelClass("a", (255, 0, 0)), LabelClass("b", (0, 255, 0)), LabelClass("c", (0, 0, 255)))
_SCALE = st.floats(1 / 64, 64)
_SIDE = st.integers(1, 600)


@given(scale=_SCALE, height=_SIDE, width=_SIDE)
@example(scale=1.1, height=30, width=1)
def test_device_pixels_and_pixels_agree(scale: float, height: int, width: int) -> None:
    grid = TileGrid(scale, height, width)
    rows, _ = grid.size
    shown = pixels_shown(0, rows, scale, height)
    assert shown[0] >= 0
    assert shown[-1] == height - 1 or scale < 1
    for pixel in (0, height // 2, height - 1):
        first = grid.first(pixel)
        before = pixels_shown(0, rows, scale, height)[:first]
        assert (before < pixel).all()
        assert (shown[first:] >= pixel).all()


@given(scale=_SCALE, height=_SIDE, width=_SIDE, data=st.data())
def test_a_changed_pixel_lies_in_its_tiles(
    scale: float, height: int, width: int, data: st.DataObject
) -> None:
    grid = TileGrid(scale, height, width)
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    changed = np.zeros((height, width), dtype=np.uint8)
    changed[top, left] = 1
    rows, columns = grid.size
    # The window keeps the reference small: at high zoom only what is around the pixel.
    first_row, first_column = max(grid.first(top) - 70, 0), max(grid.first(left) - 70, 0)
    last_row, last_column = min(first_row + 210, rows), min(first_column + 210, columns)
    seen = changed[
        np.ix_(
            pixels_shown(first_row, last_row, scale, height),
            pixels_shown(first_column, last_column, scale, width),
        )
    ]
    tiles = grid.tiles_at(grid.device_box(Box(top, left, top + 1, left + 1)))
    for y, x in np.argwhere(seen):
        assert Tile((y + first_row) // 256, (x + first_column) // 256) in tiles


@given(
    rows=st.lists(st.integers(0, 90), min_size=1), columns=st.lists(st.integers(0, 70), min_size=1)
)
def test_nearest_samples_are_exact(rows: list[int], columns: list[int]) -> None:
    values = np.random.default_rng(0).integers(0, 256, (91, 71), dtype=np.uint8)
    at_rows, at_columns = np.array(sorted(rows)), np.array(sorted(columns))
    expected = values[np.ix_(at_rows, at_columns)]
    np.testing.assert_array_equal(sample_nearest(values, at_rows, at_columns), expected)


@pytest.mark.parametrize("scale", [0.25, 0.31, 0.48, 0.5, 0.63, 0.99])
def test_smooth_samples_of_a_ramp_are_where_they_belong(scale: float) -> None:
    ramp = np.arange(200, dtype=np.uint8)[np.newaxis].repeat(200, axis=0)
    left, right = 7, int(190 * scale)
    across = sample_smooth(ramp, Box(3, left, 30, right), (scale, scale))
    down = sample_smooth(ramp.T, Box(left, 3, right, 30), (scale, scale))
    expected = (np.arange(left, right) + 0.5) / scale - 0.5
    assert np.abs(across - expected).max() < 1
    assert np.abs(down.T - expected).max() < 1


def test_levels_average() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (2048, 720, 3), dtype=np.uint8)
    alpha = rgb[..., 0].copy()
    levels = smaller_levels(Level(rgb, alpha))
    assert [level.rgb.shape[:2] for level in levels] == [(512, 180), (256, 90)]
    mean = rgb.reshape(512, 4, 180, 4, 3).mean(axis=(1, 3))
    assert np.abs(levels[0].rgb - mean).max() <= 2
    assert levels[1].alpha is not None
    assert levels[1].alpha.shape == (256, 90)


@pytest.mark.parametrize("zoom", [0.03, 0.11, 0.26, 0.4, 0.7])
def test_zoomed_out_the_image_is_averaged(qapp: QCoreApplication, zoom: float) -> None:
    rows, columns = np.mgrid[:2000, :1500]
    rgb = np.stack([rows // 8, columns // 6, (rows + columns) // 14], axis=-1).astype(np.uint8)
    rgb[::2, ::2] ^= 8  # what nearest samples would show
    stack = LayerStack()
    stack.set_document(_document(np.full((2000, 1500), IGNORE_INDEX, np.uint8), rgb))
    with_levels = _wait_for_levels(stack)

    seen = _painted(stack, ViewTransform(zoom))

    assert with_levels
    height, width = (min(int(n * zoom), m) for n, m in ((2000, 260), (1500, 300)))
    y, x = ((np.arange(n) + 0.5) / zoom - 0.5 for n in (height, width))
    expected = np.stack(np.broadcast_arrays(y[:, None] / 8, x / 6, (y[:, None] + x) / 14), axis=-1)
    assert np.abs(seen[2 : height - 2, 2 : width - 2] - expected[2:-2, 2:-2]).mean() < 3


def _wait_for_levels(stack: LayerStack) -> bool:
    """Wait for the pyramid, which is built in a thread; return whether it is there."""
    QThreadPool.globalInstance().waitForDone()
    QCoreApplication.processEvents()
    thumbnail = stack.thumbnail
    return thumbnail is not None and max(thumbnail.shape) <= 256


def _document(labels: NDArray[np.uint8], rgb: NDArray[np.uint8] | None = None) -> ImageDocument:
    if rgb is None:
        rgb = np.full((*labels.shape, 3), 100, dtype=np.uint8)
    return ImageDocument(Path("image.png"), rgb, LabelMap(labels.copy()), Picture(rgb))


def _painted(
    stack: LayerStack,
    transform: ViewTransform,
    size: tuple[int, int] = (300, 260),
    *,
    ratio: float = 1,
) -> NDArray[np.uint8]:
    """Return what a view of this width and height shows, RGB."""
    width, height = size
    picture = QImage(round(width * ratio), round(height * ratio), QImage.Format.Format_RGB32)
    picture.setDevicePixelRatio(ratio)
    picture.fill(0)
    painter = QPainter(picture)
    placing = stack.placing(painter, transform, ratio)
    assert placing is not None
    stack.paint(painter, placing, QRect(0, 0, width, height), QRect(0, 0, width, height))
    painter.end()
    shape = (picture.height(), picture.width(), 4)
    return np.frombuffer(picture.constBits(), np.uint8).reshape(shape)[..., 2::-1].copy()


@pytest.mark.parametrize("zoom", [1.0, 1.25, 2.0, 3.9])
@pytest.mark.parametrize("ratio", [1, 1.5, 2])
def test_above_one_to_one_each_device_pixel_is_one_pixel(zoom: float, ratio: float) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    stack = LayerStack()
    stack.set_document(_document(np.full((400, 500), IGNORE_INDEX, np.uint8), rgb))

    seen = _painted(stack, ViewTransform(zoom, -31.4, -17.2), ratio=ratio)

    scale = zoom * ratio
    rows = ((np.arange(seen.shape[0]) - round(-17.2 * ratio) + 0.5) / scale).astype(int)
    columns = ((np.arange(seen.shape[1]) - round(-31.4 * ratio) + 0.5) / scale).astype(int)
    shown = (rows < 400)[:, np.newaxis] & (columns < 500)
    expected = rgb[np.ix_(rows.clip(0, 399), columns.clip(0, 499))]
    assert (seen[shown] == expected[shown]).all()
    assert (seen[~shown] == 0).all()


def test_a_pixel_is_whole_device_pixels_at_one_to_one_of_any_screen() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    stack = LayerStack()
    stack.set_document(_document(np.full((90, 120), IGNORE_INDEX, np.uint8), rgb))
    for ratio in (1, 1.25, 1.5, 1.75, 2, 3):
        seen = _painted(stack, ViewTransform(1 / ratio), ratio=ratio)
        np.testing.assert_array_equal(seen[:90, :120], rgb)


@settings(max_examples=30, deadline=None)
@given(zoom=st.floats(0.05, 7.9), data=st.data())
def test_labels_are_where_they_belong_also_after_changes(zoom: float, data: st.DataObject) -> None:
    generator = np.random.default_rng(data.draw(st.integers(0, 1000)))
    labels = generator.integers(0, 4, (300, 350)).astype(np.uint8)
    labels[labels == 3] = IGNORE_INDEX
    document = _document(labels)
    document.labels_changed.connect(lambda box: stack.mark_dirty(box))
    stack = LayerStack()
    stack.set_classes(CLASSES, frozenset())
    stack.set_opacity(1)
    stack.set_document(document)
    _painted(stack, ViewTransform(zoom))
    top, left = data.draw(st.integers(0, 290)), data.draw(st.integers(0, 340))
    box = Box(top, left, top + 10, left + 10)
    document.corrections._values[box.slices] = labels[box.slices] = 2
    document.corrections.changed.emit(box)

    seen = _painted(stack, ViewTransform(zoom))

    colors = np.full((256, 3), 100, np.uint8)
    colors[:3] = [c.color for c in CLASSES]
    grid = TileGrid(zoom, 300, 350)
    rows, columns = (min(a, b) for a, b in zip(grid.size, (260, 300), strict=True))
    places = np.ix_(pixels_shown(0, rows, zoom, 300), pixels_shown(0, columns, zoom, 350))
    np.testing.assert_array_equal(seen[:rows, :columns], colors[labels[places]])


def test_hidden_classes_are_not_drawn_and_recolouring_samples_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[:, 30:] = 1
    stack = LayerStack()
    stack.set_opacity(1)
    stack.set_document(_document(labels))
    stack.set_classes(CLASSES, frozenset())
    assert _painted(stack, ViewTransform())[5, [5, 40]].tolist() == [[255, 0, 0], [0, 255, 0]]

    def fail(*_: object) -> None:
        raise AssertionError("the label map was read again")

    monkeypatch.setattr("app.views.canvas.layers.sample_nearest", fail)
    stack.set_classes(CLASSES, frozenset({0}))
    assert _painted(stack, ViewTransform())[5, [5, 40]].tolist() == [[100] * 3, [0, 255, 0]]
    stack.set_classes(CLASSES[::-1], frozenset())
    assert _painted(stack, ViewTransform())[5, [5, 40]].tolist() == [[0, 0, 255], [0, 255, 0]]


@pytest.mark.parametrize("zoom", [0.3, 1.0, 3.5])
@pytest.mark.parametrize("ratio", [1, 2])
def test_outlines_are_one_pixel_of_the_view_wide(zoom: float, ratio: int) -> None:
    labels = np.zeros((600, 700), np.uint8)
    labels[:, 25:] = 1
    stack = LayerStack()
    stack.set_classes(CLASSES, frozenset())
    stack.set_document(_document(labels))
    stack.set_style(outlines=True, hatching=False)

    seen = _painted(stack, ViewTransform(zoom), ratio=ratio)

    is_line = (seen != 100).any(axis=-1)[: round(60 * zoom), : round(500 * zoom)]
    first = TileGrid(zoom * ratio, 600, 700).first(25)
    assert (is_line.sum(axis=1) == ratio).all()
    assert is_line[:, first - ratio : first].all()
    stack.set_classes(CLASSES, frozenset({0, 1}))
    assert (_painted(stack, ViewTransform(zoom), ratio=ratio)[: round(60 * zoom), :7] == 100).all()


def test_what_the_model_says_is_striped_if_wanted() -> None:
    document = _document(np.full((64, 64), IGNORE_INDEX, np.uint8))
    document.corrections._values[:32] = 1
    document.set_prediction(np.zeros((64, 64), np.uint8), np.full((64, 64), 255, np.uint8))
    stack = LayerStack()
    stack.set_classes(CLASSES, frozenset())
    stack.set_opacity(1)
    stack.set_document(document)
    stack.set_style(outlines=False, hatching=True)

    seen = _painted(stack, ViewTransform())[:64, :64]

    assert (seen[:32] == (0, 255, 0)).all()
    stripes = (seen[32:] == (255, 0, 0)).all(axis=-1)
    assert stripes.mean() == 0.5


def test_alpha_lets_the_checkerboard_through() -> None:
    rgb = np.full((32, 32, 3), 255, np.uint8)
    rgb[16:] = 40
    alpha = np.zeros((32, 32), np.uint8)
    alpha[16:] = 255
    empty = np.full((32, 32), IGNORE_INDEX, np.uint8)
    stack = LayerStack()
    stack.set_document(ImageDocument(Path("a.png"), rgb, LabelMap(empty), Picture(rgb, alpha)))

    seen = _painted(stack, ViewTransform())[:32, :32]

    assert seen[0, [0, 8, 16], 0].tolist() == [255, 204, 255]
    assert seen[8, [0, 8, 16], 0].tolist() == [204, 255, 204]
    assert (seen[16:] == 40).all()


def test_pixel_grid_from_eight_to_one() -> None:
    document = _document(np.full((20, 20), IGNORE_INDEX, np.uint8))
    stack = LayerStack()
    stack.set_document(document)
    assert (_painted(stack, ViewTransform(7.9))[:100, :100] == 100).all()

    seen = _painted(stack, ViewTransform(8))

    lines = (seen[:160, :160] != 100).any(axis=-1)
    expected = (np.arange(160) % 8 == 0)[:, np.newaxis] | (np.arange(160) % 8 == 0)
    np.testing.assert_array_equal(lines, expected)


def test_a_preview_covers_the_whole_image() -> None:
    small = np.zeros((50, 40, 3), np.uint8)
    small[:, 20:] = 200
    stack = LayerStack()
    stack.set_preview(small, (400, 320))

    seen = _painted(stack, ViewTransform(0.5))

    assert (seen[:200, :78] == 0).all()
    assert (seen[:200, 82:160] == 200).all()
    assert (seen[:, 160:] == 0).all()
