"""Fixtures of the window's tests: isolated settings, real photographs, real sessions."""

from __future__ import annotations

import dataclasses
import gc
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial, partialmethod, wraps
from pathlib import Path

import numpy as np
import pytest
import shiboken6
from PIL import Image
from PySide6.QtCore import (
    QCoreApplication,
    QEvent,
    QObject,
    QPointF,
    QSettings,
    Qt,
    QThreadPool,
)
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from skimage import data

import resources
from app.session import LabelingSession
from app.views.main_window import MainWindow
from mdlstm_core.checkpoint import load_checkpoint, save_checkpoint
from mdlstm_core.learning import fine_tuning

_PATIENCE_MS = 120_000


class PatientBot(QtBot):
    """Waits long for what comes: a busy machine is slow, and only what never comes has failed."""

    waitSignal = partialmethod(QtBot.waitSignal, timeout=_PATIENCE_MS)
    waitSignals = partialmethod(QtBot.waitSignals, timeout=_PATIENCE_MS)
    waitUntil = partialmethod(QtBot.waitUntil, timeout=_PATIENCE_MS)
    waitExposed = partialmethod(QtBot.waitExposed, timeout=_PATIENCE_MS)

    def settle(self, session: LabelingSession) -> None:
        """Wait until the model that serves has labeled the image and all is stored."""
        client, timeline = session._client, session.teacher.timeline

        def is_idle() -> bool:
            return client.is_idle and not timeline.is_storing

        self.waitUntil(is_idle)
        session.journal.store()
        self.waitUntil(is_idle)


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> QtBot:
    """pytest-qt's, with more patience."""
    return PatientBot(request)


@pytest.fixture(autouse=True)
def isolated_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's settings and folders out of the tests, and the tests out of them."""
    home = tmp_path / "home"
    home.mkdir()
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(home))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "HOME"):
        monkeypatch.setenv(name, str(home))


@pytest.fixture(autouse=True, scope="session")
def made() -> Iterator[list[QObject]]:
    """All windows and sessions of the test under way."""
    found: list[QObject] = []

    def noted(make: Callable[..., None]) -> Callable[..., None]:
        @wraps(make)
        def made(self: QObject, *args: object, **kwargs: object) -> None:
            make(self, *args, **kwargs)
            found.append(self)

        return made

    # What is imported stays; a collection after each window would visit all of it.
    gc.collect()
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        for kind in (LabelingSession, MainWindow):
            patch.setattr(kind, "__init__", noted(kind.__init__))
        yield found


@pytest.fixture(autouse=True)
def freed(made: list[QObject]) -> Iterator[None]:
    """Free each window and session after its test, when all else is torn down.

    Slots that are closures hold on to them where the garbage collector cannot see it: fifty
    megabytes a window, of which a program has one and a run of the tests hundreds. As in the
    program, cycles are collected on the window's thread alone.
    """
    gc.disable()
    yield
    # A test that failed leaves some open: freed while their threads run, they end the program.
    for session in made:
        if isinstance(session, LabelingSession) and shiboken6.isValid(session):
            session.close()
    QThreadPool.globalInstance().waitForDone()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    parts = _parts_of(made)
    made.clear()
    for part in parts:
        if shiboken6.isValid(part) and not isinstance(part, QThreadPool):
            shiboken6.delete(part)
    for part in parts:
        vars(part).clear()
    if parts:
        gc.collect(0)  # no older one was due meanwhile
    gc.enable()


def _parts_of(owners: Iterable[QObject]) -> list[QObject]:
    """Return these objects of Qt and those that they and the app's other objects hold."""
    seen: dict[int, object] = {}
    todo: list[object] = list(owners)
    while todo:
        held = todo.pop()
        if isinstance(held, list | tuple):
            todo += held
        elif isinstance(held, dict):
            todo += held.values()
        elif id(held) not in seen and _is_ours(held):
            seen[id(held)] = held
            todo += getattr(held, "__dict__", {}).values()
    return [part for part in seen.values() if isinstance(part, QObject)]


def _is_ours(held: object) -> bool:
    return isinstance(held, QObject) or type(held).__module__.startswith("app.")


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """Fail a test that leaves a Python thread running, but for the compiler's, which ends."""
    before = set(threading.enumerate())
    yield
    ours = ("Dummy", "compile sweeps")
    left = [t for t in threading.enumerate() if t not in before and not t.name.startswith(ours)]
    assert left == []


