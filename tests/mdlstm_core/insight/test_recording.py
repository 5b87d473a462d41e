"""What a recording is refused for, and what it says of where it comes from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mdlstm_core.config import STATES
from mdlstm_core.errors import InputError
from mdlstm_core.host_memory import check_fits, host_memory
from mdlstm_core.insight.context import gradient
from mdlstm_core.insight.queries import ContextQuery, Pixel
from mdlstm_core.insight.recording import record, recording_bytes, size_of
from mdlstm_core.memory import COARSER, ON_CPU
from mdlstm_core.network import LabelingNetwork

GIB = 2**30


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mdlstm_core.host_memory.host_memory", lambda: (8 * GIB, 20_000))


@pytest.mark.usefixtures("little_memory")
def test_recording_that_would_not_fit_is_refused(
    network: LabelingNetwork, photo: NDArray[np.uint8], short_memory: Any
) -> None:
    with pytest.raises(InputError) as caught:
        record(network, photo)

    sentence = str(caught.value)
    assert sentence.startswith("Recording the gates of an image of 31×23 pixels needs about 1 MiB")
    assert sentence.endswith("; let the model look at fewer pixels.")
    assert short_memory.seen == [], "the network ran"


@pytest.mark.usefixtures("little_memory")
def test_gradient_that_would_not_fit_is_refused(
    network: LabelingNetwork, photo: NDArray[np.uint8]
) -> None:
    with pytest.raises(InputError, match=r"The gradient over an image of 31×23 pixels needs"):
        gradient(network, photo, ContextQuery(Pixel(0, 0)))


def test_bytes_are_those_of_what_is_held(
    network: LabelingNetwork, photo: NDArray[np.uint8]
) -> None:
    found = record(network, photo)
    needed = recording_bytes(network, size_of(photo), {0, 1}, logits=True)

    inputs = sum(tensor.nbytes for tensor in found.inputs.values())
    states = max(
        sum(getattr(found.states(layer), name).nbytes for name in STATES) for layer in (0, 1)
    )
    fine = sum(tensor.nbytes for tensor in found.fine or ())
    held = inputs + 2 * states + fine
    assert held <= needed <= 1.7 * held


@pytest.mark.parametrize(
    ("memory", "limit"), [((8 * GIB, 2 * GIB), 1), ((8 * GIB, None), 2), ((None, None), 1)]
)
def test_limit_follows_from_the_memory(
    monkeypatch: pytest.MonkeyPatch, memory: tuple[int | None, int | None], limit: int
) -> None:
    monkeypatch.setattr("mdlstm_core.host_memory.host_memory", lambda: memory)

    check_fits(limit * GIB, "This")
    with pytest.raises(
        InputError, match=rf"This needs about {limit}\.0 GiB .* most {limit}\.0 GiB"
    ):
        check_fits(limit * GIB + 1, "This")


def test_memory_of_this_computer_is_known() -> None:
    total, available = host_memory()

    assert total is not None
    assert total > 100_000_000
    assert available is None or 0 < available < total


@pytest.mark.parametrize(("fails", "notice"), [([True], COARSER), ([True, True], ON_CPU)])
def test_short_memory_of_the_gpu_is_told(
    network: LabelingNetwork,
    photo: NDArray[np.uint8],
    short_memory: Any,
    fails: list[bool],
    notice: str,
) -> None:
    short_memory.fails = list(fails)

    found = record(network, photo)

    assert notice in found.notice
    assert found.image_size == (23, 31)
    assert found.working_size == ((23, 31) if notice == ON_CPU else (16, 22))


def test_weights_that_are_no_numbers_are_refused(
    network: LabelingNetwork, photo: NDArray[np.uint8]
) -> None:
    last = network.class_layers[-1]
    last.weight.data[0] = float("nan")

    with pytest.raises(InputError, match="weights give no finite numbers"):
        record(network, photo)
    with pytest.raises(InputError, match="weights give no finite numbers"):
        gradient(network, photo, ContextQuery(Pixel(0, 0)))
