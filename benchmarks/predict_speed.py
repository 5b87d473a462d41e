"""How much faster the CPU kernels label a photograph than the reference kernel.

    python -m benchmarks.predict_speed

Prints the median seconds of each, and how many times faster it is. Ends with exit code 1
where a label map differs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data

from mdlstm_core.kernels import KERNELS
from mdlstm_core.network import LabelingNetwork, build_network
from mdlstm_core.prediction import Prediction, predict
from mdlstm_core.presets import preset

SIZE = (320, 240)
"""Width and height that the photograph is scaled to."""

_FAST = [name for name in KERNELS if name != "reference"]

TOLERANCE = 1
"""Steps of 0 to 255 by which rounding may move a pixel's confidence."""


def run(network: LabelingNetwork, kernel: str, image_HW3: NDArray[np.uint8]) -> Prediction:
    """Label the image through the kernel of that name."""
    for sweep in network.sweeps:
        sweep.kernel = kernel
    return predict(network, image_HW3)


def median_seconds(
    network: LabelingNetwork, kernel: str, image_HW3: NDArray[np.uint8], repeats: int
) -> float:
    """Return the median time of labeling the image."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run(network, kernel, image_HW3)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def agree(first: Prediction, second: Prediction) -> bool:
    """Say whether two results are the same: label maps exactly, confidences but for rounding."""
    difference = np.abs(first.confidence.astype(int) - second.confidence.astype(int))
    same_labels = np.array_equal(first.label_map, second.label_map)
    return same_labels and int(difference.max()) <= TOLERANCE


def main() -> int:
    """Compare, then time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (default: 5)")
    repeats = parser.parse_args().repeats
    image = cv2.resize(data.rocket(), SIZE, interpolation=cv2.INTER_AREA).astype(np.uint8)
    torch.manual_seed(0)
    network = build_network(preset("scene", 8)).eval()

    # Also warms all up.
    expected = run(network, "reference", image)
    for kernel in _FAST:
        if not agree(run(network, kernel, image), expected):
            print(f"The backend {kernel} and the reference do not give the same label map.")
            return 1
    slow = median_seconds(network, "reference", image, repeats)
    print(f"reference  {slow:.4f} s")
    for kernel in _FAST:
        fast = median_seconds(network, kernel, image, repeats)
        print(f"{kernel:9}  {fast:.4f} s, {slow / fast:.1f} times faster")
    return 0


if __name__ == "__main__":
    sys.exit(main())
