"""The bars of the labeling window, in one run.

python -m benchmarks.app --json FILE
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

KEYS = (
    "brush_64_p95_ms",
    "brush_256_p95_ms",
    "undo_ms",
    "lasso_ms",
    "fit_ms",
    "commit_p95_ms",
    "commit_gui_max_ms",
    "preview_50mp_s",
    "bytes_per_pixel",
    "folder_5000_s",
    "scroll_max_ms",
    "start_to_window_s",
    "kills",
    "lost_strokes",
)
"""What is measured; all of them stand in the answer."""

_PARTS = ("app_start", "app_canvas", "app_storage", "app_kills")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write one JSON object.

    Raises:
        KeyError: a part did not measure what it should.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--kills", type=int, default=200, help="processes to kill")
    parser.add_argument("--only", choices=_PARTS, action="append", help="measure these parts only")
    options = parser.parse_args(arguments)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    measured: dict[str, float] = {}
    for part in options.only or _PARTS:
        module = importlib.import_module(f"benchmarks.{part}")
        found = module.run(options.kills) if part == "app_kills" else module.run()
        print(f"{part}: {found}", flush=True)
        measured.update(found)
    keys = [key for key in KEYS if key in measured] if options.only else KEYS
    answer = {key: round(measured[key], 4) for key in keys}
    options.json.write_text(json.dumps(answer, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
