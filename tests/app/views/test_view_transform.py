"""Zoom and pan keep points where they belong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.views.canvas.view_transform import ViewTransform

_POSITION = st.floats(-2000, 2000)
_TRANSFORM = st.builds(ViewTransform, zoom=st.floats(1 / 64, 64), left=_POSITION, top=_POSITION)


@given(transform=_TRANSFORM, x=_POSITION, y=_POSITION)
def test_view_and_image_are_inverse(transform: ViewTransform, x: float, y: float) -> None:
    assert transform.to_image(*transform.to_view(x, y)) == pytest.approx((x, y), abs=1e-6)


@given(transform=_TRANSFORM, factor=st.floats(0.1, 10), x=_POSITION, y=_POSITION)
def test_zoom_keeps_the_point_under_the_pointer(
    transform: ViewTransform, factor: float, x: float, y: float
) -> None:
    under = transform.to_image(x, y)
    zoomed = transform.zoomed(factor, x, y)
    assert 1 / 64 <= zoomed.zoom <= 64
    assert zoomed.to_view(*under) == pytest.approx((x, y), abs=1e-6)


@given(
    image=st.tuples(st.integers(1, 20_000), st.integers(1, 20_000)),
    view=st.tuples(st.integers(100, 3000), st.integers(100, 3000)),
)
def test_fit_shows_all_of_the_image(image: tuple[int, int], view: tuple[int, int]) -> None:
    fitted = ViewTransform.fit(image, view)
    left, top = fitted.to_view(0, 0)
    right, bottom = fitted.to_view(*image)
    assert (left + right, top + bottom) == pytest.approx(view)
    if fitted.zoom > 1 / 64:
        assert left >= 0
        assert top >= 0
