"""The context that a pixel used: its logit's gradient, and what hiding a patch does to it.

Both of the look that is explained (see `insight.look`), with any network. The gradient takes
one way forward and back; hiding takes a way forward for every patch, and so has a limit of time.

Axes: H and W pixels of the working image, R and C patches.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.host_memory import check_fits
from mdlstm_core.insight.queries import ContextQuery, Pixel
from mdlstm_core.insight.recording import (
    check_pixel,
    explained_input,
    explained_size,
    size_of,
)
from mdlstm_core.kernels import NotFiniteError
from mdlstm_core.memory import Attempt, first_that_fits
from mdlstm_core.network import LabelingNetwork
from mdlstm_core.prediction import (
    device_of,
    finite_weights,
    on_device,
    without_gradients,
)

_GPU_BATCH = 16
"""Patches hidden at once on a GPU. A CPU gains nothing by more than one, measured, and
would overrun its time by the others."""


@dataclass(frozen=True)
class ContextMap:
    """How a logit depends on the image.

    Attributes:
        query: what was asked for.
        class_index: whose logit it is.
        logit: of the pixel, at the network's working size.
        values: for the gradient, H×W: how much the logit changes with the pixel's colour
            (0 to 1), summed over the channels, at least 0. For hiding, R×C: by how much
            the logit falls when the patch is hidden; NaN where there was no time.
        cell_pixels: height and width of a value's place in pixels of the image.
        notice: why it was not made as usual, for the user; empty if it was.
    """

    query: ContextQuery
    class_index: int
    logit: float
    values: NDArray[np.float32]
    cell_pixels: tuple[float, float]
    notice: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether every patch was hidden; a gradient always is whole."""
        return not np.isnan(self.values).any()


def gradient(
    network: LabelingNetwork, image_HW3: NDArray[np.uint8], query: ContextQuery
) -> ContextMap:
    """Return the gradient of a pixel's logit with respect to the working image.

    Raises:
        InputError: pixel or class does not exist, the way back would not fit into the
            memory, or the weights give no finite numbers.
        MemoryError: the computer's own memory does not suffice.
    """
    _check(query, network, image_HW3)
    height, width = explained_size(image_HW3, network)
    what = f"The gradient over an image of {width}×{height} pixels"
    check_fits(gradient_bytes(network, height, width), what)
    return first_that_fits(
        device_of(network), lambda attempt: _gradient(network, image_HW3, query, attempt)
    )


def occlusion(
    network: LabelingNetwork,
    image_HW3: NDArray[np.uint8],
    query: ContextQuery,
    on_progress: Callable[[ContextMap], None] = lambda _so_far: None,
    stop: threading.Event | None = None,
    so_far: ContextMap | None = None,
) -> ContextMap:
    """Return by how much a pixel's logit falls when a patch of the image is hidden.

    A hidden patch has the image's mean colour. Those nearest to the pixel come first.

    Args:
        network: the model.
        image_HW3: the image, RGB, 0 to 255.
        query: whose context.
        on_progress: called after each batch with what there is, on the calling thread.
        stop: set it to end after the batch under way.
        so_far: what this function returned for the same query; its patches are taken over.

    Raises:
        InputError: pixel or class does not exist, there is not at least one patch, or the
            weights give no finite numbers.
        MemoryError: the computer's own memory does not suffice.
    """
    _check(query, network, image_HW3)
    return first_that_fits(
        device_of(network),
        lambda attempt: _occlusion(network, image_HW3, query, attempt, on_progress, stop, so_far),
    )


def gradient_bytes(network: LabelingNetwork, height: int, width: int) -> int:
    """Return about how many bytes a way back keeps for an image of that size.

    What is kept grows with the padded area.
    """
    window, kind = network.config.window, (network.config, device_of(network))
    if kind not in _KEPT:
        _KEPT[kind] = _bytes_of_two_windows(network)
    return _KEPT[kind] // 2 * -(-height // window) * -(-width // window)


_KEPT: dict[tuple[NetworkConfig, torch.device], int] = {}
"""What a way back keeps for two windows: counting it takes a tenth of a gradient's time."""


def _bytes_of_two_windows(network: LabelingNetwork) -> int:
    """Count what a way back keeps for an image of two windows."""
    window = network.config.window
    counted: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        counted[storage.data_ptr()] = storage.nbytes()
        return tensor

    small = torch.zeros(1, 3, window, 2 * window, device=device_of(network), requires_grad=True)
    bare = without_gradients(network, device_of(network))
    weights = {p.untyped_storage().data_ptr() for p in bare.parameters()}
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
        logits = bare(small)
    del logits
    return sum(size for pointer, size in counted.items() if pointer not in weights)


def _gradient(
    network: LabelingNetwork, image_HW3: NDArray[np.uint8], query: ContextQuery, attempt: Attempt
) -> ContextMap:
    # With the channels last, oneDNN reorders less: 0.9 times the time, measured.
    bare = without_gradients(network, attempt.device)
    bare.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    working = explained_input(image_HW3, bare, attempt.share)
    working = working.contiguous(memory_format=torch.channels_last).requires_grad_()
    height, width = working.shape[2:]
    pixel = query.pixel.moved(size_of(image_HW3), (height, width))
    with torch.enable_grad(), finite_weights():
        logits_K = _logits_at(bare, working, pixel)[0]
        index = _class_of(query, logits_K)
        (slope,) = torch.autograd.grad(logits_K[index], working)
    values = slope[0].abs().sum(0).cpu().numpy()
    return _context_map(query, index, logits_K[index].item(), values, image_HW3, attempt)


