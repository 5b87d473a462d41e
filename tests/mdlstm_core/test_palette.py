"""Default colours stay apart, also for colour-blind eyes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from mdlstm_core.palette import default_color

# Machado, Oliveira, Fernandes: A Physiologically-based Model for Simulation of Color Vision
# Deficiency, IEEE TVCG 2009, severity 1.0; for linear RGB.
VISIONS = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def _seen(count: int, vision: str) -> np.ndarray:
    """Return the first colours in CIELAB as these eyes see them."""
    colors = np.array([default_color(index) for index in range(count)]) / 255
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    linear = (linear @ np.array(VISIONS[vision]).T).clip(0, 1)
    shown = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(shown[np.newaxis])[0]


@pytest.mark.parametrize("vision", VISIONS)
def test_default_colors_stay_apart(vision: str) -> None:
    first = _seen(8, vision)
    for one, other in itertools.combinations(first, 2):
        assert deltaE_ciede2000(one, other) > 6
    for one, other in itertools.pairwise(_seen(20, vision)):
        assert deltaE_ciede2000(one, other) > 8
