"""Fixtures that tests of both packages share. Qt's own stand in app/conftest.py."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from tqdm import tqdm

from app.cli.main import main
from mdlstm_core.checkpoint import Checkpoint, checkpoint_of, save_checkpoint
from mdlstm_core.config import LabelClass, NetworkConfig
from mdlstm_core.kernels import compiled_wavefront
from mdlstm_core.kernels.native import loader
from mdlstm_core.network import LabelingNetwork, build_network
from mdlstm_core.palette import default_color
from mdlstm_core.volumes.pyramid_network import PyramidNetwork

# Before Qt is started: tests need no display. One that is asked for is used.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# A shell lets what it starts in the background ignore Ctrl-C, and tests send it to programs.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more of the machine than of the code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

CLASS_NAMES = ("sky", "grass", "road")


@pytest.fixture(autouse=True, scope="session")
def torch_threads() -> None:
    """One thread: the networks are tiny, and sums come in one order."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def compiled_kernels() -> None:
    """Compile before the first test, so that none of them ends while a thread does."""
    for bits in (32, 64):
        loader(bits).get(wait=True)


@pytest.fixture
def nan_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh memory holds NaN, so that a cell that was never written shows."""

    def poisoned(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def made(*args: Any, zeros: bool = False, **kwargs: Any) -> torch.Tensor:
            if zeros:
                return make(*args, zeros=True, **kwargs)
            fresh = make(*args, **kwargs)
            return fresh.fill_(torch.nan) if fresh.is_floating_point() else fresh

        return made

    monkeypatch.setattr(torch, "empty", poisoned(torch.empty))
    monkeypatch.setattr(torch, "empty_like", poisoned(torch.empty_like))
    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned(torch.Tensor.new_empty))
    monkeypatch.setattr(compiled_wavefront, "fresh", poisoned(compiled_wavefront.fresh))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: begun last, one would run alone."""
    here = Path(__file__).parent
    items.sort(
        key=lambda item: item.path.parent != here and item.path.name != "test_shipped_model.py"
    )


class ShortMemory:
    """Lets networks run out of memory.

    Attributes:
        fails: whether each of the next runs of a network fails, first to last.
        fail: what a run does that fails; the GPU's memory is short by default.
        most: images that a run has memory for.
        seen: height and width of the image, or size of the part of a volume, in each run.
        only_learning: whether runs without gradients, which only predict, do not count.
    """

    def __init__(self) -> None:
        self.fails: list[bool] = []
        self.fail: Callable[[], object] = self._raise
        self.most = sys.maxsize
        self.seen: list[tuple[int, ...]] = []
        self.only_learning = False

    def _raise(self) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    def on_run(self, module: nn.Module, inputs: tuple[torch.Tensor], _output: torch.Tensor) -> None:
        is_counted = torch.is_grad_enabled() or not self.only_learning
        if isinstance(module, LabelingNetwork | PyramidNetwork) and is_counted:
            self.seen.append(tuple(inputs[0].shape[2:]))
            if len(inputs[0]) > self.most or (self.fails and self.fails.pop(0)):
                self.fail()


@pytest.fixture
def short_memory() -> Iterator[ShortMemory]:
    """Watch every run of a network, and let some fail."""
    memory = ShortMemory()
    handle = register_module_forward_hook(memory.on_run)
    yield memory
    handle.remove()


@pytest.fixture
def tiny_config() -> NetworkConfig:
    """The paper's architecture at its smallest, with two 2D-LSTM layers."""
    return NetworkConfig(
        preset="byeon2015-5x5",
        architecture="byeon2015",
        classes=len(CLASS_NAMES),
        window=2,
        lstm_units=(2, 3),
        feedforward_units=(3,),
        working_pixels=6_000,
    )


@pytest.fixture
def scene_config() -> NetworkConfig:
    """The scene architecture at its smallest: group norm asks for multiples of 8."""
    return NetworkConfig(
        preset="scene",
        architecture="scene",
        classes=len(CLASS_NAMES),
        window=16,
        lstm_units=(2, 3),
        channels=(8, 8, 8, 8),
        forget_scale=0.5,
        dropout=0.2,
    )


@pytest.fixture
def make_checkpoint(tiny_config: NetworkConfig) -> Callable[..., Checkpoint]:
    """Return a function that draws an untrained model: of a configuration, with class names."""

    def make(config: NetworkConfig = tiny_config, names: Sequence[str] = CLASS_NAMES) -> Checkpoint:
        torch.manual_seed(7)
        network = build_network(config)
        classes = tuple(LabelClass(n, default_color(i)) for i, n in enumerate(names))
        weights = {key: value.clone() for key, value in network.state_dict().items()}
        return checkpoint_of(network, Checkpoint(config, classes, weights, "generated", {"a": 1}))

    return make


@pytest.fixture
def tiny_checkpoint(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """An untrained model of three classes."""
    return make_checkpoint()


@pytest.fixture
def checkpoint_file(tiny_checkpoint: Checkpoint, tmp_path: Path) -> Path:
    """The file of `tiny_checkpoint`."""
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(tiny_checkpoint, path)
    return path


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    """A generated image, H×W×3."""
    return np.random.default_rng(1).integers(0, 256, (23, 31, 3), dtype=np.uint8)


@pytest.fixture
def tiny_dataset(tmp_path: Path) -> Path:
    """A labeled folder of four images 40×30 with sky above grass above road, some unlabeled."""
    root = tmp_path / "dataset"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    generator = np.random.default_rng(3)
    stems = [f"scene_{number}" for number in range(4)]
    colors = np.array([(90, 150, 230), (60, 140, 50), (110, 110, 110)])
    for stem in stems:
        horizon, edge = sorted(generator.integers(5, 26, size=2))
        labels = np.full((30, 40), 2, dtype=np.uint8)
        labels[:edge], labels[:horizon] = 1, 0
        noise = generator.normal(0, 12, (30, 40, 3))
        image = (colors[labels] + noise).clip(0, 255).astype(np.uint8)
        labels[:, 37:] = 255
        Image.fromarray(image).save(root / "images" / f"{stem}.png")
        Image.fromarray(labels).save(root / "labels" / f"{stem}.png")
    (root / "classes.json").write_text(json.dumps({"classes": CLASS_NAMES, "license": "none"}))
    (root / "train.txt").write_text("\n".join(stems[:3]) + "\n")
    (root / "val.txt").write_text(stems[3] + "\n")
    return root


class CommandResult(NamedTuple):
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def mdlstm(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., CommandResult]:
    """Return a function that runs `mdlstm` with its arguments."""
    # Its watching thread would outlive the test.
    monkeypatch.setattr(tqdm, "monitor_interval", 0)

    def run(*arguments: object) -> CommandResult:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return CommandResult(code, *capsys.readouterr())

    return run


@pytest.fixture
def assert_refused(mdlstm: Callable[..., CommandResult]) -> Callable[..., None]:
    """Return a function that checks that a command is refused in exactly one sentence."""

    def check(*arguments: object, naming: object = "", code: int = 2) -> None:
        result = mdlstm(*arguments)
        assert result.code == code, result
        assert result.out == ""
        assert result.err.startswith("mdlstm: ")
        assert result.err.endswith(".\n")
        assert result.err.count("\n") == 1
        assert str(naming) in result.err

    return check
