"""Pictures that were moved, or that another one took the place of."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot

from app.session import LabelingSession, moved_images
from app.storage import disk_worker
from app.storage.changes import Fingerprint
from app.storage.fingerprint import fingerprint_of
from app.storage.project_places import project_from_elsewhere
from app.views.main_window import MainWindow

LINE = [(100.0, 100.0), (200.0, 120.0)]


def moved_elsewhere(photo: Path) -> Path:
    """Move a photograph into a folder beside its own, under another name."""
    folder = photo.parent.parent / "moved"
    folder.mkdir()
    return Path(shutil.move(photo, folder / "new name.png"))


def test_another_picture_in_the_place_of_a_labeled_one_is_told(
    qtbot: QtBot, labeled_window: MainWindow, two_photos: list[Path], drag: Callable[..., None]
) -> None:
    session = labeled_window.session
    drag(labeled_window, LINE)
    with qtbot.waitSignal(session.document_changed):
        session.open_image(two_photos[1])
    with Image.open(two_photos[0]) as image:
        turned = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turned.save(two_photos[0])
    with qtbot.waitSignal(session.image_failed) as said:
        session.open_image(two_photos[0])
    assert "not the picture that was labeled" in said.args[1]
    assert session.document is not None
    assert session.document.path == two_photos[1]
    with qtbot.waitSignal(session.document_changed):
        session.accept_image(two_photos[0])
    assert not session.document.corrections.is_empty


def test_images_moved_without_their_project_are_asked_for(
    qtbot: QtBot, labeled_window: MainWindow, rocket: Path, drag: Callable[..., None]
) -> None:
    drag(labeled_window, LINE)
    assert labeled_window.session.document is not None
    painted = labeled_window.session.document.corrections.snapshot()
    project = labeled_window.session.project_path
    assert project is not None
    labeled_window.close()
    moved = moved_elsewhere(rocket)
    session = LabelingSession(device="cpu")
    warnings: list[str] = []
    session.warned.connect(warnings.append)
    session.open_paths([project])
    assert "open the folder where they are now" in warnings[0]
    with qtbot.waitSignal(session.document_changed, check_params_cb=bool):
        session.open_paths([moved.parent])
    assert session.project_path == project
    assert session.document is not None
    assert session.document.path == moved
    np.testing.assert_array_equal(session.document.corrections.values, painted)
    session.close()


def test_images_are_shown_while_moved_ones_are_searched(
    qtbot: QtBot,
    labeled_window: MainWindow,
    two_photos: list[Path],
    drag: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rocket, other = two_photos
    drag(labeled_window, LINE)
    project = labeled_window.session.project_path
    assert project is not None
    labeled_window.close()
    moved = moved_elsewhere(rocket)
    may_end, find = threading.Event(), moved_images.find_moved

    def slow(*arguments: Any) -> dict[Path, Path]:
        assert may_end.wait(60)
        return find(*arguments)

    monkeypatch.setattr(moved_images, "find_moved", slow)
    window = MainWindow(LabelingSession(device="cpu"))
    qtbot.addWidget(window)
    window.canvas.first_painted.disconnect()
    window.show()
    session = window.session
    session.open_paths([project])
    session.project.add_images([other])
    session.open_paths([moved.parent])
    qtbot.waitUntil(lambda: "moved images" in window.status.busy.text)
    with qtbot.waitSignal(session.document_changed, check_params_cb=lambda d: d is not None):
        session.open_image(other)
    # The one asked for before may come once more: it was asked for by opening the folder, too.
    with qtbot.waitSignal(
        session.document_changed, check_params_cb=lambda d: d is not None and d.path == moved
    ):
        may_end.set()
    assert session.document is not None
    assert session.document.path == moved
    assert window.status.busy.text == ""
    window.close()


@pytest.fixture
def read_only_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever user runs the tests, no folder of images can be written into."""
    access = os.access
    folders = tmp_path / "photos", tmp_path / "moved", tmp_path / "copies"
    monkeypatch.setattr(os, "access", lambda path, mode: path not in folders and access(path, mode))


