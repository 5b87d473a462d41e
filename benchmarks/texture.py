"""How well `segment_texture` labels mosaics of textures from scribbles alone.

    python -m benchmarks.texture

Each mosaic is 256×256 pixels, its textures have the same mean and spread of grey, its
borders waver. Beside it: the commonest class among the scribbles, and the likeliest class
of a pixel's grey value. Scribbled pixels are not counted.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from skimage import data

from benchmarks.volume_learning import by_grey_value
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.learning.texture import TextureOptions, segment_texture
from mdlstm_core.volumes.training import LabeledVolume

SIDE = 256


class Mosaic(NamedTuple):
    """An image H×W×3, the true class of its pixels H×W, and the scribbles H×W."""

    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    scribbles: NDArray[np.uint8]


def photographs(_generator: Generator) -> list[NDArray[np.float64]]:
    """Return brick, grass and gravel at half their size (they come with scikit-image)."""
    found = (data.brick(), data.grass(), data.gravel())
    return [
        np.asarray(cv2.resize(texture, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float64)
        for texture in found
    ]


def filtered_noise(generator: Generator) -> list[NDArray[np.float64]]:
    """Return five textures: noise of one fineness and direction each."""
    kinds = ((0.1, 0.0), (0.1, math.pi / 2), (0.1, math.pi / 4), (0.2, 0.0), (0.05, 0.0))
    across, down = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE))
    textures = []
    for frequency, angle in kinds:
        along = across * math.cos(angle) + down * math.sin(angle)
        beside = down * math.cos(angle) - across * math.sin(angle)
        passed = np.exp(-((np.abs(along) - frequency) ** 2 + beside**2) / (2 * 0.03**2))
        noise = np.fft.fft2(generator.standard_normal((SIDE, SIDE)))
        textures.append(np.fft.ifft2(noise * passed).real)
    return textures


def make_mosaic(textures: Sequence[NDArray[np.float64]], generator: Generator) -> Mosaic:
    """Lay the textures beside one another and scribble two strokes, 3 pixels wide, on each."""
    truth = _regions(len(textures), generator)
    grey = np.zeros((SIDE, SIDE))
    scribbles = np.full((SIDE, SIDE), IGNORE_INDEX, dtype=np.uint8)
    for index, texture in enumerate(textures):
        inside = truth == index
        grey[inside] = (128 + 45 * (texture - texture.mean()) / texture.std())[inside]
        kernel = np.ones((17, 17), dtype=np.uint8)
        core = cv2.erode(inside.astype(np.uint8), kernel, borderValue=0) > 0
        strokes = np.zeros((SIDE, SIDE), dtype=np.uint8)
        places = np.argwhere(core)
        middle = places.mean(axis=0).astype(int)
        # As a hand would: outwards, over much of the region.
        ends = places[generator.integers(len(places), size=8)]
        far = np.argsort(((ends - middle) ** 2).sum(axis=1))[-2:]
        for end in ends[far]:
            cv2.line(strokes, middle[::-1].tolist(), end[::-1].tolist(), 1, 3)
        scribbles[(strokes > 0) & core] = index
    image = np.repeat(grey.clip(0, 255).astype(np.uint8)[..., np.newaxis], 3, axis=2)
    return Mosaic(image, truth, scribbles)


def _regions(count: int, generator: Generator) -> NDArray[np.uint8]:
    """Return regions of like sizes: nearest of evenly spread points, their borders bent."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    points = generator.uniform(0.15 * SIDE, 0.85 * SIDE, (count, 2))
    for _ in range(30):
        squares = (rows[..., np.newaxis] - points[:, 0]) ** 2
        nearest = (squares + (columns[..., np.newaxis] - points[:, 1]) ** 2).argmin(axis=-1)
        points = np.array([np.argwhere(nearest == index).mean(axis=0) for index in range(count)])
    noise = generator.standard_normal((SIDE, SIDE, 2)).astype(np.float32)
    bend = cv2.GaussianBlur(noise, (0, 0), 12)
    bend = 14 * bend / np.abs(bend).max()
    to_x, to_y = (columns + bend[..., 0]), (rows + bend[..., 1])
    bent = cv2.remap(
        nearest.astype(np.uint8),
        to_x.astype(np.float32),
        to_y.astype(np.float32),
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return bent.astype(np.uint8)


def by_grey(mosaic: Mosaic) -> NDArray[np.uint8]:
    """Give each pixel the class that the scribbles of its grey value, in 16 steps, have."""
    steps = (mosaic.image[..., :1] // 16)[np.newaxis]
    sample = LabeledVolume(steps, mosaic.scribbles[np.newaxis])
    return by_grey_value([sample], int(mosaic.truth.max()) + 1, steps)[0]


def measure(
    name: str,
    textures: Callable[[Generator], list[NDArray[np.float64]]],
    seeds: int,
    options: TextureOptions,
) -> None:
    """Print the accuracies on some mosaics, and their means."""
    found = []
    for seed in range(seeds):
        generator = np.random.default_rng(seed)
        mosaic = make_mosaic(textures(generator), generator)
        counted = mosaic.scribbles == IGNORE_INDEX
        start = time.process_time()
        learned = segment_texture(mosaic.image, mosaic.scribbles, options).label_map
        seconds = time.process_time() - start
        commonest = np.bincount(mosaic.scribbles[~counted]).argmax()
        found.append(
            [
                100 * float((given == mosaic.truth)[counted].mean())
                for given in (np.full_like(mosaic.truth, commonest), by_grey(mosaic), learned)
            ]
        )
        shares = "  ".join(f"{value:6.1f} %" for value in found[-1])
        share = 100 * (1 - counted.mean())
        print(f"{name} {seed}: {share:.1f} % scribbled  {shares}  {seconds:.0f} s", flush=True)
    print(f"{name}, mean:           " + "  ".join(f"{v:6.1f} %" for v in np.mean(found, axis=0)))


def main() -> None:
    """Measure both kinds of mosaics."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mosaics", type=int, default=3, help="of each kind (default: 3)")
    parser.add_argument("--steps", type=int, default=TextureOptions.steps)
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    options = TextureOptions(steps=arguments.steps, seconds=math.inf)
    print("pixels right: commonest class, grey value, segment_texture; processor seconds")
    measure("brick, grass, gravel", photographs, arguments.mosaics, options)
    measure("five filtered noises", filtered_noise, arguments.mosaics, options)


if __name__ == "__main__":
    main()
