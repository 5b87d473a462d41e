"""Which strokes are set aside for measuring: whole strokes and whole images, never pixels.

A stroke is a connected region of one class. Whether it is set aside hangs on where it lies
and on its class alone, so that it stays aside while others are painted. Learning starts
from the same model each time, so a stroke that is set aside later was never learned.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import IGNORE_INDEX

_SHARE = 1 / 5
"""Of the strokes are set aside."""

_FEWEST_STROKES = 12
"""Of all images; with fewer, each one is worth more for learning than for measuring."""

_IMAGE_SHARE, _FEWEST_IMAGES = 1 / 12, 24
"""Of so many images or more, this share is set aside whole."""

_Key = NDArray[np.uint64]


@dataclass(frozen=True)
class Stroke:
    """A stroke of one image.

    Attributes:
        label: its class.
        chance: 0 to 1, as good as random, the same each time that it is asked for.
    """

    label: int
    chance: float


@dataclass(frozen=True)
class Strokes:
    """The strokes of one image.

    Attributes:
        labels: class of each pixel H×W, `IGNORE_INDEX` where nobody set one.
        numbers: the stroke of each pixel, H×W, counted from 1; 0 where there is none.
        strokes: each of them, in this order.
        image_chance: 0 to 1, as `Stroke.chance`, of the image.
    """

    labels: NDArray[np.uint8]
    numbers: NDArray[np.int32]
    strokes: tuple[Stroke, ...]
    image_chance: float


@dataclass(frozen=True)
class Split:
    """An image's corrections, split.

    Attributes:
        learned: class of each pixel H×W to learn, `IGNORE_INDEX` elsewhere.
        aside: class of each pixel H×W to measure on, `IGNORE_INDEX` elsewhere.
        learned_strokes: number of strokes to learn.
        aside_strokes: number of strokes to measure on.
    """

    learned: NDArray[np.uint8]
    aside: NDArray[np.uint8]
    learned_strokes: int
    aside_strokes: int


def strokes_of(corrections_HW: NDArray[np.uint8], image_name: str = "", seed: int = 0) -> Strokes:
    """Find the strokes of an image.

    Args:
        corrections_HW: class of each pixel, `IGNORE_INDEX` where nobody set one.
        image_name: tells images apart; equal names on equal places are set aside together.
        seed: another one sets others aside.
    """
    numbers = np.zeros(corrections_HW.shape, dtype=np.int32)
    strokes: list[Stroke] = []
    key = _mixed(np.array([zlib.crc32(image_name.encode()) + (seed << 32)], dtype=np.uint64))
    present = np.bincount(corrections_HW.ravel(), minlength=256)[:IGNORE_INDEX].nonzero()[0]
    for label in present:
        count, parts = cv2.connectedComponents((corrections_HW == label).astype(np.uint8))
        inside = parts > 0
        numbers[inside] = parts[inside] + len(strokes)
        chances = _chances(parts, count, int(label), key)
        strokes.extend(Stroke(int(label), chance) for chance in chances)
    (image_chance,) = _shares(key)
    return Strokes(corrections_HW, numbers, tuple(strokes), image_chance)


def split_all(images: Sequence[Strokes]) -> list[Split]:
    """Split the corrections of a project's images; one stroke in five is set aside.

    None while there are few. Of each class at least one stroke is learned.
    """
    kept = [[_is_learned(stroke, image, images) for stroke in image.strokes] for image in images]
    for label in {stroke.label for image in images for stroke in image.strokes}:
        # Of the strokes of a class that would all be set aside, the last in line is not:
        # one that comes later cannot bring back one that was aside.
        own = [
            (stroke.chance, place, number)
            for place, image in enumerate(images)
            for number, stroke in enumerate(image.strokes)
            if stroke.label == label
        ]
        if not any(kept[place][number] for _, place, number in own):
            _, place, number = max(own)
            kept[place][number] = True
    return [_split(image, learned) for image, learned in zip(images, kept, strict=True)]


def split(corrections_HW: NDArray[np.uint8], seed: int = 0) -> Split:
    """Split the corrections of a single image (see `split_all`)."""
    return split_all([strokes_of(corrections_HW, seed=seed)])[0]


def _is_learned(stroke: Stroke, image: Strokes, images: Sequence[Strokes]) -> bool:
    if sum(len(each.strokes) for each in images) < _FEWEST_STROKES:
        return True
    corrected = sum(bool(each.strokes) for each in images)
    if corrected >= _FEWEST_IMAGES and image.image_chance < _IMAGE_SHARE:
        return False
    return stroke.chance >= _SHARE


def _split(image: Strokes, is_learned: Iterable[bool]) -> Split:
    table = np.array([False, *is_learned])
    learned = table[image.numbers]
    aside = ~learned & (image.numbers > 0)
    nothing = np.uint8(IGNORE_INDEX)
    return Split(
        np.where(learned, image.labels, nothing),
        np.where(aside, image.labels, nothing),
        int(table.sum()),
        len(table) - 1 - int(table.sum()),
    )


def _chances(parts: NDArray[np.int32], count: int, label: int, key: _Key) -> list[float]:
    """Return the chance of each part of a class, by the pixel of it whose hash is least.

    The least of a stroke that grows stays the same more often than not, and its second
    hash says nothing of how many pixels it was the least of.
    """
    rows, columns = np.nonzero(parts)
    places = rows.astype(np.uint64) << np.uint64(32) | columns.astype(np.uint64)
    hashes = _mixed(_mixed(places + key) + np.uint64(label))
    least = np.full(count, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(least, parts[rows, columns], hashes)
    return _shares(_mixed(least[1:]))


def _mixed(values: _Key) -> _Key:
    """Return well mixed bits of each value (splitmix64, Steele, Lea, Flood, OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        z = values + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return z ^ z >> np.uint64(31)


def _shares(values: _Key) -> list[float]:
    return (values / 2**64).tolist()
