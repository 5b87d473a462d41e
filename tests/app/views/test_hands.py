"""Every action is found, has its keys, and the keys are the user's to change."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QKeySequenceEdit, QMenu
from pytestqt.qtbot import QtBot

from app.session import LabelingSession
from app.settings import load_shortcuts
from app.views.actions import ACTIONS
from app.views.dialogs.command_palette import Command, CommandPalette
from app.views.dialogs.shortcuts_dialog import ShortcutsDialog
from app.views.icons import glyph
from app.views.main_window import MainWindow
from app.views.shortcuts import Shortcuts
from app.views.tools import all_tools

CONTROL = Qt.KeyboardModifier.ControlModifier


def _in_menus(menu: QMenu) -> list[QAction]:
    found = []
    for action in menu.actions():
        inner = action.menu()
        found += _in_menus(inner) if isinstance(inner, QMenu) else [action]
    return found


@pytest.fixture
def dialog(qtbot: QtBot, window: MainWindow) -> ShortcutsDialog:
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window, Qt.Key.Key_F1)
    dialog = window.findChild(ShortcutsDialog)
    assert isinstance(dialog, ShortcutsDialog)
    return dialog


def _press(qtbot: QtBot, dialog: ShortcutsDialog, name: str, column: int, key: Qt.Key) -> None:
    """Double-click a cell of the list and press a key."""
    item = dialog.item(name)
    dialog.list.scrollToItem(item)
    place = dialog.list.visualItemRect(item).center()
    place.setX(dialog.list.header().sectionViewportPosition(column) + 20)
    viewport = dialog.list.viewport()
    qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseDClick(viewport, Qt.MouseButton.LeftButton, pos=place)
    editor = dialog.list.findChild(QKeySequenceEdit)
    assert isinstance(editor, QKeySequenceEdit)
    with qtbot.waitSignal(editor.editingFinished):
        qtbot.keyClick(editor, key)
    qtbot.waitUntil(lambda: dialog.list.findChild(QKeySequenceEdit) is None)


def test_every_action_stands_in_a_menu(window: MainWindow) -> None:
    shown = []
    for action in window.menuBar().actions():
        menu = action.menu()
        assert isinstance(menu, QMenu)
        shown += _in_menus(menu)
    assert set(window.actions_by_name.values()) <= set(shown)
    assert {spec.name for spec in ACTIONS} <= set(window.actions_by_name)


def test_no_two_actions_share_a_key(window: MainWindow) -> None:
    for name in window.actions_by_name:
        for keys in window.shortcuts.keys(name):
            assert window.shortcuts.conflicts(name, keys) == [], keys


def test_the_conventions_hold(window: MainWindow) -> None:
    expected = {
        "previous": "A",
        "next": "D",
        "undo": "Ctrl+Z",
        "redo": "Ctrl+Y",
        "larger": "]",
        "smaller": "[",
        "fit": "Ctrl+F",
        "abort": "Esc",
        "tool-brush": "B",
        "tool-eraser": "E",
        "class-1": "1",
        "class-10": "0",
        "palette": "Ctrl+K",
    }
    assert {n: k for n, k in expected.items() if k not in window.shortcuts.keys(n)} == {}


def test_every_icon_is_in_the_font() -> None:
    names = [spec.icon for spec in ACTIONS if spec.icon]
    names += [tool.icon.removeprefix("mdi6.") for tool in all_tools()]
    assert all(len(glyph(name)) == 1 for name in names)
    with pytest.raises(KeyError):
        glyph("no-such-icon")


def test_the_palette_finds_an_action_and_enter_runs_it(qtbot: QtBot, window: MainWindow) -> None:
    assert window.actions_by_name["tool-brush"].isChecked()
    qtbot.keyClick(window, Qt.Key.Key_K, CONTROL)
    palette = window.palette_of_commands
    assert palette.isVisible()
    qtbot.keyClicks(palette.field, "eras")
    assert palette.shown_texts()[0] == "Tools › Eraser"
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert not palette.isVisible()
    assert window.actions_by_name["tool-eraser"].isChecked()
    # The arrows move; what cannot be done now is shown, but does nothing.
    qtbot.keyClick(window, Qt.Key.Key_K, CONTROL)
    qtbot.keyClicks(palette.field, "tools")
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    second = palette.shown_texts()[1]
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    texts = {f"Tools › {spec.text.replace('&', '')}": spec.name for spec in all_tools()}
    assert window.actions_by_name[f"tool-{texts[second]}"].isChecked()
    qtbot.keyClick(window, Qt.Key.Key_K, CONTROL)
    qtbot.keyClicks(palette.field, "export mask")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert palette.isVisible()
    palette.hide()


@pytest.mark.parametrize(
    ("typed", "best"),
    [
        ("fit", "View › Fit to window"),
        ("wind fit", "View › Fit to window"),
        ("zi", "View › Zoom in"),
    ],
)
def test_what_is_typed_need_not_be_whole(
    qtbot: QtBot, window: MainWindow, typed: str, best: str
) -> None:
    palette = CommandPalette(window)
    texts = ("Zoom in", "Fit to window", "Actual pixels")
    palette.open_with(Command("View", QAction(text, palette)) for text in texts)
    qtbot.keyClicks(palette.field, typed)
    assert palette.shown_texts()[0] == best
    palette.hide()


def test_a_changed_key_works_at_once_and_after_a_restart(
    qtbot: QtBot, window: MainWindow, dialog: ShortcutsDialog
) -> None:
    _press(qtbot, dialog, "tool-eraser", 1, Qt.Key.Key_F9)
    dialog.close()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window, Qt.Key.Key_F9)
    assert window.actions_by_name["tool-eraser"].isChecked()
    assert "F9" in window.actions_by_name["tool-eraser"].toolTip()
    other = LabelingSession(device="cpu")
    again = MainWindow(other)
    qtbot.addWidget(again)
    assert again.shortcuts.keys("tool-eraser") == ["F9"]
    again.shortcuts.reset()
    assert again.shortcuts.keys("tool-eraser") == ["E"]
    assert load_shortcuts() == {}


def test_a_conflict_is_told_before_a_key_changes_hands(
    qtbot: QtBot, window: MainWindow, dialog: ShortcutsDialog
) -> None:
    _press(qtbot, dialog, "tool-eraser", 2, Qt.Key.Key_B)
    assert "B already belongs to “Brush”" in dialog.message.text()
    assert window.shortcuts.keys("tool-eraser") == ["E"]
    qtbot.mouseClick(dialog.take, Qt.MouseButton.LeftButton)
    assert window.shortcuts.keys("tool-eraser") == ["E", "B"]
    assert window.shortcuts.keys("tool-brush") == []
    assert dialog.item("tool-brush").text(1) == ""
    qtbot.mouseClick(dialog.reset, Qt.MouseButton.LeftButton)
    assert window.shortcuts.keys("tool-brush") == ["B"]
    assert window.shortcuts.keys("tool-eraser") == ["E"]


def test_the_list_of_shortcuts_is_searched(qtbot: QtBot, dialog: ShortcutsDialog) -> None:
    qtbot.keyClicks(dialog.search, "ctrl+z")
    shown = [
        item.text(0)
        for row in range(dialog.list.topLevelItemCount())
        if (item := dialog.list.topLevelItem(row)) is not None and not item.isHidden()
    ]
    assert "Edit › Undo" in shown
    assert len(shown) <= 2


def test_the_beginning_of_longer_keys_is_a_conflict(qtbot: QtBot) -> None:
    first, second = QAction("&First"), QAction("&Second")
    first.setShortcuts([QKeySequence("Ctrl+K, Ctrl+S")])
    shortcuts = Shortcuts({"first": first, "second": second})
    assert shortcuts.conflicts("second", "Ctrl+K") == ["first"]
    assert shortcuts.conflicts("second", "Ctrl+S") == []


def test_the_status_line_says_what_the_tool_does(qtbot: QtBot, window: MainWindow) -> None:
    for spec in all_tools():
        window.actions_by_name[f"tool-{spec.name}"].trigger()
        assert window.status.hint.text() == spec.hint
        assert spec.hint


def test_the_bar_shows_what_the_tool_uses(window: MainWindow) -> None:
    for spec in all_tools():
        window.actions_by_name[f"tool-{spec.name}"].trigger()
        shown = {n for n, (_, field) in window.options_bar._shown.items() if field.isVisible()}
        assert shown == set(spec.options)


def test_letters_are_shortcuts_unless_one_types(qtbot: QtBot, window: MainWindow) -> None:
    window.images.search.setFocus()
    qtbot.keyClicks(window.images.search, "e")
    assert window.images.search.text() == "e"
    assert window.actions_by_name["tool-brush"].isChecked()
    qtbot.keyClick(window.images.search, Qt.Key.Key_Escape)
    assert window.canvas.hasFocus()
    qtbot.keyClick(window.canvas, Qt.Key.Key_E)
    assert window.actions_by_name["tool-eraser"].isChecked()


def test_labels_are_put_away_for_a_look(qtbot: QtBot, labeled_window: MainWindow) -> None:
    canvas = labeled_window.canvas
    labeled = canvas.grab().toImage()
    qtbot.keyClick(labeled_window, Qt.Key.Key_V)
    plain = canvas.grab().toImage()
    assert plain != labeled
    labeled_window.options_bar._opacity.setValue(0)
    qtbot.keyClick(labeled_window, Qt.Key.Key_V)
    assert canvas.grab().toImage() == plain
