"""What is measured on strokes that a model did not learn from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.metrics import scores

_FEWEST_STROKES = 10
"""With fewer, one stroke more or less moves the figures by a tenth."""

NOTHING_ASIDE = "No stroke was set aside for measuring yet; paint more strokes."
"""What is said in place of figures where there are none."""

_FAR = 0.15
"""How far learned strokes may be ahead of set-aside ones before it is called overfitting."""


@dataclass(frozen=True, eq=False)
class Figures:
    """How a model labels the strokes that were set aside from learning.

    Attributes:
        confusion: pixels by true class (row) and predicted class (column), K×K.
        classes: the names of the K classes.
        strokes: number of strokes that were measured on.
        images: number of images that they lie on.
    """

    confusion: NDArray[np.int64]
    classes: tuple[str, ...]
    strokes: int
    images: int

    def __post_init__(self) -> None:
        """Check that counts and names belong together.

        Raises:
            ValueError: they do not.
        """
        expected = (len(self.classes),) * 2
        if self.confusion.shape != expected:
            raise ValueError(f"confusion: expected {expected}, given {self.confusion.shape}")

    @property
    def pixels(self) -> int:
        """Number of pixels that were measured on, of images as the network looks at them."""
        return int(self.confusion.sum())

    @property
    def pixel_accuracy(self) -> float:
        """Share of the pixels whose class is right, 0 to 1."""
        return self._scores["pixel_accuracy"]

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that are there, 0 to 1."""
        return self._scores["mean_iou"]

    @property
    def iou(self) -> tuple[float | None, ...]:
        """Intersection over union of each class; None for one without a measured stroke."""
        return tuple(figures["iou"] for figures in self._per_class)

    @property
    def accuracy(self) -> tuple[float | None, ...]:
        """Share of each class that is right; None for one without a measured stroke."""
        return tuple(figures["accuracy"] for figures in self._per_class)

    @property
    def too_few(self) -> str:
        """Why the figures mean little, in a sentence; empty if they mean something."""
        if not self.strokes:
            return NOTHING_ASIDE
        if self.strokes < _FEWEST_STROKES:
            return (
                f"Measured on {_count(self.strokes, 'stroke')} only, which says little; "
                "paint more strokes."
            )
        measured = int((self.confusion.sum(axis=1) > 0).sum())
        if measured < len(self.classes) / 2:
            return "Most classes have no stroke set aside for measuring; paint more of them."
        return ""

    def to_json(self) -> str:
        """Return the figures as JSON."""
        return json.dumps(
            {
                "confusion": self.confusion.tolist(),
                "classes": self.classes,
                "strokes": self.strokes,
                "images": self.images,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Figures:
        """Read what `to_json` returned.

        Raises:
            ValueError: it is something else.
        """
        try:
            values = json.loads(text)
            classes = tuple(str(name) for name in values["classes"])
            confusion = np.array(values["confusion"], dtype=np.int64)
            return cls(
                confusion.reshape(len(classes), len(classes)),
                classes,
                int(values["strokes"]),
                int(values["images"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"these are no figures: {error}") from error

    @property
    def _scores(self) -> dict[str, Any]:
        # By number: two classes may have one name.
        return scores(self.confusion, [str(index) for index in range(len(self.classes))])

    @property
    def _per_class(self) -> list[dict[str, float | None]]:
        return list(self._scores["per_class"].values())


def overfitting(before: Figures, after: Figures, learned_accuracy: float) -> str:
    """Return a sentence if learning fits the learned strokes alone, else an empty text.

    Args:
        before: of the model before, on the strokes that were set aside.
        after: of the model after, on the same.
        learned_accuracy: of the model after on the strokes that it learned, 0 to 1.
    """
    if after.too_few:
        return ""
    said = (
        f"The model may be overfitting: {learned_accuracy:.0%} of the learned strokes are right, "
        f"but {after.pixel_accuracy:.0%} of those set aside"
    )
    if learned_accuracy - after.pixel_accuracy > _FAR:
        return f"{said}; paint other places and images."
    if after.pixel_accuracy < before.pixel_accuracy - 0.02:
        return f"{said}, and {before.pixel_accuracy:.0%} before; paint other places and images."
    return ""


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
