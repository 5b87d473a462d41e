"""The panel of images: thumbnails for what is on the screen, filter, search, step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QModelIndex, QPoint, QPointF, QRect, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from skimage import data

from app.session import LabelingSession
from app.settings import add_recent, load_recent
from app.views.main_window import MainWindow
from app.views.panels import thumbnails
from app.views.panels.images_panel import ImagesPanel
from mdlstm_core.config import LabelClass

MANY = 400


@pytest.fixture
def panel(qtbot: QtBot) -> Iterator[ImagesPanel]:
    panel = ImagesPanel()
    qtbot.addWidget(panel)
    panel.resize(240, 500)
    panel.show()
    yield panel
    panel.stop()


@pytest.fixture
def many(tmp_path: Path) -> list[Path]:
    """A folder of photographs, four by four the same file."""
    folder = tmp_path / "many"
    folder.mkdir()
    first = folder / "photo_000.jpg"
    Image.fromarray(data.rocket()).resize((320, 240)).save(first)
    paths = [folder / f"photo_{number:03}.jpg" for number in range(MANY)]
    for path in paths[1:]:
        path.write_bytes(first.read_bytes())
    return paths


def _names(panel: ImagesPanel) -> list[str]:
    return [path.name for path in panel.model.shown]


def _rows_on_screen(panel: ImagesPanel) -> int:
    return panel.list.viewport().height() // panel.list.sizeHintForRow(0) + 2


def test_only_what_is_on_the_screen_is_decoded(
    qtbot: QtBot, panel: ImagesPanel, many: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, decode = [], thumbnails.read_thumbnail

    def counted(path: Path, side: int) -> object:
        read.append(path)
        return decode(path, side)

    monkeypatch.setattr(thumbnails, "read_thumbnail", counted)
    panel.set_images(many)
    qtbot.waitUntil(lambda: many[0] in read and len(set(read)) >= 5)
    bar = panel.list.verticalScrollBar()
    for _ in range(60):  # from end to end, faster than anything is read
        place = QPointF(panel.list.viewport().rect().center())
        wheel = QWheelEvent(
            place,
            panel.list.viewport().mapToGlobal(place),
            QPoint(),
            QPoint(0, -1200),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(panel.list.viewport(), wheel)
        panel.list.viewport().repaint()
    bar.setValue(bar.maximum())
    panel.list.viewport().repaint()
    qtbot.waitUntil(lambda: many[-1] in read)
    qtbot.waitUntil(lambda: panel.model.thumbnails.get(many[-3]) is not None)
    assert len(read) == len(set(read))
    # What was scrolled by waits in a short queue, and is dropped from it.
    assert len(read) < 3 * _rows_on_screen(panel) + thumbnails._MOST_WANTED


def test_a_row_that_changes_is_drawn_again_without_asking_for_all_rows(
    qtbot: QtBot, panel: ImagesPanel, many: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.set_images(many)
    panel.list.viewport().repaint()
    row = panel.list.visualRect(panel.model.index(1))
    mark = QRect(row.right() - 24, row.top(), 24, row.height())
    before = panel.list.viewport().grab(mark).toImage()
    asked: list[None] = []
    count = panel.model.rowCount

    def counted(*parents: QModelIndex) -> int:
        asked.append(None)
        return count(*parents)

    monkeypatch.setattr(panel.model, "rowCount", counted)
    panel.mark_failed(many[1], "It is broken.")
    QApplication.processEvents()
    panel.list.viewport().repaint()
    assert panel.list.viewport().grab(mark).toImage() != before
    # A layout asks twice for each row; in folders of thousands that was a stall.
    assert len(asked) < MANY


@pytest.mark.parametrize(("name", "mode"), [("a.jpg", "RGB"), ("b.png", "RGBA"), ("c.tif", "I;16")])
def test_a_thumbnail_shows_the_image(tmp_path: Path, name: str, mode: str) -> None:
    path = tmp_path / name
    gradient = Image.linear_gradient("L").resize((400, 200))  # dark above, light below
    image = gradient.convert("I").point(lambda v: v * 250) if mode == "I;16" else gradient
    image.convert(mode).save(path)
    small = thumbnails.read_thumbnail(path, 64)
    assert (small.width(), small.height()) == (64, 32)
    assert small.pixelColor(32, 2).red() < 60
    assert small.pixelColor(32, 29).red() > 190


def test_a_thumbnail_is_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200)).save(path, exif=exif)
    small = thumbnails.read_thumbnail(path, 64)
    assert (small.width(), small.height()) == (32, 64)


def test_what_is_no_image_has_no_thumbnail(tmp_path: Path) -> None:
    path = tmp_path / "text.jpg"
    path.write_text("no image")
    assert thumbnails.read_thumbnail(path, 64).isNull()


def test_thumbnails_are_bounded(
    qtbot: QtBot, panel: ImagesPanel, many: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "_MOST_KEPT", 3)
    kept = panel.model.thumbnails
    for path in many[:6]:
        with qtbot.waitSignal(kept.made):
            assert kept.get(path) is None
    assert kept.get(many[5]) is not None
    assert kept.get(many[0]) is None


def test_filter_and_search_narrow_the_list(qtbot: QtBot, panel: ImagesPanel) -> None:
    status = {"a cat.png": "new", "a dog.png": "started", "old cat.png": "done"}
    panel.set_status_source(lambda path: status[path.name])  # type: ignore[arg-type, return-value]
    panel.set_images([Path("/photos") / name for name in status])
    qtbot.keyClicks(panel.search, "CAT")
    assert _names(panel) == ["a cat.png", "old cat.png"]
    qtbot.keyClicks(panel.search, " ol")
    assert _names(panel) == ["old cat.png"]
    panel.search.clear()
    panel.filter.setCurrentText("Started")
    assert _names(panel) == ["a dog.png"]
    panel.mark_failed(Path("/photos/a cat.png"), "It is damaged.")
    panel.filter.setCurrentText("Failed")
    assert _names(panel) == ["a cat.png"]
    assert panel.list.model().index(0, 0).data(Qt.ItemDataRole.ToolTipRole) == "It is damaged."
    panel.search.setText("nothing has this")
    assert "No image matches" in panel.list.hint


def test_steps_through_what_is_shown_and_over_what_failed(panel: ImagesPanel) -> None:
    images = [Path(f"/photos/{number}.png") for number in range(6)]
    chosen: list[Path] = []
    panel.image_chosen.connect(chosen.append)
    panel.set_images(images)
    panel.set_current(images[0])
    panel.mark_failed(images[1], "It is empty.")
    panel.step(1)
    assert panel.current == images[2]
    panel.step(1)  # before the image before was even read
    panel.step(1)
    panel.step(1)
    panel.step(1)
    assert panel.current == images[5]
    panel.search.setText("2")
    panel.step(-1)  # the current image is filtered away: from the end
    assert panel.current == images[2]
    assert chosen == [images[n] for n in (2, 3, 4, 5, 2)]


def test_a_search_ends_with_the_first_match(
    qtbot: QtBot, window: MainWindow, two_photos: list[Path]
) -> None:
    with qtbot.waitSignal(window.session.document_changed):
        window.open_paths([two_photos[0].parent])
    qtbot.keyClick(
        window,
        Qt.Key.Key_F,
        Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
    )
    qtbot.keyClicks(window.images.search, "zebra")
    with qtbot.waitSignal(window.session.document_changed):
        qtbot.keyClick(window.images.search, Qt.Key.Key_Return)
    assert window.session.document is not None
    assert window.session.document.path == two_photos[1]


def test_a_dropped_folder_is_opened_and_remembered(
    qtbot: QtBot, window: MainWindow, two_photos: list[Path]
) -> None:
    dropped = QMimeData()
    dropped.setUrls([QUrl.fromLocalFile(str(two_photos[0].parent))])
    # Over the list, which takes nothing itself.
    over = window.images.list.viewport()
    given = (
        Qt.DropAction.CopyAction,
        dropped,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    entered = QDragEnterEvent(QPoint(30, 30), *given)
    QApplication.sendEvent(over, entered)
    assert entered.isAccepted()
    with qtbot.waitSignal(window.session.document_changed):
        QApplication.sendEvent(over, QDropEvent(QPointF(30, 30), *given))
    assert _names(window.images) == [path.name for path in two_photos]
    assert list(load_recent().values()) == [two_photos[0].parent]


def test_a_recent_project_opens_again(
    qtbot: QtBot, window: MainWindow, two_photos: list[Path]
) -> None:
    add_recent(two_photos[0].with_name("photos.mdlp"))  # without a stroke it has no file
    window.recent.aboutToShow.emit()
    with qtbot.waitSignal(window.session.document_changed):
        window.recent.actions()[0].trigger()
    assert window.session.project.images == two_photos


def test_a_project_file_opens_with_all_images_of_its_folder(
    qtbot: QtBot, window: MainWindow, two_photos: list[Path], drag: Callable[..., None]
) -> None:
    project = two_photos[0].with_name("photos.mdlp")
    _open_and_paint(qtbot, window, two_photos[1], drag)
    window.close()
    again = LabelingSession(device="cpu")
    again.open_paths([project])
    assert sorted(again.project.images) == two_photos
    assert again.project.images[0] == two_photos[1]
    again.close()


def test_a_project_whose_missing_image_is_nowhere_opens_with_the_others(
    qtbot: QtBot, window: MainWindow, two_photos: list[Path], drag: Callable[..., None]
) -> None:
    first, second = two_photos
    _open_and_paint(qtbot, window, second, drag)
    window.close()
    size = second.stat().st_size
    second.unlink()
    other = second.with_name("as large.png")
    other.write_bytes(first.read_bytes()[:size].ljust(size))
    session = LabelingSession(device="cpu")
    with qtbot.waitSignal(session.moved.searched) as searched:
        session.open_paths([first.with_name("photos.mdlp")])
    assert searched.args == [{}, [other, first]]
    assert session.project.images == [other, first]
    assert session.project_path == first.with_name("photos.mdlp")
    session.close()


def test_a_project_of_a_read_only_folder_opens_with_its_images_and_its_name(
    qtbot: QtBot,
    window: MainWindow,
    two_photos: list[Path],
    drag: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, access = two_photos[0].parent, os.access

    def no_writing(path: Path | str, mode: int) -> bool:
        return access(path, mode) and not (Path(path) == folder and mode & os.W_OK)

    monkeypatch.setattr(os, "access", no_writing)
    _open_and_paint(qtbot, window, two_photos[0], drag)
    project = window.session.project_path
    assert project is not None
    assert project.is_file()
    assert project.parent != folder
    window.recent.aboutToShow.emit()
    assert window.recent.actions()[0].text().endswith(str(folder))
    window.close()
    session = LabelingSession(device="cpu")
    session.open_paths([project])
    assert session.project.images == two_photos
    session.close()
    project.unlink()
    again = MainWindow(LabelingSession(device="cpu"))
    qtbot.addWidget(again)
    with qtbot.waitSignal(again.session.document_changed, check_params_cb=bool):
        again.recent.actions()[0].trigger()
    assert again.session.project.images == two_photos
    assert again.session.project_path == project
    again.close()


def _open_and_paint(
    qtbot: QtBot, window: MainWindow, image: Path, drag: Callable[..., None]
) -> None:
    session = window.session
    with qtbot.waitSignal(session.document_changed, check_params_cb=lambda d: d is not None):
        window.open_paths([image])
    session.stored.use_model_classes([LabelClass("thing", (9, 9, 9))])
    window.classes.choose(0)
    drag(window, [(100.0, 100.0), (200.0, 100.0)])
    assert session.journal.store()


def test_an_image_that_cannot_be_opened_stays_with_its_reason(
    qtbot: QtBot, window: MainWindow, rocket: Path
) -> None:
    broken = rocket.with_name("broken.png")
    broken.write_bytes(rocket.read_bytes()[:3000])
    with qtbot.waitSignal(window.session.image_failed):
        window.open_paths([broken, rocket])
    row = window.images.list.model().index(0, 0)
    assert row.data() == "broken.png"
    assert "damaged" in row.data(Qt.ItemDataRole.ToolTipRole)
