"""Two processes train as one does: the same curve for the same global batch."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.memory import IN_PIECES

MDLSTM = "import sys; from app.cli.main import main; sys.exit(main())"
OPTIONS = ("--preset", "byeon2015-5x5", "--epochs", "2", "--batch", "2", "--device", "cpu")


STANDALONE = ("--standalone",)


def start(
    dataset: Path,
    out: Path,
    *options: str,
    processes: int = 1,
    launcher: tuple[str, ...] | None = None,
    code: str = MDLSTM,
) -> subprocess.Popen[str]:
    """Start `mdlstm train`, by torchrun where there are several processes or a launcher."""
    script = out.parent / "mdlstm.py"
    script.write_text(code)
    command = [sys.executable]
    if processes > 1 or launcher is not None:
        command += ["-m", "torch.distributed.run", *(launcher or STANDALONE)]
        command += [f"--nproc-per-node={processes}"]
    command += [str(script), "train", str(dataset), "--out", str(out), *OPTIONS, *options]
    return launch(command)


def launch(command: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def losses(out: Path) -> list[float]:
    lines = Path(f"{out}.log.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def test_two_gloo_processes_follow_the_curve_of_one(tiny_dataset: Path, tmp_path: Path) -> None:
    alone, together = tmp_path / "alone.safetensors", tmp_path / "together.safetensors"

    finish(start(tiny_dataset, alone))
    finish(start(tiny_dataset, together, processes=2))

    # Adam divides by the gradient's size: where that is small, rounding grows.
    assert losses(together) == pytest.approx(losses(alone), rel=1e-4)
    described = json.loads(Path(f"{together}.run.json").read_text())
    assert described["processes"] == 2
    assert described["options"]["seed"] == 0


SHORT = f"""
import os, torch
from torch.nn.modules.module import register_module_forward_hook
from mdlstm_core.network import LabelingNetwork

def run_short(module, inputs, _output):
    if isinstance(module, LabelingNetwork) and len(inputs[0]) > 1 and os.environ["RANK"] == "1":
        raise torch.OutOfMemoryError("CUDA out of memory")

register_module_forward_hook(run_short)
{MDLSTM}
"""


def test_one_of_two_processes_may_learn_in_smaller_pieces(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    alone, together = tmp_path / "alone.safetensors", tmp_path / "together.safetensors"

    finish(start(tiny_dataset, alone, "--batch", "4"))
    output = finish(start(tiny_dataset, together, "--batch", "4", processes=2, code=SHORT))

    assert output.count(f"mdlstm: {IN_PIECES}\n") == 1
    assert losses(together) == pytest.approx(losses(alone), rel=1e-4)


def said(process: subprocess.Popen[str]) -> list[str]:
    """Wait for a run that fails, and return what `mdlstm` says."""
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0, output
    return [line for line in output.splitlines() if line.startswith("mdlstm: ")]


def test_of_several_processes_that_cannot_go_on_one_says_why(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    labels = tiny_dataset / "labels" / "scene_1.png"
    Image.new("L", (40, 30), 9).save(labels)

    (sentence,) = said(start(tiny_dataset, tmp_path / "model.safetensors", processes=2))

    assert sentence.startswith(f"mdlstm: {labels} has the label 9, ")


def test_a_batch_smaller_than_the_number_of_processes_is_refused(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model.safetensors"

    sentences = said(start(tiny_dataset, out, "--batch", "1", processes=2))

    assert sentences == ["mdlstm: 2 processes cannot share a batch of 1; give --batch 2 or more."]


DROPPED = """
import sys
from pathlib import Path

import torch
from torch import nn

from mdlstm_core.config import NetworkConfig
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.training.options import TrainingOptions
from mdlstm_core.training.processes import joined
from mdlstm_core.training.sources import Source
from mdlstm_core.training.trainer import Trainer

root, out = map(Path, sys.argv[1:])
sources = [Source(LabeledFolder(root), LabeledFolder(root), out)]
config = NetworkConfig("scene", "scene", 3, 16, (2, 3), (), (8, 8, 8, 8), dropout=0.5)
kept = []

def look(_module, inputs, output):
    if torch.is_grad_enabled():
        kept.append((output.abs().amax((0, 2, 3)) > 0).tolist())

with joined(torch.device("cpu")) as processes:
    options = TrainingOptions(epochs=1, batch=2, view=(18, 22))
    trainer = Trainer(config, sources, options, torch.device("cpu"), processes)
    for module in trainer._network.modules():
        if isinstance(module, nn.Dropout2d):
            module.register_forward_hook(look)
    trainer.run()
    out.with_name(f"kept.{processes.rank}").write_text(repr(kept))
"""


def test_each_process_drops_other_features(tiny_dataset: Path, tmp_path: Path) -> None:
    script = tmp_path / "dropped.py"
    script.write_text(DROPPED)
    command = [sys.executable, "-m", "torch.distributed.run", *STANDALONE, "--nproc-per-node=2"]
    command += [str(script), str(tiny_dataset), str(tmp_path / "model.safetensors")]

    finish(launch(command))

    first, second = ((tmp_path / f"kept.{rank}").read_text() for rank in (0, 1))
    assert "False" in first
    assert first != second


@pytest.mark.thorough
def test_launchers_of_two_machines_follow_the_curve_of_one(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    alone, together = tmp_path / "alone.safetensors", tmp_path / "together.safetensors"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    machine = ("--nnodes=2", "--rdzv-backend=c10d", f"--rdzv-endpoint={endpoint}")

    finish(start(tiny_dataset, alone))
    # What docs/accuracy.md has one type on each machine, with a folder that both share.
    machines = [start(tiny_dataset, together, launcher=machine) for _ in range(2)]
    for launched in machines:
        finish(launched)

    assert losses(together) == pytest.approx(losses(alone), rel=1e-4)
    assert json.loads(Path(f"{together}.run.json").read_text())["processes"] == 2


def test_run_killed_at_once_resumes_to_the_same_bits(tiny_dataset: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    finish(start(tiny_dataset, whole))
    process = start(tiny_dataset, killed)
    deadline = time.monotonic() + 120
    while not Path(f"{killed}.state").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    finish(start(tiny_dataset, killed, "--resume"))

    for ending in (".state", ""):
        ones, others = load_file(f"{whole}{ending}"), load_file(f"{killed}{ending}")
        assert ones.keys() == others.keys()
        assert all(torch.equal(value, others[name]) for name, value in ones.items())
    assert load_checkpoint(whole).metrics == load_checkpoint(killed).metrics
