"""Cuts a thing out of its ground: GrabCut (Rother et al., SIGGRAPH 2004), from OpenCV."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from app.document.regions.connected import moved, tight
from app.document.stroke import Box, Region

_MOST_PIXELS = 50_000
"""Larger boxes are looked at through a reduced picture: the cut takes seconds otherwise."""

_ITERATIONS = 3
_LEAST_GROUND = 16
"""Pixels around what was drawn that show the ground, at least."""


def cut_from_rectangle(image_HW3: NDArray[np.uint8], box: Box) -> Region | None:
    """Return the thing inside a box.

    Args:
        image_HW3: RGB, 0 to 255.
        box: around the thing; outside of it is ground.

    Returns:
        None if nothing in the box is unlike its surroundings.
    """
    ground = _wider(box, 0.25, image_HW3)
    hints = np.full(ground.shape, cv2.GC_BGD, dtype=np.uint8)
    hints[box.slices_in(ground)] = cv2.GC_PR_FGD
    if (hints == cv2.GC_PR_FGD).all():  # the whole image: its frame is all the ground there is
        _set_frame(hints, cv2.GC_BGD)
    return _result(_cut(image_HW3[ground.slices], hints), ground)


def cut_from_scribble(image_HW3: NDArray[np.uint8], scribble: Region) -> Region | None:
    """Return the thing that was scribbled on.

    The thing may reach as far beyond the scribble as the scribble is long.

    Args:
        image_HW3: RGB, 0 to 255.
        scribble: pixels of the thing.
    """
    ground = _wider(scribble.box, 1.0, image_HW3)
    hints = np.full(ground.shape, cv2.GC_PR_BGD, dtype=np.uint8)
    _set_frame(hints, cv2.GC_BGD)
    drawn = np.zeros(ground.shape, dtype=bool)
    drawn[scribble.box.slices_in(ground)] = scribble.mask
    hints[drawn] = cv2.GC_FGD
    thing = _cut(image_HW3[ground.slices], hints) | drawn
    _, numbers = cv2.connectedComponents(thing.view(np.uint8), connectivity=4)
    meant = np.zeros(int(numbers.max()) + 1, dtype=bool)
    meant[np.unique(numbers[drawn])] = True
    return _result(meant[numbers], ground)


def _cut(image_HW3: NDArray[np.uint8], hints: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Run GrabCut, on a reduced picture if this one is large."""
    height, width = hints.shape
    scale = min(math.sqrt(_MOST_PIXELS / (height * width)), 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    picture = cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(hints, size, interpolation=cv2.INTER_NEAREST)
    sure = (hints == cv2.GC_FGD).astype(np.float32)
    small[cv2.resize(sure, size, interpolation=cv2.INTER_AREA) > 0] = cv2.GC_FGD
    is_ground = np.isin(small, (cv2.GC_BGD, cv2.GC_PR_BGD))
    if is_ground.all() or not is_ground.any():
        return np.full((height, width), not is_ground.any())
    cv2.setRNGSeed(0)  # the same drawing gives the same cut
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(picture, small, None, *models, _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    thing = np.isin(small, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    return cv2.resize(thing, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5


def _result(thing: NDArray[np.bool_], ground: Box) -> Region | None:
    if not thing.any():
        return None
    return moved(tight(Region(Box(0, 0, *thing.shape), thing)), ground)


def _wider(box: Box, share: float, image_HW3: NDArray[np.uint8]) -> Box:
    """Return a box wider by a share of its longer side, as far as the image reaches."""
    margin = max(round(max(box.shape) * share), _LEAST_GROUND)
    return box.wider(margin).clipped(*image_HW3.shape[:2])


def _set_frame(hints: NDArray[np.uint8], value: int) -> None:
    hints[0], hints[-1], hints[:, 0], hints[:, -1] = value, value, value, value
