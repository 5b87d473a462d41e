"""How an image of 300 megapixels opens: how soon, in how much memory, and whether all answers.

python -m benchmarks.app_large jpg
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PySide6.QtWidgets import QApplication

from benchmarks.app_canvas import memory, opened_window, peak, reset_peak

_HEIGHT, _WIDTH = 15_000, 20_000
_COARSE = 8


def run(suffix: str) -> dict[str, float]:
    """Open a generated photograph in the real window, without a model.

    Args:
        suffix: of the file: jpg, png or tif (in tiles, compressed).

    Returns:
        preview_s (infinite without one), open_s: seconds; longest_stall_ms: the longest time
        in which the window did not answer; bytes_per_pixel: memory beyond the decoded image
        afterwards; peak_bytes_per_pixel: at most.
    """
    with tempfile.TemporaryDirectory() as name, opened_window(Path(name)) as bench:
        path = _written(Path(name) / "large" / f"large.{suffix}")
        gc.collect()
        before, pixels = reset_peak(), _HEIGHT * _WIDTH
        previewed: list[float] = []
        session = bench.window.session
        session.preview_loaded.connect(lambda *_: previewed.append(time.perf_counter()))
        begun = answered = time.perf_counter()
        session.open_paths([path])
        longest = 0.0
        while session.document is None or session.document.path != path:
            answered = time.perf_counter()
            QApplication.processEvents()
            longest = max(longest, time.perf_counter() - answered)
            time.sleep(0.001)
        return {
            "preview_s": previewed[0] - begun if previewed else float("inf"),
            "open_s": answered - begun,
            "longest_stall_ms": longest * 1e3,
            "bytes_per_pixel": (memory() - before) / pixels - 3,
            "peak_bytes_per_pixel": (peak() - before) / pixels - 3,
        }


def _written(path: Path) -> Path:
    path.parent.mkdir()
    coarse = (_HEIGHT // _COARSE, _WIDTH // _COARSE, 3)
    noise = np.random.default_rng(0).integers(0, 255, coarse, dtype=np.uint8)
    image = cv2.resize(noise, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_LINEAR)
    if path.suffix == ".tif":
        import tifffile

        tifffile.imwrite(path, image, tile=(256, 256), compression="zlib", photometric="rgb")
    else:
        assert cv2.imwrite(str(path), image)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suffix", choices=("jpg", "png", "tif"))
    for key, value in run(parser.parse_args().suffix).items():
        print(f"{key:22} {value:8.2f}")
