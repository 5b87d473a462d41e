"""The context of a pixel: against finite differences and against hiding by hand."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.insight.context import ContextMap, gradient, occlusion
from mdlstm_core.insight.queries import ContextQuery, Pixel
from mdlstm_core.memory import COARSER
from mdlstm_core.network import LabelingNetwork, build_network
from mdlstm_core.prediction import network_input

PIXEL = Pixel(12, 9)
FOREVER = 1e9


@torch.no_grad()
def logits_at(network: LabelingNetwork, working: Tensor, pixel: Pixel) -> Tensor:
    return network.enlarge(network(working), *working.shape[2:])[0, :, pixel.y, pixel.x]


def differences(
    network: LabelingNetwork, working: Tensor, class_index: int, row: int, column: int, step: float
) -> float:
    """Return the sum over channels of the absolute slopes at one pixel, by differences."""
    total = 0.0
    for channel in range(3):
        logits = []
        for sign in (1, -1):
            moved = working.clone()
            moved[0, channel, row, column] += sign * step
            logits.append(logits_at(network, moved, PIXEL)[class_index].item())
        total += abs(logits[0] - logits[1]) / (2 * step)
    return total


def test_gradient_equals_differences(
    network: LabelingNetwork, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = gradient(network, photo, ContextQuery(PIXEL, class_index=2))

    # Differences need float64, and a step so small that no ReLU turns within it.
    working = network_input(photo, network).double()
    network.double()
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    linspace = torch.linspace
    monkeypatch.setattr(torch, "linspace", lambda *a, **k: linspace(*a, **k).double())
    places = [(9, 12), (9, 14), (0, 0), (22, 30), (5, 20), (15, 3)]
    expected = [differences(network, working, 2, row, column, 1e-6) for row, column in places]
    values = [found.values[place] for place in places]
    np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-5)
    assert found.values.shape == (23, 31)
    assert found.values.min() >= 0
    assert max(expected) > 1e-3
    assert found.cell_pixels == (1, 1)


def test_most_probable_class_is_asked_by_default(
    network: LabelingNetwork, photo: NDArray[np.uint8]
) -> None:
    logits = logits_at(network, network_input(photo, network), PIXEL)

    found = gradient(network, photo, ContextQuery(PIXEL))
    hidden = occlusion(network, photo, ContextQuery(PIXEL, patches=1))

    for result in (found, hidden):
        assert result.class_index == int(logits.argmax())
        assert result.logit == pytest.approx(float(logits.max()), abs=1e-5)
    asked = gradient(network, photo, ContextQuery(PIXEL, int(logits.argmax())))
    np.testing.assert_array_equal(found.values, asked.values)


def test_gradient_of_a_scaled_image_is_that_of_the_working_image(
    network: LabelingNetwork, wide_photo: NDArray[np.uint8]
) -> None:
    found = gradient(network, wide_photo, ContextQuery(Pixel(100, 76), class_index=0))

    working = network_input(wide_photo, network)
    assert found.values.shape == working.shape[2:]
    assert found.logit == pytest.approx(
        network.enlarge(network(working), *working.shape[2:])[0, 0, -1, -1].item(), abs=1e-5
    )
    rows, columns = found.values.shape
    assert found.cell_pixels == (77 / rows, 101 / columns)


def test_gradients_leave_the_weights_alone(
    network: LabelingNetwork, photo: NDArray[np.uint8]
) -> None:
    gradient(network, photo, ContextQuery(PIXEL))

    assert all(p.requires_grad and p.grad is None for p in network.parameters())


@torch.no_grad()
def test_occlusion_equals_hiding_by_hand(
    network: LabelingNetwork, photo: NDArray[np.uint8]
) -> None:
    query = ContextQuery(PIXEL, class_index=1, patches=4, seconds=FOREVER)

    found = occlusion(network, photo, query)

    working = network_input(photo, network)
    before = logits_at(network, working, PIXEL)[1].item()
    assert found.values.shape == (3, 4)
    # 23 rows in 3, 31 columns in 4, at whole pixels.
    rows, columns = [0, 8, 15, 23], [0, 8, 16, 23, 31]
    for row, column in np.ndindex(3, 4):
        hidden = working.clone()
        part = hidden[0, :, rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
        part[:] = working[0].flatten(1).mean(1)[:, None, None]
        expected = before - logits_at(network, hidden, PIXEL)[1].item()
        assert found.values[row, column] == pytest.approx(expected, abs=1e-5)
    assert np.abs(found.values).max() > 1e-3
    assert found.cell_pixels == (23 / 3, 31 / 4)


def test_nearest_patch_comes_first_and_time_ends_the_rest(
    network: LabelingNetwork, photo: NDArray[np.uint8]
) -> None:
    found = occlusion(network, photo, ContextQuery(PIXEL, patches=4, seconds=0))

    assert np.isfinite(found.values).sum() == 1
    # Columns 8 to 15 and rows 8 to 14 hold the pixel 12,9.
    assert np.isfinite(found.values[1, 1])


def test_progress_is_told_and_can_be_stopped(
    network: LabelingNetwork, photo: NDArray[np.uint8]
) -> None:
    stop, seen = threading.Event(), []

    def on_progress(so_far: ContextMap) -> None:
        seen.append(int(np.isfinite(so_far.values).sum()))
        if len(seen) == 3:
            stop.set()

    query = ContextQuery(PIXEL, patches=5, seconds=FOREVER)
    found = occlusion(network, photo, query, on_progress, stop)

    assert seen == [1, 2, 3]
    assert np.isfinite(found.values).sum() == 3


Asker = Callable[[LabelingNetwork, NDArray[np.uint8], ContextQuery], ContextMap]


@pytest.mark.parametrize("ask", [gradient, occlusion])
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pixel": Pixel(12, 23)}, "The pixel 12,23 lies outside the image: it has columns 0 to "),
        ({"class_index": 3}, "The model has classes 1 to 3, no class 4."),
        ({"class_index": -1}, "The model has classes 1 to 3, no class 0."),
        ({"patches": 0}, "At least one patch must be hidden along the image's longer side."),
    ],
)
def test_impossible_query_is_refused(
    network: LabelingNetwork,
    photo: NDArray[np.uint8],
    ask: Asker,
    changes: dict[str, Any],
    sentence: str,
) -> None:
    with pytest.raises(InputError) as caught:
        ask(network, photo, dataclasses.replace(ContextQuery(PIXEL), **changes))

    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("ask", [gradient, occlusion])
def test_short_memory_of_the_gpu_is_told(
    tiny_config: NetworkConfig,
    photo: NDArray[np.uint8],
    short_memory: Any,
    ask: Asker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mdlstm_core.insight.context._KEPT", {})  # as no test had counted before
    network = build_network(tiny_config).eval()
    # The gradient's first run counts what will be kept.
    short_memory.fails = [False, True] if ask is gradient else [True]

    found = ask(network, photo, ContextQuery(PIXEL, seconds=FOREVER))

    assert found.notice == COARSER
    assert short_memory.seen[-1] == (16, 22)


@pytest.mark.parametrize("ask", [gradient, occlusion])
def test_network_without_2d_lstm_has_a_context_too(
    scene_config: NetworkConfig, photo: NDArray[np.uint8], ask: Asker
) -> None:
    network = build_network(dataclasses.replace(scene_config, recurrent=False)).eval()

    found = ask(network, photo, ContextQuery(PIXEL, patches=2, seconds=FOREVER))

    assert np.isfinite(found.values).all()
    assert found.values.any()
