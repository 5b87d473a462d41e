"""Model › Look closer, in the real window: at how many pixels of an image the model looks."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.session import LabelingSession
from app.session.exchanger import ExportRequest
from app.storage.project_file import ProjectFile
from app.views.links import LOOKS
from app.views.main_window import MainWindow
from mdlstm_core import host_memory, prediction
from mdlstm_core.checkpoint import (
    Checkpoint,
    checkpoint_from_bytes,
    load_checkpoint,
    save_checkpoint,
)
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.data.images import read_image
from mdlstm_core.predictor import Predictor

LINE = [(20.0, 40.0), (180.0, 40.0)]
TRAINED, CLOSER = 10_000, 120_000
"""What the model looks at by itself, and an entry of the menu, more than the images have."""


@pytest.fixture
def coarse(tmp_path: Path) -> Path:
    """The shipped model, looking once at images and at fewer pixels than these have."""
    shipped = load_checkpoint("scene")
    config = dataclasses.replace(
        shipped.config, scales=(1.0,), mirrored=False, working_pixels=TRAINED
    )
    path = tmp_path / "coarse.safetensors"
    save_checkpoint(dataclasses.replace(shipped, config=config), path)
    return path


@pytest.fixture
def session(qtbot: QtBot, coarse: Path) -> Iterator[LabelingSession]:
    session = LabelingSession(coarse, device="cpu")
    yield session
    session.close()


@pytest.fixture
def opened(qtbot: QtBot, window: MainWindow, photos: list[Path]) -> MainWindow:
    return _open(qtbot, window, photos)


def _open(qtbot: QtBot, window: MainWindow, photos: list[Path]) -> MainWindow:
    with qtbot.waitSignal(window.session.prediction_changed):
        window.session.open_paths(photos)
    return window


def shown(window: MainWindow) -> np.ndarray:
    assert window.session.document is not None
    return window.session.document.displayed.copy()


def chosen(window: MainWindow) -> list[int | None]:
    """Return what the menu shows to be chosen."""
    return [p for name, p in LOOKS.items() if window.actions_by_name[name].isChecked()]


def choose(qtbot: QtBot, window: MainWindow, pixels: int | None) -> None:
    """Choose in the menu, and wait until the model that looks so has labeled the image."""
    name = next(name for name, found in LOOKS.items() if found == pixels)
    with qtbot.waitSignal(window.session.model_changed):
        window.actions_by_name[name].trigger()
    qtbot.waitUntil(lambda: window.session._client.is_idle)


@pytest.fixture
def short_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 8 MiB that are free half may be taken: enough for the image as the model was trained."""
    monkeypatch.setattr(host_memory, "host_memory", lambda: (1 << 30, 8 << 20))
    monkeypatch.setattr(prediction, "_ALWAYS_TRIED", 4 << 20)


def says(model: Path | Checkpoint, image: Path, pixels: int | None) -> np.ndarray:
    checkpoint = load_checkpoint(model) if isinstance(model, Path) else model
    predictor = Predictor(checkpoint.looking_at(pixels), "cpu")
    return predictor.predict(read_image(image)).label_map


def test_the_model_looks_as_closely_as_is_chosen_and_labels_stay(
    qtbot: QtBot,
    opened: MainWindow,
    coarse: Path,
    photos: list[Path],
    drag: Callable[..., None],
    short_memory: Any,
) -> None:
    document = opened.session.document
    assert document is not None
    assert chosen(opened) == [None]
    assert "at up to 10,000 pixels" in opened.learning._model.text()
    np.testing.assert_array_equal(shown(opened), says(coarse, photos[0], None))
    drag(opened, LINE)
    painted = document.corrections.snapshot()
    is_set = painted != IGNORE_INDEX
    assert is_set.any()
    assert shown(opened)[is_set].tolist() == painted[is_set].tolist()
    steps = opened.session.project.undo_stack.count()

    short_memory.seen.clear()
    choose(qtbot, opened, CLOSER)

    assert short_memory.seen[-1] == (160, 200)  # all of the image
    assert chosen(opened) == [CLOSER]
    assert "at up to 120,000 pixels" in opened.learning._model.text()
    closer = says(coarse, photos[0], CLOSER)
    assert (closer != says(coarse, photos[0], None)).any()
    np.testing.assert_array_equal(shown(opened), np.where(is_set, painted, closer))
    np.testing.assert_array_equal(document.corrections.snapshot(), painted)
    assert opened.session.project.undo_stack.count() == steps
    choose(qtbot, opened, None)
    assert short_memory.seen[-1] == (89, 112)
    assert chosen(opened) == [None]


def test_the_choice_is_kept_with_the_project(
    qtbot: QtBot, opened: MainWindow, coarse: Path, photos: list[Path], two_photos: list[Path]
) -> None:
    choose(qtbot, opened, CLOSER)
    assert opened.session.stored.can_choose_classes  # it settles nothing else
    closer = shown(opened)
    _open(qtbot, opened, two_photos)
    assert chosen(opened) == [None]
    assert opened.close()

    again = MainWindow(LabelingSession(coarse, device="cpu"))
    qtbot.addWidget(again)
    again.show()
    _open(qtbot, again, photos)
    assert chosen(again) == [CLOSER]
    np.testing.assert_array_equal(shown(again), closer)
    assert again.close()


