"""How the bands of the persistent GPU kernel share their work and hand it over.

Their numbers are tested in test_triton_kernels.py, which also says where these tests run.
The interpreter runs one program after another. Here it also runs several at a time, and
goes from one to another where they tell or ask how far they are: that tests the order of
the hand-over's steps, but not the order in which a GPU's memory shows them to others.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mdlstm_core.kernels import MDLSTMWeights, wavefront

pytest.importorskip("triton", reason="triton is not installed: it exists for Linux only")

import triton.language as tl  # the interpreter looks for it in the module of what it runs
from triton.runtime import interpreter

from mdlstm_core.kernels import triton_bands, triton_launch, triton_persistent, triton_wavefront
from mdlstm_core.kernels.triton_handover import work_item
from mdlstm_core.kernels.triton_launch import Pass
from mdlstm_core.kernels.triton_persistent import Bands, shared_bytes

ROOT = Path(__file__).parents[2]
SIZES = [(batch, rows) for batch in (1, 2, 3, 7) for rows in (1, 2, 15, 16, 17, 33, 64, 100)]

in_interpreter = pytest.mark.skipif(
    not triton_launch.INTERPRETED, reason="see test_bands_in_the_interpreter"
)
needs_gpu = pytest.mark.skipif(
    triton_launch.INTERPRETED or not torch.cuda.is_available(), reason="there is no CUDA GPU"
)
PARTS = ["not thorough", pytest.param("thorough", marks=pytest.mark.thorough)]


@pytest.mark.parametrize("dtype", triton_launch.DTYPES)
@pytest.mark.parametrize("units", [1, 20, 50])
def test_a_band_waits_for_a_smaller_ticket(units: int, dtype: torch.dtype) -> None:
    for batch, rows in SIZES:
        of_pass = Pass("forward", batch, rows, 9, units, dtype, 1.0)
        items = [work_item.fn(t, batch) for t in range(triton_persistent.work_items(of_pass))]
        ticket_of = {item[:3]: ticket for ticket, item in enumerate(items)}

        bands = -(-rows // triton_persistent.bands_for(of_pass).block_r)
        every = [(k, b, d) for k in range(bands) for b in range(batch) for d in range(4)]
        assert sorted(ticket_of) == every, "not each band of each image and direction once"
        assert len(items) == len(every)
        for ticket, (band, image, direction, before) in enumerate(items):
            assert before < ticket
            if band:
                assert before == ticket_of[band - 1, image, direction]


def drawn(rows: int, columns: int, units: int, device: str = "cpu") -> list[Tensor]:
    """Return input, weights, and the gradient that reaches the hidden states."""
    generator = torch.Generator().manual_seed(3)
    shapes = (
        *((1, rows, columns, 2), (4, 2, 5 * units)),
        *((4, units, 5 * units), (4, units, 5 * units), (4, 5 * units)),
        (4, 1, rows, columns, units),
    )
    numbers = (torch.randn(shape, generator=generator) / units**0.5 for shape in shapes)
    return [values.to(device) for values in numbers]


def trained(backend: Any, numbers: list[Tensor]) -> list[Tensor]:
    """Return the hidden states and all gradients."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in numbers[:5]]
    hidden = backend.run(leaves[0], MDLSTMWeights(*leaves[1:]), 0.5)
    return [hidden.detach(), *torch.autograd.grad(hidden, leaves, numbers[5])]


def assert_right(given: list[Tensor], numbers: list[Tensor]) -> None:
    expected = trained(wavefront, [values.cpu().double() for values in numbers])
    tolerance = 1e-5 if numbers[0].dtype == torch.float32 else 3e-2
    for one, other in zip(given, expected, strict=True):
        # Not `error > bound`: that would let NaN pass.
        assert (one.cpu().double() - other).norm() <= tolerance * other.norm()


@in_interpreter
@pytest.mark.parametrize(
    ("chunk", "dtype"),
    [
        pytest.param(1, torch.float32, marks=pytest.mark.thorough),
        (3, torch.bfloat16),
        pytest.param(8, torch.float32, marks=pytest.mark.thorough),
    ],
)
@pytest.mark.usefixtures("nan_memory")
def test_hand_over_at_every_chunk(
    chunk: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triton_persistent, "bands_for", lambda _: Bands(2, 16, chunk, 8))
    numbers = [values.to(dtype) for values in drawn(5, 4, 3)]

    assert_right(trained(triton_persistent, numbers), numbers)


