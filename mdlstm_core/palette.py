"""Default class colours.

Checked by a test: seen with normal eyes and through the matrices of Machado, Oliveira and
Fernandes (2009) for protanopia, deuteranopia and tritanopia, the first eight colours lie at
least 6 apart (CIEDE2000, every pair), and neighbours in the order of the first twenty at
least 8. Beyond eight, colours that are not neighbours may look alike.
"""

from __future__ import annotations

import colorsys

# Okabe and Ito's palette, made to stay apart under the common forms of colour blindness,
# with black replaced by a grey; ordered so that the shipped scene classes look natural.
_OKABE_ITO = (
    (86, 180, 233),
    (0, 158, 115),
    (153, 153, 153),
    (240, 228, 66),
    (0, 114, 178),
    (230, 159, 0),
    (204, 121, 167),
    (213, 94, 0),
)
_GOLDEN_RATIO = 0.618034


def default_color(index: int) -> tuple[int, int, int]:
    """Return the colour (red, green, blue, 0 to 255) of the class number `index`.

    Beyond the eight named colours hues step by the golden ratio at alternating lightness.
    """
    if index < len(_OKABE_ITO):
        return _OKABE_ITO[index]
    hue = (index * _GOLDEN_RATIO) % 1.0
    lightness = (0.35, 0.5, 0.65)[index % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.75)
    return round(red * 255), round(green * 255), round(blue * 255)