@pytest.mark.usefixtures("read_only_folders")
def test_a_folder_that_cannot_be_written_into_is_known_again_where_it_moved(
    qtbot: QtBot, window: MainWindow, two_photos: list[Path], drag: Callable[..., None]
) -> None:
    folder = two_photos[0].parent
    with qtbot.waitSignal(window.session.prediction_changed):
        window.session.open_paths([folder])
    drag(window, LINE)
    assert window.session.document is not None
    project, painted = window.session.project_path, window.session.document.corrections.snapshot()
    assert project is not None
    assert folder not in project.parents
    window.close()
    moved = folder.rename(folder.with_name("moved"))
    for _ in range(2):  # known by the pictures, and from then on by their places
        session = LabelingSession(device="cpu")
        session.open_paths([moved])
        assert session.project_path == project
        qtbot.waitUntil(lambda s=session: _painted(s, moved / "rocket.png") is not None)
        np.testing.assert_array_equal(_painted(session, moved / "rocket.png"), painted)
        assert not session.stored.files.missing
        session.close()


@pytest.mark.usefixtures("read_only_folders")
def test_labels_read_before_the_image_was_known_again_do_not_count(
    qtbot: QtBot,
    labeled_window: MainWindow,
    rocket: Path,
    drag: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drag(labeled_window, LINE)
    assert labeled_window.session.document is not None
    painted = labeled_window.session.document.corrections.snapshot()
    labeled_window.close()
    are_read, is_known_again, find = threading.Event(), threading.Event(), moved_images.find_moved

    def late(image: Path) -> Fingerprint:
        are_read.set()
        assert is_known_again.wait(60)
        return fingerprint_of(image)

    def later(*arguments: Any) -> dict[Path, Path]:
        assert are_read.wait(60)
        return find(*arguments)

    monkeypatch.setattr(disk_worker, "fingerprint_of", late)  # called after the labels are read
    monkeypatch.setattr(moved_images, "find_moved", later)
    session = LabelingSession(device="cpu")
    session.moved.searched.connect(lambda *_found: is_known_again.set())
    with qtbot.waitSignal(session.document_changed, check_params_cb=bool):
        session.open_paths([moved_elsewhere(rocket)])
    assert session.document is not None
    np.testing.assert_array_equal(session.document.corrections.values, painted)
    session.close()


@pytest.mark.usefixtures("read_only_folders")
def test_copies_of_images_that_are_where_they_were_begin_a_project_of_their_own(
    labeled_window: MainWindow, rocket: Path, tmp_path: Path, drag: Callable[..., None]
) -> None:
    drag(labeled_window, LINE)
    project = labeled_window.session.project_path
    assert project is not None
    labeled_window.close()
    assert project.is_file()
    copy = tmp_path / "copies" / "rocket.png"
    copy.parent.mkdir()
    shutil.copy(rocket, copy)
    assert project_from_elsewhere([copy]) is None
    rocket.unlink()
    assert project_from_elsewhere([copy]) == project


def _painted(session: LabelingSession, image: Path) -> np.ndarray | None:
    document = session.document
    if document is None or document.path != image or document.corrections.is_empty:
        return None
    return document.corrections.snapshot()


def test_a_missing_image_is_done_without_and_named(
    qtbot: QtBot,
    labeled_window: MainWindow,
    two_photos: list[Path],
    drag: Callable[..., None],
    until_learned: Callable[..., AbstractContextManager[None]],
) -> None:
    """Live follows the other strokes from where they teach most; Learn says what it lacks."""
    drag(labeled_window, LINE)
    session = labeled_window.session
    with qtbot.waitSignal(session.document_changed):
        session.open_image(two_photos[1])
    drag(labeled_window, LINE)
    project = session.project_path
    assert project is not None
    labeled_window.close()
    two_photos[0].unlink()
    session = LabelingSession(device="cpu")
    session.start_model()
    with qtbot.waitSignal(session.prediction_changed):
        session.open_paths([project])
    assert session.document is not None
    assert session.document.path == two_photos[1]
    strokes = session.labeler.strokes_on(session.document)
    assert strokes.are_all
    assert strokes.others == ()
    said: list[str] = []
    session.said.connect(said.append)
    with until_learned(session):
        session.learn(2)
    assert f"An image was left out of learning: {two_photos[0]}" in said[-1]
    session.close()