@pytest.fixture
def rocket(tmp_path: Path) -> Path:
    """A real photograph, 640×427, in a folder of its own."""
    folder = tmp_path / "photos"
    folder.mkdir()
    path = folder / "rocket.png"
    Image.fromarray(data.rocket()).save(path)
    return path


@pytest.fixture
def two_photos(rocket: Path) -> list[Path]:
    """Two photographs in one folder."""
    other = rocket.with_name("zebra-free.png")
    Image.fromarray(np.ascontiguousarray(data.astronaut()[:200, :300])).save(other)
    return [rocket, other]


@pytest.fixture
def session(qtbot: QtBot) -> Iterator[LabelingSession]:
    """A session with the shipped model, on the CPU."""
    session = LabelingSession(device="cpu")
    yield session
    session.close()


@pytest.fixture
def window(qtbot: QtBot, session: LabelingSession) -> MainWindow:
    """The real window, shown; it is closed with the session."""
    window = MainWindow(session)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitExposed(window)
    return window


@pytest.fixture(scope="session")
def quick_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped models, of which `scene` looks at an image once and not four times."""
    folder = tmp_path_factory.mktemp("resources")
    shutil.copytree(Path(resources.__file__).parent / "models", folder / "models")
    shipped = load_checkpoint("scene")
    config = dataclasses.replace(shipped.config, scales=(1.0,), mirrored=False)
    once = dataclasses.replace(shipped, config=config)
    save_checkpoint(once, folder / "models" / "scene.safetensors")
    return folder


@pytest.fixture
def quick_looks(quick_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `scene` look once: what the window does with its labels is the same, sooner."""
    monkeypatch.setattr(resources, "_HERE", quick_models)


@pytest.fixture
def labeled_window(qtbot: QtBot, quick_looks: None, window: MainWindow, rocket: Path) -> MainWindow:
    """The window with the photograph open and labeled by the model."""
    with qtbot.waitSignal(window.session.prediction_changed):
        window.session.open_paths([rocket])
    return window


Drag = Callable[..., None]


@pytest.fixture
def drag(qtbot: QtBot) -> Drag:
    """Drag the mouse over the canvas, between points of the image."""

    def send(
        window: MainWindow,
        points: list[tuple[float, float]],
        *,
        shift: bool = False,
        release: bool = True,
    ) -> None:
        canvas = window.canvas
        modifiers = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
        places = [QPointF(*canvas.transform.to_view(x, y)) for x, y in points]
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        steps = [(QEvent.Type.MouseButtonPress, places[0], left, left)]
        steps += [(QEvent.Type.MouseMove, place, none, left) for place in places[1:]]
        if release:
            steps.append((QEvent.Type.MouseButtonRelease, places[-1], left, none))
        for kind, place, button, buttons in steps:
            at = canvas.mapToGlobal(place)
            event = QMouseEvent(kind, place, at, button, buttons, modifiers)
            QApplication.sendEvent(canvas, event)

    return send


@pytest.fixture
def until_learned(qtbot: QtBot) -> Callable[[LabelingSession], AbstractContextManager[None]]:
    """Waits, after what is done inside, until learning has ended and its model has answered."""

    @contextmanager
    def wait(session: LabelingSession) -> Iterator[None]:
        with qtbot.waitSignal(session.learning_changed, check_params_cb=lambda on: not on):
            yield
        client, timeline = session._client, session.teacher.timeline
        qtbot.waitUntil(lambda: not timeline.is_storing and client.is_idle)

    return wait


@pytest.fixture
def until_shown(qtbot: QtBot) -> Callable[[LabelingSession, Path], AbstractContextManager[None]]:
    """Waits, after what is done inside, until the model has labeled this image.

    A model that learns says meanwhile what it thinks of the image before.
    """

    @contextmanager
    def wait(session: LabelingSession, image: Path) -> Iterator[None]:
        def is_of_image() -> bool:
            return session.document is not None and session.document.path == image

        with qtbot.waitSignal(session.prediction_changed, check_params_cb=is_of_image):
            yield

    return wait


@pytest.fixture
def long_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let learning go on to its time limit, however soon the model has understood."""
    options = partial(fine_tuning.LearningOptions, enough=0.0, steps=10_000)
    monkeypatch.setattr(fine_tuning, "LearningOptions", options)


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let learning end after some steps: what it leads to is the same on a slow machine."""
    options = partial(fine_tuning.LearningOptions, steps=20)
    monkeypatch.setattr(fine_tuning, "LearningOptions", options)
