"""The look at an image that is explained, where a prediction is the mean of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mdlstm_core.config import NetworkConfig


@dataclass(frozen=True)
class Look:
    """One of the looks that a prediction takes at an image (see `prediction.looks`).

    Attributes:
        scale: its size, 1 for that of the network's working area; never a mirror image.
        looks: how many a prediction takes; its probabilities are their mean.
    """

    scale: float
    looks: int

    @property
    def share(self) -> float:
        """Its share of the working area."""
        return self.scale**2

    def to_json(self) -> dict[str, Any]:
        """Return what it is as JSON values."""
        return {"scale": self.scale, "mirrored": False, "looks_of_a_prediction": self.looks}

    def __str__(self) -> str:
        """Say what is explained."""
        if self.looks == 1:
            return "the one look that the labels come from"
        size = "the whole size" if self.scale == 1 else f"{self.scale:g} of the size"
        return f"the look at {size}, one of {self.looks} whose mean the labels are"


def explained_look(config: NetworkConfig) -> Look:
    """Return the look that is nearest to the image's own size, the first of those as near."""
    scale = min(config.scales, key=lambda scale: abs(scale - 1))
    return Look(scale, len(config.scales) * (2 if config.mirrored else 1))