def test_gates_live_and_export_look_as_closely(
    qtbot: QtBot,
    opened: MainWindow,
    coarse: Path,
    photos: list[Path],
    tmp_path: Path,
    drag: Callable[..., None],
) -> None:
    session = opened.session
    choose(qtbot, opened, CLOSER)
    with qtbot.waitSignal(session.insight.answered) as asked:
        opened.actions_by_name["gates"].trigger()
    answer = asked.args[0]
    expected = Predictor(load_checkpoint(coarse).looking_at(CLOSER), "cpu")
    grid = expected.gate_map(read_image(photos[0]), answer.request.query).values
    np.testing.assert_allclose(answer.found.values, grid, atol=1e-5)
    opened.actions_by_name["gates"].trigger()

    request = ExportRequest("npy", tmp_path / "out", which="this", whose="all", shown=photos[0])
    with qtbot.waitSignal(session.exchanger.said):
        session.exchanger.export(request)
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "a.npy"), shown(opened))

    drag(opened, LINE)
    with qtbot.waitSignal(session.prediction_changed):
        opened.actions_by_name["live"].trigger()
    learner = session._client._worker._follower._learner
    assert learner is not None
    assert [look.working for look in learner._looks.values()] == [(160, 200)]


def test_a_model_that_learned_keeps_how_closely_it_looked(
    qtbot: QtBot,
    opened: MainWindow,
    photos: list[Path],
    drag: Callable[..., None],
    until_learned: Callable[..., AbstractContextManager[None]],
    short_memory: Any,
) -> None:
    session = opened.session
    choose(qtbot, opened, CLOSER)
    drag(opened, LINE)
    short_memory.only_learning = True
    short_memory.seen.clear()
    with until_learned(session):
        with qtbot.waitSignal(session.progressed):
            session.learn(60)
        session.teacher.stop()
    assert max(short_memory.seen) == (160, 200)
    qtbot.waitUntil(lambda: session.review.changes.compared > 0)
    timeline = session.teacher.timeline
    base, learned = (checkpoint_from_bytes(timeline.gives(n)()) for n in (1, 2))
    assert (base.config.working_pixels, learned.config.working_pixels) == (TRAINED, CLOSER)
    document = session.document
    assert document is not None
    np.testing.assert_array_equal(document.prediction, says(learned, photos[0], CLOSER))

    # As trained is for each model what it was trained with: what changed is compared anew.
    both = [says(model, photos[0], None) for model in (base, learned)]
    choose(qtbot, opened, None)
    np.testing.assert_array_equal(document.prediction, both[1])
    assert session.teacher.serving is not None
    changes = session.review.changes
    qtbot.waitUntil(lambda: changes.compared > 0)
    free = document.corrections.values == IGNORE_INDEX
    changed = int(((both[0] != both[1]) & free).sum())
    qtbot.waitUntil(lambda: dict(changes.images()).get(photos[0], 0) == changed)


@pytest.mark.usefixtures("long_learning")
def test_it_is_not_changed_while_the_model_learns(
    qtbot: QtBot,
    opened: MainWindow,
    drag: Callable[..., None],
    until_learned: Callable[..., AbstractContextManager[None]],
) -> None:
    session = opened.session
    drag(opened, LINE)
    with qtbot.waitSignal(session.progressed):
        session.learn(60)
    with qtbot.waitSignal(session.warned) as warned:
        opened.actions_by_name[f"look-{CLOSER}"].trigger()
    assert warned.args == ["The model is learning; stop that before it looks at another scale."]
    assert chosen(opened) == [None]
    with until_learned(session):
        session.teacher.cancel()
    choose(qtbot, opened, CLOSER)
    assert chosen(opened) == [CLOSER]


def test_a_model_that_is_just_being_loaded_looks_so_too(
    qtbot: QtBot, opened: MainWindow, photos: list[Path]
) -> None:
    session = opened.session
    session.use_model("scene-33")
    choose(qtbot, opened, 270_000)
    assert session.teacher.source == "scene-33"
    assert session.model is not None
    assert session.model.pixels == 270_000


def test_too_little_memory_is_said_and_the_way_back_is_open(
    qtbot: QtBot, opened: MainWindow, coarse: Path, photos: list[Path], short_of_memory: None
) -> None:
    session = opened.session
    with qtbot.waitSignal(session.warned) as warned:
        opened.actions_by_name[f"look-{CLOSER}"].trigger()
    assert warned.args == [
        "Looking at an image of 200×160 pixels needs about 9 MiB of memory, and at most 4 MiB "
        "can be spared now; let the model look at fewer pixels."
    ]
    assert not opened.status.busy.is_under_way("predict")
    with qtbot.waitSignal(session.prediction_changed):
        opened.actions_by_name["look-trained"].trigger()
    np.testing.assert_array_equal(shown(opened), says(coarse, photos[0], None))


def test_a_model_whose_numbers_are_not_finite_so_close_says_what_to_choose(
    qtbot: QtBot, window: MainWindow, rocket: Path
) -> None:
    session = window.session
    _open(qtbot, window, [rocket])
    with qtbot.waitSignal(session.prediction_changed):
        session.use_model("byeon2015-3x3")
    with qtbot.waitSignal(session.warned) as warned:
        window.actions_by_name["look-480000"].trigger()
    assert warned.args == [
        "The model cannot be used: its weights give no finite numbers. If it looks at more "
        "pixels than it was trained with, let it look at fewer."
    ]
    with qtbot.waitSignal(session.prediction_changed):
        window.actions_by_name["look-trained"].trigger()


def test_a_damaged_choice_is_as_trained(
    qtbot: QtBot, opened: MainWindow, photos: list[Path]
) -> None:
    choose(qtbot, opened, CLOSER)
    assert opened.session.journal.store()
    project = opened.session.project_path
    assert project is not None
    assert opened.close()
    for damaged in ("[1]", "12", "many"):
        database = sqlite3.connect(project)
        database.execute("UPDATE settings SET value = ? WHERE name = 'pixels'", (damaged,))
        database.commit()
        database.close()
        file = ProjectFile(project)
        assert file.pixels() is None
        file.close()
