"""Pictures: the colours of values, where they stand, and what the bars promise."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab

from mdlstm_core.config import STATES
from mdlstm_core.insight.components import principal_components
from mdlstm_core.insight.contributions import contributions
from mdlstm_core.insight.drawing import (
    LEFT,
    SIGNED_COLORS,
    TOP,
    UNSIGNED_COLORS,
    Scale,
    colors,
    draw_map,
    drawn_size,
    scale_of,
)
from mdlstm_core.insight.gates import gate_maps
from mdlstm_core.insight.health import health
from mdlstm_core.insight.queries import Components, GateQuery, Pixel
from mdlstm_core.insight.recording import Recording
from mdlstm_core.insight.sheets import draw_contact_sheet, draw_contributions, draw_health


def pixels_of(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def drawn_cells(png: bytes, rows: int, columns: int) -> NDArray[np.uint8]:
    """Return the colour in the middle of each drawn cell."""
    height, width = drawn_size(rows, columns)
    y = TOP + ((np.arange(rows) + 0.5) * height / rows).astype(int)
    x = LEFT + ((np.arange(columns) + 0.5) * width / columns).astype(int)
    return pixels_of(png)[y][:, x]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (7, 5), (3, 40), (150, 200)])
@pytest.mark.parametrize("signed", [False, True])
def test_picture_has_each_value_in_its_colour(rows: int, columns: int, signed: bool) -> None:
    values = np.random.default_rng(1).normal(size=(rows, columns)).astype(np.float32)
    low, high = (-np.abs(values).max(), np.abs(values).max())
    if not signed:
        low, high = values.min(), max(values.max(), values.min() + 1e-6)
    scale = scale_of([values], signed=signed)

    png = draw_map(values, scale, title="t", label="l", cell_pixels=(16, 16))

    table = colormaps[SIGNED_COLORS if signed else UNSIGNED_COLORS]
    expected = table((values.astype(float) - low) / (high - low))[..., :3] * 255
    found = drawn_cells(png, rows, columns).astype(float)
    # The table has 256 colours: rounding may move a value to the next.
    assert np.abs(found - expected).max() <= 6


def test_picture_of_components_has_them_as_colours() -> None:
    scores, _ = principal_components(np.random.default_rng(2).normal(size=(6, 9, 5)))
    scale = scale_of([scores], signed=True)

    png = draw_map(scores, scale, title="t", label="l", cell_pixels=(8, 8))

    expected = 127.5 + 127.5 * scores / np.abs(scores).max()
    assert np.abs(drawn_cells(png, 6, 9).astype(float) - expected).max() <= 1


def test_signed_scale_is_centred_and_what_is_not_known_is_grey() -> None:
    values = np.array([[0.0, -3.0, 1.0, np.nan]], dtype=np.float32)
    scale = scale_of([values], signed=True)

    assert (scale.low, scale.high) == (-3, 3)
    zero, lowest, _, unknown = colors(values, scale)[0].tolist()
    assert max(zero) - min(zero) <= 2, "0 has no hue"
    assert lowest == list(colormaps[SIGNED_COLORS](0.0, bytes=True)[:3])
    assert unknown == [153, 153, 153]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("values", [np.full((2, 2), 0.0), np.full((2, 2), 7.0)])
def test_constant_map_has_a_scale(values: NDArray[np.float64], signed: bool) -> None:
    scale = scale_of([values], signed=signed)

    assert scale.high > scale.low
    assert colors(values, scale).shape == (2, 2, 3)


def test_colours_are_even_to_the_eye() -> None:
    steps = np.linspace(-1, 1, 256)[np.newaxis]
    for signed in (False, True):
        lab = rgb2lab(colors(steps, Scale(-1, 1, signed)))[0]
        distances = np.linalg.norm(np.diff(lab, axis=0), axis=1)
        assert distances.max() < 3 * distances.mean()
        light = lab[:, 0]
        if signed:
            assert np.abs(light - light[::-1]).max() < 2, "both sides are as light"
            light = light[:120]
        # Colours of 8 bits are rounded.
        assert (np.diff(light) > -0.3).all()
        assert light[-1] > light[0] + 40


def test_contact_sheet_shows_every_map_on_its_gates_scale(recording: Recording) -> None:
    queries = [GateQuery(1, d, gate) for gate in STATES for d in range(4)]
    plain = pixels_of(draw_contact_sheet(gate_maps(recording, queries), "title"))

    for unit in (0, Components()):
        queries = [GateQuery(1, d, gate, unit) for gate in STATES for d in range(4)]
        other = pixels_of(draw_contact_sheet(gate_maps(recording, queries), "title"))
        assert other.shape == plain.shape
        changed = (other != plain).any(axis=(1, 2))
        # Every one of the seven rows of maps differs.
        parts = np.array_split(changed[50:], len(STATES))
        assert all(part.any() for part in parts)


def test_other_pictures_can_be_read(recording: Recording) -> None:
    health_png = draw_health(health(recording))
    logits_png = draw_contributions(contributions(recording, Pixel(1, 2)), ("a", "b", "c"))

    for png in (health_png, logits_png):
        assert pixels_of(png).std() > 10
    assert pixels_of(health_png).shape[:2] == (60 + 230 * 2, 1100)
