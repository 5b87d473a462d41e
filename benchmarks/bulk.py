"""Images a second of the engines of `mdlstm predict`, side by side; and runs that are killed.

    python -m benchmarks.bulk --json FILE
    python -m benchmarks.bulk --images 100 --only processes --kills 0

Labels pieces of a photograph, some of them broken, with the shipped model: inline on one
thread, then each engine with one worker and with two, of one thread each. The rate counts
from the first row to the last one, so that starting and loading the model, which are
printed beside it, do not depend on the number of images. Then each engine with two workers
is killed with SIGKILL on the way, and goes on until all is done. Before all that: what it
takes to list images, to note which ones are done and to ask; and the processor's time for an
image of 320×240 and of 160×120, inline. At the end the tables of docs/scale.md are printed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from skimage import data

from benchmarks.bulk_report import report
from mdlstm_core.bulk.results import TABLE
from mdlstm_core.bulk.rows import Row
from mdlstm_core.bulk.seen_ids import SeenIds
from mdlstm_core.bulk.sources import open_source
from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.config import DEFAULT_MODEL

BROKEN = 10
"""Files among a hundred or more images that are none."""


def write_images(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Write pieces of a photograph as JPEG, each another, and a few that are broken."""
    generator = np.random.default_rng(0)
    photo = data.rocket()
    each = max(BROKEN, math.ceil(count / BROKEN))
    for number in range(count):
        path = folder / f"{number % 10}" / f"photo {number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % each == 0:
            path.write_bytes(b"no image")
            continue
        top, left = generator.integers(0, 180), generator.integers(0, 300)
        piece = photo[top : top + 240, left : left + 320]
        Image.fromarray(cv2.resize(piece, size, interpolation=cv2.INTER_AREA)).save(path)


def command(engine: str, workers: int, source: Path, target: Path) -> list[str]:
    """Return the command line of a run."""
    options = ["--engine", engine, "--workers", str(workers), "--device", "cpu", "--json"]
    program = [sys.executable, "-m", "app.cli.main", "predict"]
    return [*program, *options, str(source), "--out", str(target)]


def lines(target: Path) -> int:
    """Return how many rows there are so far."""
    try:
        return (target / TABLE).read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def timed(engine: str, workers: int, source: Path, target: Path) -> dict[str, Any]:
    """Run to the end; return images a second from the first row on, and what came before."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start, processor = time.perf_counter(), processor_seconds()
    with subprocess.Popen(
        command(engine, workers, source, target), env=environment, stdout=subprocess.DEVNULL
    ) as run:
        while not (first := lines(target)) and run.poll() is None:
            time.sleep(0.01)
        begun = time.perf_counter()
        ended = begun
        # Ray takes seconds to end: the last row counts, not the end of the program.
        last = first
        while run.poll() is None:
            time.sleep(0.01)
            if (now := lines(target)) != last:
                last, ended = now, time.perf_counter()
    rate = (last - first) / (ended - begun) if ended > begun else None
    rows = rows_in(target)
    return {
        "engine": engine,
        "workers": workers,
        "images_per_second": rate,
        "seconds_to_first_row": begun - start,
        "processor_seconds": processor_seconds() - processor,
        "seconds_an_image": float(np.median([row.seconds for row in rows if not row.error])),
        "labeled": sum(row.error is None for row in rows),
        "failed": sum(row.error is not None for row in rows),
    }


def processor_seconds() -> float:
    """Return what ended runs took of all cores, which other programs hardly change."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def looks() -> dict[str, Any]:
    """Return how often the model looks at an image, on which its time depends."""
    config = load_checkpoint(DEFAULT_MODEL).config
    return {
        "model": DEFAULT_MODEL,
        "scales": list(config.scales),
        "mirrored": config.mirrored,
        "count": len(config.scales) * (2 if config.mirrored else 1),
    }


def processor_time(folder: Path, size: tuple[int, int], counts: tuple[int, int]) -> dict[str, Any]:
    """Return the processor's seconds for an image and before the first one, and its bytes.

    The difference between a short run and a longer one, so that the time to load the model,
    which is what is left, is not in the images'.
    """
    runs = []
    for count in counts:
        source, target = folder / f"{count}", folder / f"{count}-out"
        write_images(source, count, size)
        runs.append(timed("inline", 1, source, target))
    short, long = runs
    seconds = (long["processor_seconds"] - short["processor_seconds"]) / (
        long["labeled"] - short["labeled"]
    )
    return {
        "seconds": seconds,
        "seconds_to_start": short["processor_seconds"] - seconds * short["labeled"],
        "bytes_image": bytes_in(source) / long["labeled"],
        "bytes_mask": bytes_in(target / "masks") / long["labeled"],
        "bytes_row": (target / TABLE).stat().st_size / counts[1],
    }


