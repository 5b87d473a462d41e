"""The panel of classes says what the user asks for, by mouse and keys."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from app.views.main_window import MainWindow
from app.views.panels.class_list import Button, ClassRow, button_area
from app.views.panels.classes_panel import ClassesPanel
from mdlstm_core.config import IGNORE_INDEX

# Labels that are not places: classes were reordered, one was deleted.
CLASSES = (
    ClassRow(4, "sky", (86, 180, 233)),
    ClassRow(0, "tree", (0, 158, 115), locked=True),
    ClassRow(2, "road", (153, 153, 153), hidden=True),
)


@pytest.fixture
def panel(qtbot: QtBot) -> ClassesPanel:
    panel = ClassesPanel()
    qtbot.addWidget(panel)
    panel.resize(260, 300)
    panel.set_classes(CLASSES)
    panel.show()
    return panel


def _place(panel: ClassesPanel, row: int, button: Button | None = None) -> QPoint:
    area = panel.list.visualRect(panel.model.index(row))
    return button_area(area, button).center() if button is not None else area.center()


def _click(
    qtbot: QtBot, panel: ClassesPanel, row: int, button: Button | None = None, *, alt: bool = False
) -> None:
    held = Qt.KeyboardModifier.AltModifier if alt else Qt.KeyboardModifier.NoModifier
    place = _place(panel, row, button)
    qtbot.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, held, place)


def test_a_click_chooses_by_label(qtbot: QtBot, panel: ClassesPanel) -> None:
    with qtbot.waitSignal(panel.class_chosen) as chosen:
        _click(qtbot, panel, 2)
    assert chosen.args == [2]
    with qtbot.waitSignal(panel.class_chosen) as chosen:
        panel.choose(0)
    assert chosen.args == [4]


def test_the_chosen_class_stays_chosen_when_the_order_changes(panel: ClassesPanel) -> None:
    panel.choose(2)
    panel.set_classes(CLASSES[::-1])
    assert panel.current == CLASSES[2]
    panel.set_classes(CLASSES[:2])
    assert panel.current in CLASSES[:2]


@pytest.mark.parametrize("row", [0, 1, 2])
def test_eye_and_lock_ask_for_the_other_state(qtbot: QtBot, panel: ClassesPanel, row: int) -> None:
    shown = CLASSES[row]
    with qtbot.waitSignal(panel.hide_asked) as asked:
        _click(qtbot, panel, row, Button.EYE)
    assert asked.args == [shown.label, not shown.hidden]
    with qtbot.waitSignal(panel.lock_asked) as asked:
        _click(qtbot, panel, row, Button.LOCK)
    assert asked.args == [shown.label, not shown.locked]


def test_alt_on_the_eye_shows_a_class_alone(qtbot: QtBot, panel: ClassesPanel) -> None:
    solos: list[object] = []
    panel.solo_changed.connect(solos.append)
    hidden: list[object] = []
    panel.hide_asked.connect(lambda *asked: hidden.append(asked))
    _click(qtbot, panel, 2, Button.EYE, alt=True)
    assert [panel.model.is_visible(c) for c in CLASSES] == [False, False, True]
    _click(qtbot, panel, 0, Button.EYE)  # a plain click ends it
    _click(qtbot, panel, 1, Button.EYE, alt=True)
    panel.set_classes(CLASSES[:1])  # the class is gone
    assert solos == [2, None, 0, None]
    assert hidden == []


def test_a_name_is_changed_in_place(qtbot: QtBot, panel: ClassesPanel) -> None:
    viewport = panel.list.viewport()
    place = _place(panel, 1)
    qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseDClick(viewport, Qt.MouseButton.LeftButton, pos=place)
    editor = panel.list.findChild(QLineEdit)
    assert isinstance(editor, QLineEdit)
    assert editor.text() == "tree"
    qtbot.keyClicks(editor, "wood")
    with qtbot.waitSignal(panel.rename_asked) as asked:
        qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert asked.args == [0, "wood"]
    # The name is the project's: it shows when the classes come back with it.
    assert panel.model.index(1).data() == "tree"


@pytest.mark.parametrize(
    ("source", "before", "label", "place"), [(0, 3, 4, 2), (2, 0, 2, 0), (0, 2, 4, 1), (1, 0, 0, 0)]
)
def test_dragging_asks_for_another_order(
    qtbot: QtBot, panel: ClassesPanel, source: int, before: int, label: int, place: int
) -> None:
    carried = panel.model.mimeData([panel.model.index(source)])
    row = panel.list.visualRect(panel.model.index(min(before, 2)))
    edge = row.top() + 1 if before < 3 else row.bottom()
    drop = QDropEvent(
        QPointF(row.center().x(), edge),
        Qt.DropAction.MoveAction,
        carried,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
        QEvent.Type.Drop,
    )
    with qtbot.waitSignal(panel.move_asked) as asked:
        panel.model.dropMimeData(carried, drop.dropAction(), before, 0, panel.list.rootIndex())
    assert asked.args == [label, place]
    assert panel.model.classes == CLASSES


def test_a_row_dropped_where_it_was_asks_nothing(panel: ClassesPanel) -> None:
    asked: list[object] = []
    panel.move_asked.connect(lambda *given: asked.append(given))
    carried = panel.model.mimeData([panel.model.index(1)])
    for before in (1, 2):
        panel.model.dropMimeData(
            carried, Qt.DropAction.MoveAction, before, 0, panel.list.rootIndex()
        )
    assert asked == []


def test_deleting_asks_where_the_pixels_go(qtbot: QtBot, panel: ClassesPanel) -> None:
    panel.choose(1)
    for text, target in (("Unlabeled", None), ("sky", 4), ("road", 2)):
        panel.ask_delete()
        assert panel.menu is not None
        (action,) = [a for a in panel.menu.actions() if a.text() == text]
        with qtbot.waitSignal(panel.delete_asked) as asked:
            action.trigger()
        assert asked.args == [0, target]
        panel.menu.close()


def test_merging_asks_into_which_class(qtbot: QtBot, panel: ClassesPanel) -> None:
    panel.choose(0)
    panel.ask_merge()
    assert panel.menu is not None
    assert [a.text() for a in panel.menu.actions() if a.isEnabled() and a.text()] == [
        "tree",
        "road",
    ]
    with qtbot.waitSignal(panel.merge_asked) as asked:
        panel.menu.actions()[-1].trigger()
    assert asked.args == [4, 2]
    panel.menu.close()


def test_painting_is_kept_to_classes(panel: ClassesPanel) -> None:
    only: list[object] = []
    panel.only_changed.connect(only.append)
    panel.choose(0)
    panel.toggle_only()
    panel.set_only_unlabeled(True)
    panel.set_classes(CLASSES[1:])  # the class is gone
    panel.set_only_unlabeled(False)
    assert only == [{4}, {4, IGNORE_INDEX}, {IGNORE_INDEX}, None]


def test_without_classes_the_panel_says_what_to_do(qtbot: QtBot, window: MainWindow) -> None:
    window.session.classes_changed.emit(())
    QApplication.processEvents()
    assert "Open an image" in window.classes.list.hint
    assert not window.actions_by_name["class-rename"].isEnabled()
    assert window.actions_by_name["class-add"].isEnabled()


def test_digits_choose_the_first_ten(qtbot: QtBot, window: MainWindow) -> None:
    rows = tuple(ClassRow(n, f"class {n}", (n, n, n)) for n in range(11))
    window.actions_by_name["class-1"].setEnabled(True)
    window.classes.set_classes(rows)
    for n in range(1, 11):
        window.actions_by_name[f"class-{n}"].setEnabled(True)
    for digit, label in (("9", 8), ("0", 9), ("1", 0)):
        qtbot.keyClick(window, getattr(Qt.Key, f"Key_{digit}"))
        assert window.classes.current == rows[label]
        assert window.options_bar.options.label == label
