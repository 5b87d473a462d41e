"""When launches are recorded and replayed, with a stand-in for CUDA's graphs.

Needs no GPU and no interpreter: the launches are only noted. That recorded launches give
the right numbers is tested on a GPU (see test_triton_kernels.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="triton is not installed: it exists for Linux only")

from mdlstm_core.kernels import triton_launch
from mdlstm_core.kernels.triton_launch import Pass

PASS = Pass("forward", 1, 2, 3, 4, torch.float32, 1.0)


class Gpu:
    """What happened: `fill`, `launch`, `replay`, each with the table that it used."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []
        self.table: Tensor | None = None
        self.stream = 1
        self.capturing = False
        self.fails = False

    def names(self) -> list[str]:
        """Return what happened since the last call."""
        names = [name for name, _ in self.events]
        self.events.clear()
        return names

    @contextlib.contextmanager
    def record(self, graph: Graph, **_: Any) -> Iterator[None]:
        self.capturing = True
        yield
        self.capturing = False
        if self.fails:
            raise RuntimeError("no graph today")
        graph.table = self.events[-1][1]


class Graph:
    """A recorded graph."""

    gpu: Gpu
    table: int

    def replay(self) -> None:
        self.gpu.events.append(("replay", self.table))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    fake = Gpu()
    Graph.gpu = fake

    class Stream:
        cuda_stream = property(lambda _: fake.stream)

    def noted(name: str) -> Any:
        return lambda *arguments: fake.events.append(
            (name, next(a for a in arguments if isinstance(a, Tensor)).data_ptr())
        )

    monkeypatch.setattr(torch.Tensor, "is_cuda", True, raising=False)
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: fake.capturing)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", fake.record)
    monkeypatch.setattr(triton_launch, "_fill", noted("fill"))
    monkeypatch.setattr(triton_launch, "_launch_diagonals", noted("launch"))
    monkeypatch.setattr(triton_launch, "_graphs", type(triton_launch._graphs)())
    monkeypatch.setattr(triton_launch, "_unrecordable", set())
    return fake


def launch(of_pass: Pass = PASS) -> None:
    triton_launch.launch_pass(of_pass, [torch.zeros(4) for _ in range(5)])


def test_a_shape_is_recorded_when_it_comes_again(gpu: Gpu) -> None:
    launch()
    assert gpu.names() == ["fill", "launch"]

    launch()
    events = list(gpu.events)
    assert gpu.names() == ["launch", "fill", "replay"]
    assert len({table for _, table in events}) == 1, "filled and read different tables"

    launch()
    assert gpu.names() == ["fill", "replay"]


@pytest.mark.parametrize(
    "other",
    [
        PASS._replace(rows=3),
        PASS._replace(batch=2),
        PASS._replace(dtype=torch.bfloat16),
        PASS._replace(forget_scale=0.5),
        PASS._replace(keep_gates=False),
    ],
)
def test_another_pass_is_recorded_on_its_own(gpu: Gpu, other: Pass) -> None:
    for _ in range(3):
        launch()
    gpu.names()

    launch(other)

    assert gpu.names() == ["fill", "launch"]


def test_streams_share_no_table(gpu: Gpu) -> None:
    tables = set()
    for gpu.stream in (1, 2):
        for _ in range(3):
            launch()
        tables.add(gpu.events[-1])

    assert gpu.names() == ["fill", "launch", "launch", "fill", "replay", "fill", "replay"] * 2
    assert len(tables) == 2


def test_within_another_recording_the_launches_are_made_one_by_one(gpu: Gpu) -> None:
    for _ in range(3):
        launch()
    gpu.names()
    gpu.capturing = True

    launch()

    assert gpu.names() == ["fill", "launch"]


def test_what_cannot_be_recorded_is_launched_one_by_one(
    gpu: Gpu, caplog: pytest.LogCaptureFixture
) -> None:
    gpu.fails = True
    launch()
    gpu.names()

    launch()
    assert gpu.names() == ["launch", "fill", "launch"]
    launch()
    assert gpu.names() == ["fill", "launch"]
    assert [message.rsplit(": ")[-1] for message in caplog.messages] == ["no graph today"]


def test_the_oldest_recordings_are_dropped(gpu: Gpu) -> None:
    passes = [PASS._replace(rows=rows) for rows in range(1, triton_launch.MOST_GRAPHS + 2)]
    for of_pass in passes:
        launch(of_pass)
        launch(of_pass)
    gpu.names()

    launch(passes[-1])
    assert gpu.names() == ["fill", "replay"]
    launch(passes[0])
    assert gpu.names() == ["fill", "launch"]
    assert len(triton_launch._graphs) == triton_launch.MOST_GRAPHS


def test_tensors_where_the_kernels_cannot_read_them_are_refused(gpu: Gpu) -> None:
    tensors = [torch.zeros(4) for _ in range(4)]

    for wrong in (torch.zeros(5)[1:], torch.zeros(4, 2)[:, 0]):
        with pytest.raises(AssertionError):
            triton_launch.launch_pass(PASS, [*tensors, wrong])
    assert not gpu.events