@torch.no_grad()
def _occlusion(
    network: LabelingNetwork,
    image_HW3: NDArray[np.uint8],
    query: ContextQuery,
    attempt: Attempt,
    on_progress: Callable[[ContextMap], None],
    stop: threading.Event | None,
    so_far: ContextMap | None,
) -> ContextMap:
    end = time.monotonic() + query.seconds
    placed = on_device(network, attempt.device)
    working = explained_input(image_HW3, placed, attempt.share)
    height, width = working.shape[2:]
    pixel = query.pixel.moved(size_of(image_HW3), (height, width))
    rows, columns = patch_edges(height, width, query.patches)
    values = np.full((len(rows) - 1, len(columns) - 1), np.nan, dtype=np.float32)
    if so_far is not None:
        values[:] = so_far.values
    left = map(tuple, np.argwhere(np.isnan(values)).tolist())
    nearest_first = sorted(left, key=_distance_to(pixel, rows, columns))
    with finite_weights():
        if so_far is None:
            logits_K = _logits_at(placed, working, pixel)[0]
            index = _class_of(query, logits_K)
            logit = logits_K[index].item()
        else:
            index, logit = so_far.class_index, so_far.logit
        batch = _GPU_BATCH if attempt.device.type == "cuda" else 1
        for start in range(0, len(nearest_first), batch):
            begun, chosen = time.monotonic(), nearest_first[start : start + batch]
            hidden = _hide(working, chosen, rows, columns)
            falls = logit - _logits_at(placed, hidden, pixel)[:, index]
            for patch, fall in zip(chosen, falls.tolist(), strict=True):
                values[patch] = fall
            so_far = _context_map(query, index, logit, values.copy(), image_HW3, attempt)
            on_progress(so_far)
            now = time.monotonic()
            if 2 * now - begun > end or (stop is not None and stop.is_set()):
                break
    assert so_far is not None  # there is at least one patch
    return so_far


def patch_edges(height: int, width: int, patches: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where the rows and the columns of patches begin, and where the last one ends.

    The patches are about square, `patches` of them along the longer side.
    """
    side = max(height, width) / patches
    counts = (max(1, min(length, round(length / side))) for length in (height, width))
    rows, columns = (
        np.linspace(0, length, count + 1).round().astype(np.intp)
        for length, count in zip((height, width), counts, strict=True)
    )
    return rows, columns


def _distance_to(
    pixel: Pixel, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> Callable[[tuple[int, ...]], float]:
    """Return a function that gives a patch's distance from a pixel, centre to centre."""

    def distance(patch: tuple[int, ...]) -> float:
        row, column = patch
        y, x = rows[row : row + 2].mean(), columns[column : column + 2].mean()
        return float((y - pixel.y - 0.5) ** 2 + (x - pixel.x - 0.5) ** 2)

    return distance


def _hide(
    working_13HW: Tensor,
    patches: list[tuple[int, ...]],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
) -> Tensor:
    """Return a copy of the image for each patch, hidden under the image's mean colour."""
    hidden = working_13HW.repeat(len(patches), 1, 1, 1)
    color = working_13HW[0].mean(dim=(1, 2))[:, None, None]
    for image, (row, column) in zip(hidden, patches, strict=True):
        image[:, rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = color
    return hidden


def _logits_at(network: LabelingNetwork, image_B3HW: Tensor, pixel: Pixel) -> Tensor:
    """Return a pixel's logits, B×K; raises `NotFiniteError` if they are no numbers."""
    full = network.enlarge(network(image_B3HW), *image_B3HW.shape[2:])
    logits: Tensor = full[:, :, pixel.y, pixel.x]
    if not logits.isfinite().all():
        raise NotFiniteError
    return logits


def _class_of(query: ContextQuery, logits_K: Tensor) -> int:
    return int(logits_K.argmax()) if query.class_index is None else query.class_index


def _context_map(
    query: ContextQuery,
    class_index: int,
    logit: float,
    values: NDArray[np.float32],
    image_HW3: NDArray[np.uint8],
    attempt: Attempt,
) -> ContextMap:
    values.setflags(write=False)
    height, width = (
        side / count for side, count in zip(image_HW3.shape[:2], values.shape, strict=True)
    )
    return ContextMap(query, class_index, logit, values, (height, width), attempt.notice)


def _check(query: ContextQuery, network: LabelingNetwork, image_HW3: NDArray[np.uint8]) -> None:
    check_pixel(query.pixel, size_of(image_HW3))
    classes = network.config.classes
    if query.class_index is not None and not 0 <= query.class_index < classes:
        raise InputError(f"The model has classes 1 to {classes}, no class {query.class_index + 1}.")
    if query.patches < 1:
        raise InputError("At least one patch must be hidden along the image's longer side.")
