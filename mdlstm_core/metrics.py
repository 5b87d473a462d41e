"""Scores of label maps against true ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import IGNORE_INDEX


def confusion_matrix(
    truth_HW: NDArray[np.uint8], label_map_HW: NDArray[np.uint8], classes: int
) -> NDArray[np.int64]:
    """Count pixels by true class (row) and given class (column).

    Pixels whose true label is `IGNORE_INDEX` are left out.

    Raises:
        ValueError: the sizes differ, or a pixel has a class that there is not.
    """
    if truth_HW.shape != label_map_HW.shape:
        raise ValueError(f"label_map_HW: expected {truth_HW.shape}, given {label_map_HW.shape}")
    known = truth_HW != IGNORE_INDEX
    truth, given = truth_HW[known], label_map_HW[known]
    for name, values in (("truth_HW", truth), ("label_map_HW", given)):
        if values.size and int(values.max()) >= classes:
            raise ValueError(f"{name}: expected classes below {classes}, given {values.max()}")
    counts = np.bincount(truth.astype(np.int64) * classes + given, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def scores(confusion: NDArray[np.int64], names: Sequence[str]) -> dict[str, Any]:
    """Return pixel and class accuracy, mean IoU and each class's figures, 0 to 1.

    Means are over the classes that occur in the truth; a class that does not has None.
    """
    hits = confusion.diagonal().astype(np.float64)
    true, given = confusion.sum(axis=1), confusion.sum(axis=0)
    present = true > 0
    accuracy = np.divide(hits, true, out=np.zeros_like(hits), where=present)
    union = (true + given - hits).astype(np.float64)
    iou = np.divide(hits, union, out=np.zeros_like(hits), where=present)
    pixels = int(confusion.sum())
    return {
        "pixel_accuracy": float(hits.sum() / pixels) if pixels else 0.0,
        "class_accuracy": float(accuracy[present].mean()) if pixels else 0.0,
        "mean_iou": float(iou[present].mean()) if pixels else 0.0,
        "per_class": {
            name: {
                "accuracy": float(accuracy[index]) if present[index] else None,
                "iou": float(iou[index]) if present[index] else None,
            }
            for index, name in enumerate(names)
        },
        "confusion": confusion.tolist(),
    }


class CertaintyCounts:
    """How often a model is right, for each of the 256 levels of its confidence."""

    def __init__(self) -> None:
        self._pixels = np.zeros(256, dtype=np.int64)
        self._right = np.zeros(256, dtype=np.int64)

    def add(
        self,
        truth_HW: NDArray[np.uint8],
        label_map_HW: NDArray[np.uint8],
        confidence_HW: NDArray[np.uint8],
    ) -> None:
        """Count an image; pixels whose true label is `IGNORE_INDEX` are left out."""
        known = truth_HW != IGNORE_INDEX
        right = known & (truth_HW == label_map_HW)
        self._pixels += np.bincount(confidence_HW[known], minlength=256)
        self._right += np.bincount(confidence_HW[right], minlength=256)

    @property
    def calibration_error(self) -> float:
        """The expected calibration error, 0 to 1, in 15 bins (Guo et al., ICML 2017)."""
        total = self._pixels.sum()
        if not total:
            return 0.0
        levels = np.arange(256)
        bins = np.minimum(levels * 15 // 255, 14)
        claimed = np.bincount(bins, self._pixels * levels / 255, minlength=15)
        right = np.bincount(bins, self._right.astype(np.float64), minlength=15)
        return float(np.abs(claimed - right).sum() / total)
