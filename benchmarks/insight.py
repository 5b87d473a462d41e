"""How fast the questions about a network are answered, on one photograph.

    python -m benchmarks.insight
    python -m benchmarks.insight --model mine.safetensors --size 640 480
    python -m benchmarks.insight_window        # the same questions, asked in the real window

Prints seconds, the fastest and the median of several runs, and how many times as long as a
prediction of the same photograph each takes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from skimage import data

from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.config import DIRECTIONS, STATES
from mdlstm_core.insight.context import gradient, occlusion
from mdlstm_core.insight.contributions import contributions
from mdlstm_core.insight.gates import gate_map
from mdlstm_core.insight.health import health
from mdlstm_core.insight.queries import Components, ContextQuery, GateQuery, Pixel, Strongest
from mdlstm_core.insight.recording import record
from mdlstm_core.insight.sweep import reached
from mdlstm_core.kernels import select_kernel
from mdlstm_core.network import LabelingNetwork, build_network
from mdlstm_core.prediction import predict
from mdlstm_core.presets import PRESET_NAMES, preset


def jobs(network: LabelingNetwork, width: int, height: int) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name."""
    photo = cv2.resize(data.rocket(), (width, height), interpolation=cv2.INTER_AREA)
    image = photo.astype(np.uint8)
    pixel, recording = Pixel(width // 3, height // 2), record(network, image)
    last = len(network.sweeps) - 1
    rows, columns = recording.inputs[last].shape[1:3]
    found: dict[str, Callable[[], object]] = {
        "predict": lambda: predict(network, image),
        "record": lambda: record(network, image),
    }
    for layer in range(last + 1):
        for name, unit in (
            ("mean", None),
            ("unit", 0),
            ("strongest", Strongest(pixel)),
            ("components", Components()),
        ):
            query = GateQuery(layer, DIRECTIONS.index("top-right"), STATES[-1], unit)
            found[f"map of layer {layer + 1}, {name}"] = lambda q=query: gate_map(recording, q)  # type: ignore[misc]
    return found | {
        "mask of a diagonal": lambda: reached(rows, columns, 1, rows),
        "parts of the logits": lambda: contributions(recording, pixel),
        "gradient": lambda: gradient(network, image, ContextQuery(pixel)),
        "gradient, then 0.3 s of hiding": lambda: (
            gradient(network, image, ContextQuery(pixel)),
            occlusion(network, image, ContextQuery(pixel)),
        ),
        "health": lambda: health(recording),
    }


def main() -> None:
    """Time each job several times and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a checkpoint (default: untrained presets)")
    parser.add_argument("--size", type=int, nargs=2, default=(320, 240), metavar=("W", "H"))
    parser.add_argument("--repeats", type=int, default=7, help="runs of each (%(default)s)")
    options = parser.parse_args()
    select_kernel(wait=True)
    if options.model:
        networks = {options.model: load_checkpoint(options.model).network()}
    else:
        torch.manual_seed(0)
        networks = {name: build_network(preset(name, 8)).eval() for name in PRESET_NAMES}
    width, height = options.size
    print(f"{width}×{height} pixels, {torch.get_num_threads()} threads")
    for name, network in networks.items():
        print(f"\n{name}\n{'':32}  fastest   median   × predict")
        base = 0.0
        for title, job in jobs(network, width, height).items():
            job()
            seconds = []
            for _ in range(options.repeats):
                start = time.perf_counter()
                job()
                seconds.append(time.perf_counter() - start)
            base = base or min(seconds)
            line = f"{min(seconds):7.4f}  {statistics.median(seconds):7.4f}"
            print(f"{title:32}  {line}  {min(seconds) / base:9.2f}")


if __name__ == "__main__":
    main()