def rows_in(target: Path) -> list[Row]:
    """Return the rows of a run."""
    found = [Row.from_line(line) for line in (target / TABLE).read_bytes().splitlines(True)]
    return [row for row in found if row is not None]


def killed(engine: str, kills: int, count: int, source: Path, target: Path) -> dict[str, Any]:
    """Kill a run at equal shares of its way, go on each time; return what is in the table."""
    for kill in range(1, kills + 1):
        with subprocess.Popen(command(engine, 2, source, target), stdout=subprocess.DEVNULL) as run:
            # A resumed run first drops the rows of broken images: it must get beyond.
            while lines(target) < kill * count // (kills + 1) and run.poll() is None:
                time.sleep(0.01)
            run.kill()
    subprocess.run(command(engine, 2, source, target), stdout=subprocess.DEVNULL, check=False)
    rows = rows_in(target)
    masks = sum(1 for _ in (target / "masks").rglob("*.png"))
    return {
        "engine": engine,
        "kills": kills,
        "images": count,
        "rows": len(rows),
        "distinct_ids": len({row.id for row in rows}),
        "labeled": sum(row.error is None for row in rows),
        "failed": sum(row.error is not None for row in rows),
        "masks": masks,
    }


def paperwork(folder: Path, count: int = 20_000) -> dict[str, float]:
    """Return the microseconds of processor time of what is done with each image's name."""
    for number in range(count):
        path = folder / f"{number // 1000}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    names = [record.id for record in open_source(str(folder), folder / "none")]
    listed = folder / "list.txt"
    listed.write_text("\n".join(names))
    line = Row("7/7777.jpg", "/images/7/7777.jpg", "masks/7/7777.jpg.png", 0.1, None).to_line()
    seen, checked = SeenIds(folder / "ids"), SeenIds(folder / "checked")

    def check(name: str) -> bool:
        row = Row.from_line(line)
        return row is not None and (folder / name).is_file() and checked.add(name)

    def microseconds(job: Callable[[], object]) -> float:
        start = time.process_time()
        job()
        return 1e6 * (time.process_time() - start) / count

    found = {
        "name_in_folder": microseconds(lambda: list(open_source(str(folder), folder / "none"))),
        "name_in_list": microseconds(lambda: list(open_source(str(listed), folder / "none"))),
        "note": microseconds(lambda: [seen.add(name) for name in names]),
        "ask": microseconds(lambda: [name in seen for name in names]),
    }
    with checked.many():
        found["check_on_going_on"] = microseconds(lambda: [check(name) for name in names])
    seen.close()
    checked.close()
    return {**found, "index_bytes": (folder / "ids").stat().st_size / count}


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run everything that was asked for, and print it as it comes."""
    source = folder / "images"
    write_images(source, options.images, options.size)
    results: dict[str, Any] = {
        "cores": os.cpu_count(),
        "images": options.images,
        "size": options.size,
        "looks": looks(),
        "microseconds": paperwork(folder / "names"),
        "processor": {
            f"{width}x{height}": processor_time(
                folder / f"{width}x{height}", (width, height), options.counts
            )
            for width, height in ((320, 240), (160, 120))
        },
        "runs": [],
        "ratios": {},
        "kills": [],
    }
    print(json.dumps({name: results[name] for name in ("looks", "microseconds", "processor")}))
    sys.stdout.flush()
    for engine in options.only:
        for workers in (1,) if engine == "inline" else (1, 2):
            target = folder / f"{engine}-{workers}"
            found = timed(engine, workers, source, target)
            results["runs"].append(found)
            print(json.dumps(found), flush=True)
            shutil.rmtree(target)
        rates = [run["images_per_second"] for run in results["runs"] if run["engine"] == engine]
        if len(rates) == 2:
            results["ratios"][engine] = rates[1] / rates[0]
            print(f"{engine}: two workers {rates[1] / rates[0]:.2f} times one", flush=True)
        if options.kills and engine != "inline":
            results["kills"].append(
                killed(engine, options.kills, options.images, source, folder / "killed")
            )
            print(json.dumps(results["kills"][-1]), flush=True)
            shutil.rmtree(folder / "killed")
    return results


def bytes_in(folder: Path) -> int:
    """Return the bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def size_of(text: str) -> tuple[int, int]:
    """Return width and height of, for example, 320x240."""
    width, _, height = text.partition("x")
    return int(width), int(height)


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    engines = ["inline", "processes", *(["ray"] if find_spec("ray") else [])]
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", type=size_of, default=(160, 120), help="default: 160x120")
    parser.add_argument("--only", nargs="+", choices=engines, default=engines)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument(
        "--counts",
        type=int,
        nargs=2,
        default=(20, 120),
        metavar=("SHORT", "LONG"),
        help="images of the runs for the processor's time (default: 20 120)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(options, Path(folder))
    print(report(results))
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
