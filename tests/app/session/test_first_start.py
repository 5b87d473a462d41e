"""A first start: the window answers before the compiled kernel is there, then as it says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.inference.messages import Prediction
from app.session.labeling_session import LabelingSession
from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.data.images import read_image
from mdlstm_core.kernels import native, select_kernel
from mdlstm_core.predictor import Predictor


@pytest.fixture
def may_compile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[threading.Event]:
    """Nothing was ever compiled, and nothing is before this is set."""
    may_go_on, compile_now = threading.Event(), native._compile

    def wait_and_compile(bits: int) -> native.Sweeps:
        assert may_go_on.wait(60)
        return compile_now(bits)

    monkeypatch.setattr(native, "cache_folder", lambda: tmp_path / "kernels")
    monkeypatch.setattr(native, "_compile", wait_and_compile)
    monkeypatch.delenv("MDLSTM_KERNEL", raising=False)
    native.loader.cache_clear()
    yield may_go_on
    may_go_on.set()
    native.loader.cache_clear()


@pytest.fixture
def answers(session: LabelingSession) -> list[Prediction]:
    """What the model says, as it comes."""
    given: list[Prediction] = []
    session._client.predicted.connect(given.append)
    session.start_model()
    return given


def test_image_is_labeled_again_when_the_compiled_kernel_is_ready(
    qtbot: QtBot,
    may_compile: threading.Event,
    session: LabelingSession,
    answers: list[Prediction],
    rocket: Path,
) -> None:
    session.open_paths([rocket])
    qtbot.waitUntil(lambda: len(answers) == 1)
    assert answers[0].is_provisional, "it did not wait for the kernel"

    may_compile.set()
    qtbot.waitUntil(lambda: len(answers) == 2)

    assert select_kernel(device="cpu").name == "compiled"
    document = session.document
    assert document is not None
    assert document.prediction is answers[1].label_map
    expected = Predictor(load_checkpoint("scene"), "cpu").predict(read_image(rocket))
    np.testing.assert_array_equal(document.prediction, expected.label_map)
    # The last bits depend on the number of threads too, so the session itself is asked again.
    session.labeler._ask()
    qtbot.waitUntil(lambda: len(answers) == 3)
    for name in ("label_map", "confidence", "uncertainty", "entropy"):
        np.testing.assert_array_equal(getattr(answers[1], name), getattr(answers[2], name))
    assert not answers[1].is_provisional


def test_image_is_labeled_once_by_a_kernel_that_is_ready(
    qtbot: QtBot, session: LabelingSession, answers: list[Prediction], rocket: Path
) -> None:
    select_kernel(device="cpu", wait=True)
    session.open_paths([rocket])
    qtbot.waitUntil(lambda: len(answers) == 1)

    qtbot.wait(600)  # more than two looks at the kernel

    assert [answer.is_provisional for answer in answers] == [False]
