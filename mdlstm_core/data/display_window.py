"""How values of more than 8 bits become grey values that are shown and learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SAMPLE = 1_000_000
"""Values that percentiles are taken of: of more they would take seconds, to no use."""

_STRIP = 1_000_000
"""Values converted at once, so that the wide numbers in between need little memory."""


class Percentiles(NamedTuple):
    """A window still to be found: it lies between these percentiles, 0 to 100."""

    low: float = 1.0
    high: float = 99.0


_USUAL = Percentiles()


@dataclass(frozen=True)
class DisplayWindow:
    """The values that are shown black and white; those between are shades of grey.

    Attributes:
        low: this and all below are 0.
        high: this and all above are 255.
    """

    low: float
    high: float

    @classmethod
    def of_percentiles(
        cls, values: NDArray[np.generic], percentiles: Percentiles = _USUAL
    ) -> DisplayWindow:
        """Return the window between two percentiles of the finite values.

        Of large images every n-th value counts. Where the percentiles are equal, the
        window reaches from the lowest to the highest value.
        """
        every = max(values.size // _SAMPLE, 1)
        sample = values.ravel()[::every]
        sample = sample[np.isfinite(sample)]
        if not sample.size:
            return cls(0.0, 0.0)
        lowest, highest = np.percentile(sample, percentiles)
        if highest <= lowest:
            return cls(float(sample.min()), float(sample.max()))
        return cls(float(lowest), float(highest))

    def to_8_bit(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return each value as 0 to 255, in the same shape; what is not a number is 0."""
        result = np.empty(values.shape, dtype=np.uint8)
        rows = max(_STRIP // max(values[:1].size, 1), 1)
        kind = np.result_type(values.dtype, np.float32)
        width = self.high - self.low or 1.0
        for top in range(0, len(values), rows):
            scaled = values[top : top + rows].astype(kind)
            np.clip(scaled, self.low, self.high, out=scaled)
            scaled = np.nan_to_num((scaled - self.low) / width * 255, copy=False)
            result[top : top + rows] = np.rint(scaled).clip(0, 255)
        return result


def value_span(values: NDArray[np.generic]) -> tuple[float, float]:
    """Return the lowest and the highest finite value, 0 and 0 if there is none."""
    if values.dtype.kind == "f":
        finite = values[np.isfinite(values)]
        return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return float(values.min()), float(values.max())
