"""The engine on Ray, which is large: `make test-scale` installs it and runs these."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
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


@pytest.mark.skipif(sys.platform != "linux", reason="the image is a pipe, /proc says who reads it")
@pytest.mark.timeout(300)
def test_image_that_ends_its_actor_gets_a_row_and_is_not_tried_for_ever(
    tmp_path: Path, checkpoint_file: Path, write_images: Any, read_rows: Any
) -> None:
    names = write_images(tmp_path, [f"{number}.png" for number in range(12)])
    os.mkfifo(tmp_path / "killer.png")
    (tmp_path / "list.txt").write_text("\n".join([*names[:5], "killer.png", *names[5:]]))
    command = [sys.executable, "-m", "app.cli.main", "predict", "--engine", "ray", "--workers", "1"]
    command += [str(tmp_path / "list.txt"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    command += ["--model", str(checkpoint_file)]
    threading.Thread(target=kill_readers, args=(tmp_path / "killer.png",), daemon=True).start()

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    rows = {row.id: row.error for row in read_rows(tmp_path / "out")}
    assert "ended the process that labeled it" in (rows.pop("killer.png") or "")
    assert rows == dict.fromkeys(names)


@pytest.mark.timeout(300)
def test_list_that_is_none_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(b"PK\0\0")
    command = [sys.executable, "-m", "app.cli.main", "predict", "--engine", "ray", "--workers", "1"]
    command += [str(tmp_path / "photos.zip"), "--out", str(tmp_path / "out")]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"mdlstm: {tmp_path / 'photos.zip'} is no folder, list of images or Parquet file."
    )
    assert "Traceback" not in done.stderr


def kill_readers(pipe: Path) -> None:
    """Kill every process that opens a pipe."""
    while True:
        with pipe.open("wb"):  # waits for one
            for opened in Path("/proc").glob("[0-9]*/fd/*"):
                with suppress(OSError):
                    if opened.readlink() == pipe and (pid := int(opened.parts[2])) != os.getpid():
                        os.kill(pid, signal.SIGKILL)


def lines(target: Path) -> int:
    try:
        return (target / "results.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0
