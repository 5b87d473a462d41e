"""The engine on Ray, which is large: `make test-scale` installs it and runs these."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data

from mdlstm_core.bulk.engines import inline
from mdlstm_core.bulk.labeling import LabelingJob
from mdlstm_core.bulk.sources import open_source

pytest.importorskip("ray", reason="the extra scale is not installed: make test-scale")


@pytest.mark.timeout(900)
def test_killed_run_on_ray_goes_on_to_the_same_masks(tmp_path: Path, read_rows: Any) -> None:
    photos, here, there = tmp_path / "photos", tmp_path / "here", tmp_path / "there"
    photos.mkdir()
    for number in range(40):
        Image.fromarray(data.rocket()[5 * number :][:90, :120]).save(photos / f"ü {number}.png")
    (photos / "broken.png").write_bytes(b"no image")
    command = [sys.executable, "-m", "app.cli.main", "predict", "--engine", "ray"]
    command += ["--workers", "2", str(photos), "--out", str(there), "--device", "cpu", "--json"]

    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while lines(there) == 0 and time.monotonic() < deadline and killed.poll() is None:
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert 0 < lines(there) < 41
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)

    assert done.returncode == 2
    summary = json.loads(done.stdout)
    assert (summary["labeled"] + summary["kept"], summary["failed"]) == (40, 1)
    assert summary["kept"] > 0
    source = open_source(str(photos), here)
    alone = list(inline(source, LabelingJob("scene", "cpu", "photos", str(here)), 1))
    together = read_rows(there)
    assert sorted(row.id for row in together) == sorted(row.id for row in alone)
    assert {row._replace(seconds=0) for row in together} == {
        row._replace(seconds=0) for row in alone
    }
    for row in alone:
        if row.mask is not None:
            assert (here / row.mask).read_bytes() == (there / row.mask).read_bytes()


def lines(target: Path) -> int:
    try:
        return (target / "results.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0
