"""`mdlstm predict --engine`: any number of images, broken ones, and runs that are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve pieces of a photograph, and a broken image."""
    folder = tmp_path / "photos"
    for number in range(12):
        path = folder / f"{number % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        top = 20 * number
        Image.fromarray(data.rocket()[top : top + 60, 100:190]).save(path)
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def table(target: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (target / "results.jsonl").read_text().splitlines()]


def test_masks_are_those_of_predict(mdlstm: Any, photos: Path, tmp_path: Path) -> None:
    bulk, usual = tmp_path / "bulk", tmp_path / "usual"

    result = mdlstm("predict", "--engine", "inline", photos, "--out", bulk, "--device", "cpu")

    assert result.code == 2
    assert result.out.startswith(f"{bulk / 'results.jsonl'}: 12 images labeled, ")
    assert result.err == (
        f"mdlstm: 1 of 13 images could not be labeled; {bulk / 'results.jsonl'} says why.\n"
    )
    for part in ("0", "1", "2"):
        assert mdlstm("predict", photos / part, "--out", usual, "--device", "cpu").code == 0
    for number in range(12):
        mask = bulk / "masks" / f"{number % 3}" / f"{number}.png.png"
        assert mask.read_bytes() == (usual / f"{number}.png").read_bytes()


def test_json_tells_what_was_done(
    mdlstm: Any, photos: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    (photos / "broken.png").unlink()
    out = tmp_path / "out"
    command = ("predict", "--engine", "inline", photos, "--out", out, "--model", checkpoint_file)

    first = mdlstm(*command, "--json", "--table", "parquet")
    again = mdlstm(*command, "--json")

    assert (first.code, first.err) == (0, "")
    summary = json.loads(first.out)
    assert (summary["labeled"], summary["failed"], summary["kept"]) == (12, 0, 0)
    assert summary["table"] == str(out / "results.parquet")
    assert (out / "results.parquet").is_file()
    assert json.loads(again.out)["kept"] == 12


def test_predict_tells_in_json_too(
    mdlstm: Any, photos: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    paths = (photos / "broken.png", photos / "0" / "3.png")
    result = mdlstm(
        "predict", *paths, "--out", tmp_path / "o", "--model", checkpoint_file, "--json"
    )

    assert result.code == 2
    broken, whole = json.loads(result.out)["images"]
    assert broken["mask"] is None
    assert result.err == f"mdlstm: {broken['error']}\n"
    mask = str(tmp_path / "o" / "3.png")
    assert whole == {"image": str(paths[1]), "mask": mask, "overlay": None, "error": None}


@pytest.mark.parametrize(
    ("options", "naming"),
    [
        (("--workers", "0"), "--workers"),
        (("--overlay",), "--overlay"),
        (("second",), "one SOURCE"),
        (("--model", "missing"), "missing"),
    ],
)
def test_bad_options_are_refused(
    assert_refused: Any, photos: Path, tmp_path: Path, options: tuple[str, ...], naming: str
) -> None:
    command = ("predict", "--engine", "inline", photos, *options, "--out", tmp_path / "out")

    assert_refused(*command, naming=naming)

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["ray", "pyarrow"])
def test_missing_extra_is_named(
    assert_refused: Any,
    photos: Path,
    checkpoint_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "mdlstm_core.bulk.ray_engine", raising=False)
    options = ("--engine", "ray") if name == "ray" else ("--engine", "inline", "--table", "parquet")
    command = ("predict", photos, *options, "--model", checkpoint_file, "--out", tmp_path / "out")

    assert_refused(*command, naming="pip install 'mdlstm-labeler[scale]'")


def test_killed_run_goes_on_and_leaves_no_process_behind(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "app.cli.main", "predict", "--engine", "processes"]
    command += ["--workers", "2", str(photos), "--out", str(out), "--device", "cpu"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 120
    while labeled(out) == 0 and time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.01)
    run.kill()
    # Ends when all that hold the pipe have: the workers too.
    run.communicate(timeout=120)
    assert run.returncode < 0
    found = labeled(out)
    assert 0 < found < 12

    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, "--json"], capture_output=True, check=False, env=environment)

    assert done.returncode == 2
    assert json.loads(done.stdout)["kept"] == found
    rows = table(out)
    names = [f"{number % 3}/{number}.png" for number in range(12)]
    assert sorted(row["id"] for row in rows) == sorted([*names, "broken.png"])
    for name in names:
        with Image.open(out / "masks" / f"{name}.png") as mask:
            assert np.array(mask).shape == (60, 90)
    assert not list(out.rglob("*.part"))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_ctrl_c_is_answered_in_one_sentence(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in range(200):  # too many to be done before the signal comes
        shutil.copy(photos / "0" / "3.png", photos / f"copy {number}.png")
    command = [sys.executable, "-m", "app.cli.main", "predict", "--engine", "processes"]
    command += ["--workers", "2", str(photos), "--out", str(out), "--device", "cpu"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    # The second process is on its way when the first one has labeled something.
    while labeled(out) == 0 and time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.01)

    # As a terminal does: all processes are told.
    os.killpg(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=120)

    assert (run.returncode, said) == (130, "mdlstm: stopped; the same command goes on from here.\n")


def labeled(out: Path) -> int:
    """Return how many images have a whole row that names their mask."""
    try:
        lines = (out / "results.jsonl").read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return 0
    return sum(line.endswith(b"\n") and json.loads(line)["mask"] is not None for line in lines)
