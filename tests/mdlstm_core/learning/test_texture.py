"""Texture segmentation from scribbles."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from mdlstm_core.errors import InputError
from mdlstm_core.learning import texture
from mdlstm_core.learning.texture import TextureOptions, segment_texture
from mdlstm_core.network import LabelingNetwork

QUICK = TextureOptions(steps=40, seconds=600, view=48, batch=2, learning_rate=2e-2)


@pytest.fixture(scope="module")
def stripes() -> NDArray[np.uint8]:
    """Upright stripes at the left, lying ones at the right: the same greys on both sides."""
    rows, columns = np.mgrid[:64, :96]
    wave = np.sin(np.where(columns < 48, columns, rows) * 2 * np.pi / 6)
    noise = np.random.default_rng(0).normal(0, 15, wave.shape)
    grey = (128 + 60 * wave + noise).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


@pytest.fixture(scope="module")
def scribbles() -> NDArray[np.uint8]:
    """One thin stroke on each side."""
    strokes = np.full((64, 96), 255, dtype=np.uint8)
    cv2.line(strokes, (10, 10), (36, 50), 0, 2)
    cv2.line(strokes, (60, 12), (84, 52), 2, 2)
    return strokes


TRUTH = np.where(np.arange(96) < 48, 0, 2)


def test_direction_alone_tells_textures_apart(
    stripes: NDArray[np.uint8], scribbles: NDArray[np.uint8]
) -> None:
    left, right = (half.mean() for half in np.hsplit(stripes.astype(float), 2))
    assert abs(left - right) < 3

    prediction = segment_texture(stripes, scribbles, QUICK)

    assert prediction.label_map.shape == prediction.confidence.shape == (64, 96)
    assert np.mean(prediction.label_map == TRUTH) > 0.9


def test_swapped_scribbles_give_swapped_labels(
    stripes: NDArray[np.uint8], scribbles: NDArray[np.uint8]
) -> None:
    swapped = np.array([2, 1, 0] + [255] * 253, dtype=np.uint8)[scribbles]

    label_map = segment_texture(stripes, swapped, QUICK).label_map

    assert np.mean(label_map == 2 - TRUTH) > 0.9


def test_large_image_is_learned_at_the_size_it_is_labeled_at(
    stripes: NDArray[np.uint8], scribbles: NDArray[np.uint8]
) -> None:
    options = TextureOptions(steps=1, view=16, batch=1)
    large = np.tile(stripes, (12, 12, 1))
    strokes = np.full(large.shape[:2], 255, dtype=np.uint8)
    # Thinner than a pixel of the reduced image.
    strokes[:, 100], strokes[:, 900] = 0, 1

    assert segment_texture(large, strokes, options).label_map.shape == strokes.shape


def test_same_seed_gives_the_same(stripes: NDArray[np.uint8], scribbles: NDArray[np.uint8]) -> None:
    options = TextureOptions(steps=2, view=16, batch=1, seconds=600)

    first, again = (segment_texture(stripes, scribbles, options) for _ in range(2))

    np.testing.assert_array_equal(first.confidence, again.confidence)


def test_the_clock_changes_no_step(
    stripes: NDArray[np.uint8], scribbles: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = TextureOptions(steps=3, view=16, batch=1, seconds=600)
    whole = segment_texture(stripes, scribbles, options)

    # Each look at it finds two thirds of the rest gone.
    times = iter(np.cumsum([0.0, 400, 130, 40]).tolist())
    monkeypatch.setattr(texture.time, "monotonic", lambda: next(times))
    slow = segment_texture(stripes, scribbles, options)

    np.testing.assert_array_equal(whole.confidence, slow.confidence)


def test_the_clock_ends_learning(
    stripes: NDArray[np.uint8], scribbles: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    options, steps = TextureOptions(steps=9, view=16, batch=1, seconds=10), []
    times = iter([0.0, 9.0, 10.0])
    monkeypatch.setattr(texture.time, "monotonic", lambda: next(times))

    segment_texture(stripes, scribbles, options, lambda step, _loss: steps.append(step))

    assert steps == [1, 2]


def test_a_gradient_that_overflows_is_not_learned_from(
    stripes: NDArray[np.uint8], scribbles: NDArray[np.uint8]
) -> None:
    def overflow(module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        if isinstance(module, LabelingNetwork) and output.requires_grad:
            output.register_hook(lambda gradient: gradient * torch.inf)

    handle = register_module_forward_hook(overflow)
    try:
        with pytest.raises(InputError, match="not finite in step 1; learn with another seed"):
            segment_texture(stripes, scribbles, TextureOptions(steps=1, view=16, batch=1))
    finally:
        handle.remove()


def test_learning_ends_when_told(stripes: NDArray[np.uint8], scribbles: NDArray[np.uint8]) -> None:
    stop, steps = threading.Event(), []

    def told(step: int, _loss: float) -> None:
        steps.append(step)
        if step == 2:
            stop.set()

    segment_texture(stripes, scribbles, QUICK, told, stop)

    assert steps == [1, 2]


def test_one_class_is_refused(stripes: NDArray[np.uint8], scribbles: NDArray[np.uint8]) -> None:
    for strokes in (np.full_like(scribbles, 255), np.where(scribbles == 2, 255, scribbles)):
        with pytest.raises(InputError, match="Scribble at least two classes"):
            segment_texture(stripes, strokes.astype(np.uint8))


def test_other_sizes_are_refused(stripes: NDArray[np.uint8], scribbles: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match="64×96 pixels has scribbles of 64×95"):
        segment_texture(stripes, scribbles[:, 1:])


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"view": 0}, {"seconds": 0}, {"seed": -1}])
def test_bad_options_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="must be positive"):
        TextureOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_learning_rates_are_refused(rate: float) -> None:
    with pytest.raises(InputError, match="learning rate must be positive"):
        TextureOptions(learning_rate=rate)