class Programs:
    """Runs the programs of a grid in threads, of which one at a time moves.

    It is the next one's turn when a program has published a count, and when it reads one in
    vain. So one that tells others to go on stands still until they have, and a count that
    comes too early shows. The programs take their work by tickets, so that it does not
    matter which thread runs which of them.

    Attributes:
        together: programs that have begun and not ended, at most.
        polls: how often a program read a count, as one that waits does again and again.
    """

    def __init__(self) -> None:
        self.together, self.polls = 1, 0
        self._of_thread = threading.local()
        self._begun: deque[threading.Semaphore] = deque()
        self._failures: list[BaseException] = []

    def run(self, program: Callable[[], None], number: int) -> None:
        """Run as many programs; raise what the first that fails raises."""
        turns = [threading.Semaphore(0) for _ in range(number)]
        later = deque(turns[self.together :])

        def body(turn: threading.Semaphore) -> None:
            self._of_thread.turn = turn
            turn.acquire()
            try:
                program()
            except BaseException as error:
                self._failures.append(error)
            self._begun.remove(turn)
            if later:
                self._begun.append(later.popleft())
            if self._begun:
                self._begun[0].release()

        threads = [threading.Thread(target=body, args=(turn,)) for turn in turns]
        for thread in threads:
            thread.start()
        self._begun.extend(turns[: self.together])
        self._begun[0].release()
        for thread in threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def atomic(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Return the interpreter's atomic operation, which hands on to the next program."""

        def operation(builder: Any, kind: Any, ptr: Any, val: Any, mask: Any, *rest: Any) -> Any:
            publishes = kind == interpreter._ir.ATOMIC_OP.XCHG and mask.data.item()
            polled = ptr.data.item() if val.data.item() == 0 else None
            self.polls += polled is not None
            if polled is not None and polled == getattr(self._of_thread, "polled", None):
                self._hand_on()
            self._of_thread.polled = polled
            result = real(builder, kind, ptr, val, mask, *rest)
            if publishes:
                self._hand_on()
            return result

        return operation

    def _hand_on(self) -> None:
        if turn := getattr(self._of_thread, "turn", None):
            self._begun.rotate(-1)
            self._begun[0].release()
            turn.acquire()
            assert not self._failures, "another program has failed"

    def rewritten(self, kernel: Any) -> Callable[..., None]:
        """Return what the interpreter is to call for each program: the first call runs them all."""
        one_program = type(kernel).rewrite(kernel)

        @functools.wraps(one_program)
        def first_runs_all(**arguments: Any) -> None:
            builder = interpreter.interpreter_builder
            if not any(builder.grid_idx):
                self.run(lambda: one_program(**arguments), builder.grid_dim[0])

        first_runs_all.__signature__ = inspect.signature(one_program)  # type: ignore[attr-defined]
        assert first_runs_all.__globals__["tl"] is tl
        return first_runs_all


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Run the programs of the bands' kernels in turn."""
    programs = Programs()
    for kernel in (triton_bands.forward_bands, triton_bands.backward_bands):
        monkeypatch.setattr(kernel, "rewrite", functools.partial(programs.rewritten, kernel))
    atomic = programs.atomic(interpreter.InterpreterBuilder.create_atomic_rmw)
    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_atomic_rmw", atomic)
    return programs


@in_interpreter
@pytest.mark.usefixtures("nan_memory")
def test_programs_that_run_at_the_same_time(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triton_persistent, "bands_for", lambda _: Bands(2, 16, 2, 8))
    numbers = drawn(5, 4, 3)
    alone = trained(triton_persistent, numbers)
    polls, programs.polls, programs.together = programs.polls, 0, 12

    together = trained(triton_persistent, numbers)

    assert programs.polls > polls, "no program had to wait"
    assert all(map(torch.equal, alone, together))
    assert_right(together, numbers)


@in_interpreter
def test_few_programs_at_a_time_never_wait_for_ever(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triton_persistent, "bands_for", lambda _: Bands(2, 16, 1, 8))
    numbers = drawn(5, 1, 1)
    for programs.together in (1, 3):
        assert_right(trained(triton_persistent, numbers), numbers)


@in_interpreter
def test_weights_without_room_on_chip_run_a_diagonal_at_a_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    large = Pass("forward", 1, 2, 2, 65, torch.bfloat16, 1.0)
    assert shared_bytes(large) > triton_persistent.INTERPRETED_BYTES
    numbers = drawn(2, 2, 3)
    expected = trained(triton_wavefront, numbers)
    monkeypatch.setattr(triton_persistent, "INTERPRETED_BYTES", 1)
    triton_persistent._available_bytes.cache_clear()
    triton_persistent._say_no_room.cache_clear()

    with caplog.at_level("INFO"):
        given = trained(triton_persistent, numbers)

    triton_persistent._available_bytes.cache_clear()
    assert all(map(torch.equal, given, expected))
    assert [message[:23] for message in caplog.messages] == ["The weights of 3 units "]


@needs_gpu
def test_bands_can_be_recorded_as_a_graph() -> None:
    first, second = drawn(70, 40, 20, "cuda"), drawn(70, 40, 20, "cuda")
    second[0] = second[0].flip(1).contiguous()
    expected = [trained(triton_persistent, numbers) for numbers in (first, second)]
    fixed = [values.clone() for values in first]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = trained(triton_persistent, fixed)

    for numbers, wanted in zip((first, second, first), (*expected, expected[0]), strict=True):
        for place, values in zip(fixed, numbers, strict=True):
            place.copy_(values)
        graph.replay()
        assert all(map(torch.equal, recorded, wanted))


@pytest.mark.skipif(triton_launch.INTERPRETED, reason="this is the interpreter")
@pytest.mark.parametrize("cases", PARTS)
def test_bands_in_the_interpreter(interpreted: Callable[..., Any], cases: str) -> None:
    done = interpreted(__file__, cases)

    assert done.returncode == 0, done.stdout + done.stderr
