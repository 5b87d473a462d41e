"""`scripts/train_scene.sh` on small images, killed and called again."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.training.state import load_state

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_scene.sh"
EPOCHS = {"first": 12, "second": 1, "third": 2} | dict.fromkeys(
    ("fourth", "fifth", "sixth", "seventh"), 1
)


def dataset(root: Path, classes: list[str]) -> Path:
    """Write three images of 60×48 pixels, two to learn from and one to measure on."""
    generator = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for number in range(3):
        labels = np.repeat(generator.permutation(len(classes))[:6], 8)[:, None].repeat(60, axis=1)
        image = generator.normal(30 + 25 * labels[..., None] % 200, 5, (48, 60, 3)).clip(0, 255)
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / f"{number}.png")
        Image.fromarray(labels.astype(np.uint8)).save(root / "labels" / f"{number}.png")
    (root / "classes.json").write_text(json.dumps({"classes": classes, "license": "none"}))
    (root / "train.txt").write_text("0\n1\n")
    (root / "val.txt").write_text("2\n")
    return root


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """The script's call; its models go to the folder `out`."""
    names = [[c.name for c in load_checkpoint(model).classes] for model in ("scene", "scene-33")]
    folders = [dataset(tmp_path / str(len(classes)), classes) for classes in names]
    quick = ("--pixels", "2880", "--batch", "2", "--device", "cpu")
    return ["bash", str(SCRIPT), *map(str, folders), str(tmp_path / "out"), *quick]


@pytest.fixture(autouse=True)
def with_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the script find the `mdlstm` of this Python first."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def kill_when(command: list[str], path: Path) -> None:
    """Start the script and end it and all that it started once a file is there."""
    running = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    while not path.exists():
        assert running.poll() is None, running.communicate()[0].decode()
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()


def epochs_of(out: Path, name: str) -> list[int]:
    log = (out / f"{name}.safetensors.log.jsonl").read_text().splitlines()
    return [json.loads(line)["epoch"] for line in log]


@pytest.mark.thorough
@pytest.mark.timeout(1200)
def test_a_killed_training_goes_on_and_ends_with_the_mean(
    command: list[str], tmp_path: Path
) -> None:
    """Thorough, for ten times a program is started that imports torch."""
    out = tmp_path / "out"
    kill_when(command, out / "third.safetensors.state")
    assert load_state(out / "third.safetensors.state").epoch == 1
    kept_weights = (out / "second.safetensors.state").read_bytes()
    kept_model = (out / "scene-33.safetensors").read_bytes()

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    for name, epochs in EPOCHS.items():
        assert epochs_of(out, name) == list(range(1, epochs + 1)), name
        assert load_state(out / f"{name}.safetensors.state").epoch == epochs
    assert not list(out.glob("*.previous"))  # no run began anew
    assert (out / "second.safetensors.state").read_bytes() == kept_weights
    assert (out / "scene-33.safetensors").read_bytes() == kept_model
    for before, name in itertools.pairwise(EPOCHS):
        run = json.loads((out / f"{name}.safetensors.run.json").read_text())
        assert run["start_from"] == str(out / f"{before}.safetensors.state")
    scene, other = (load_checkpoint(out / f"{n}.safetensors") for n in ("scene", "scene-33"))
    assert (len(scene.classes), len(other.classes)) == (8, 33)
    assert f"{scene.metrics['pixel_accuracy']:.4f} pixel accuracy" in done.stdout


def test_a_failed_run_ends_the_script(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "8" / "train.txt").write_text("missing\n")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "missing" in done.stderr
    assert "the second run" not in done.stdout


def test_folders_that_are_not_given_are_asked_for() -> None:
    done = subprocess.run(
        ["bash", str(SCRIPT), "stanford"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("usage: scripts/train_scene.sh STANFORD SIFTFLOW OUT")
