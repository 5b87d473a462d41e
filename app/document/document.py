"""One image and what is said of its pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal, Slot

from app.document.label_map import LabelMap
from app.document.stroke import Box
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.data.images import Picture

_STRIP_ROWS = 64


class PixelLabel(NamedTuple):
    """What is known of a pixel.

    Attributes:
        label: class index, `IGNORE_INDEX` if none.
        by_person: whether a person set it.
        confidence: the model's probability, 0 to 1; None where a person set the label
            or the model said nothing.
    """

    label: int
    by_person: bool
    confidence: float | None


class ImageDocument(QObject):
    """An image, the corrections (a person's) and the prediction (the model's).

    For each pixel the person's label wins over the model's.

    Signals:
        labels_changed(Box): what is displayed inside the box may differ now.
    """

    labels_changed = Signal(object)

    def __init__(
        self,
        path: Path,
        image_HW3: NDArray[np.uint8],
        corrections: LabelMap,
        picture: Picture | None = None,
    ) -> None:
        """Take an image and its corrections, which have the same size.

        `picture` says what else is known of the image: its alpha, and the window that
        values of more than 8 bits are seen through.

        Raises:
            ValueError: the sizes differ.
        """
        super().__init__()
        if image_HW3.shape[:2] != corrections.values.shape:
            raise ValueError(
                f"corrections: expected {image_HW3.shape[:2]}, given {corrections.values.shape}"
            )
        image_HW3.setflags(write=False)
        self.path = path
        self.image = image_HW3
        self.corrections = corrections
        self.picture = picture
        self._prediction: NDArray[np.uint8] | None = None
        self._confidence: NDArray[np.uint8] | None = None
        self._uncertainty: NDArray[np.uint8] | None = None
        self._entropy: NDArray[np.uint8] | None = None
        corrections.changed.connect(self._on_changed)

    @property
    def height(self) -> int:
        """Rows of the image."""
        return int(self.image.shape[0])

    @property
    def width(self) -> int:
        """Columns of the image."""
        return int(self.image.shape[1])

    @property
    def displayed(self) -> NDArray[np.uint8]:
        """The label map that is shown and exported, H×W, as it is now; a new array."""
        return self.shown(Box(0, 0, self.height, self.width))

    @property
    def prediction(self) -> NDArray[np.uint8] | None:
        """The model's label map, None before it answered."""
        return self._prediction

    @property
    def uncertainty(self) -> NDArray[np.uint8] | None:
        """How unsure the model is of each pixel, 0 to 255 for 0 to 1; None if it did not say."""
        return self._uncertainty

    @property
    def entropy(self) -> NDArray[np.uint8] | None:
        """How evenly the model hesitates among all classes, else as `uncertainty`."""
        return self._entropy

    def set_prediction(
        self,
        label_map_HW: NDArray[np.uint8],
        confidence_HW: NDArray[np.uint8],
        uncertainty_HW: NDArray[np.uint8] | None = None,
        entropy_HW: NDArray[np.uint8] | None = None,
    ) -> None:
        """Take what the model says; it shows where no person set a label."""
        self._prediction, self._confidence = label_map_HW, confidence_HW
        self._uncertainty, self._entropy = uncertainty_HW, entropy_HW
        self.labels_changed.emit(Box(0, 0, self.height, self.width))

    def shown(self, box: Box) -> NDArray[np.uint8]:
        """Return the labels that are shown inside a box, as they are now; a new array."""
        return self.shown_later(box)()

    def shown_later(self, box: Box) -> Callable[[], NDArray[np.uint8]]:
        """Return a call that gives `shown` as it is now, whatever comes, in any thread."""
        result, prediction = self.corrections.values[box.slices].copy(), self._prediction

        def shown() -> NDArray[np.uint8]:
            if prediction is None:
                return result
            predicted = prediction[box.slices]
            # In strips, so that what lies in between stays in the processor's cache.
            for top in range(0, len(result), _STRIP_ROWS):
                rows = slice(top, top + _STRIP_ROWS)
                result[rows] = corrected_over(result[rows], predicted[rows])
            return result

        return shown

    def pixel(self, x: int, y: int) -> PixelLabel | None:
        """Return what is known of a pixel, None outside the image."""
        if not (0 <= x < self.width and 0 <= y < self.height):
            return None
        corrected = int(self.corrections.values[y, x])
        if corrected != IGNORE_INDEX:
            return PixelLabel(corrected, by_person=True, confidence=None)
        if self._prediction is None or self._confidence is None:
            return PixelLabel(IGNORE_INDEX, by_person=False, confidence=None)
        confidence = int(self._confidence[y, x]) / 255
        return PixelLabel(int(self._prediction[y, x]), by_person=False, confidence=confidence)

    @Slot(object)
    def _on_changed(self, box: Box) -> None:
        self.labels_changed.emit(box)


def corrected_over(
    corrected_HW: NDArray[np.uint8], predicted_HW: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return a person's labels, and the model's where there are none."""
    # Not `compare`: it takes a single pixel for a number.
    _, is_set = cv2.threshold(corrected_HW, IGNORE_INDEX - 1, 255, cv2.THRESH_BINARY_INV)
    # The lesser of both: each is 255 where the other one counts.
    return cv2.min(corrected_HW, cv2.bitwise_or(predicted_HW, is_set))
