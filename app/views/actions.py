"""Every action of the window, declared once, as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu, QToolBar


@dataclass(frozen=True)
class ActionSpec:
    """One action.

    Attributes:
        name: unique, by which the action is found again.
        menu: the menu it stands in.
        text: as the menu shows it.
        shortcuts: any of them triggers it.
        group: actions of one group are checkable and exclude each other.
        in_toolbar: whether it stands in the toolbar too.
    """

    name: str
    menu: str
    text: str
    shortcuts: tuple[str, ...]
    group: str = ""
    in_toolbar: bool = False


class Actions(NamedTuple):
    """What was built: actions by name, menus by text, and the toolbar."""

    by_name: dict[str, QAction]
    menus: dict[str, QMenu]
    toolbar: QToolBar


CLASS_KEYS = range(1, 10)
"""Digits that choose a class."""

ACTIONS = (
    ActionSpec("open", "&File", "&Open images …", ("Ctrl+O",), in_toolbar=True),
    ActionSpec("open-folder", "&File", "Open &folder …", ("Ctrl+Shift+O",)),
    ActionSpec("save", "&File", "&Save", ("Ctrl+S",)),
    ActionSpec("export", "&File", "&Export mask …", ("Ctrl+E",), in_toolbar=True),
    ActionSpec("quit", "&File", "&Quit", ("Ctrl+Q",)),
    ActionSpec("undo", "&Edit", "&Undo", ("Ctrl+Z",), in_toolbar=True),
    ActionSpec("redo", "&Edit", "&Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), in_toolbar=True),
    ActionSpec("abort", "&Edit", "&Drop the stroke under way", ("Esc",)),
    ActionSpec("brush", "&Tools", "&Brush", ("B",), group="tool", in_toolbar=True),
    ActionSpec("eraser", "&Tools", "&Eraser", ("E",), group="tool", in_toolbar=True),
    ActionSpec("larger", "&Tools", "&Larger brush", ("]",)),
    ActionSpec("smaller", "&Tools", "&Smaller brush", ("[",)),
    ActionSpec("previous", "&Image", "&Previous image", ("A", "PgUp")),
    ActionSpec("next", "&Image", "&Next image", ("D", "PgDown")),
    ActionSpec("fit", "&View", "&Fit to window", ("Ctrl+F", "Ctrl+0")),
    ActionSpec("pixels", "&View", "&Actual pixels", ("Ctrl+1",)),
    ActionSpec("zoom-in", "&View", "Zoom &in", ("Ctrl++", "Ctrl+=")),
    ActionSpec("zoom-out", "&View", "Zoom &out", ("Ctrl+-",)),
    *(ActionSpec(f"class-{n}", "&Classes", f"Paint class {n}", (str(n),)) for n in CLASS_KEYS),
    ActionSpec("learn", "&Model", "&Learn from corrections", ("L",)),
    ActionSpec("stop", "&Model", "&Stop learning", ("Shift+L",)),
)


def add_actions(window: QMainWindow, slots: Mapping[str, Callable[[], object]]) -> Actions:
    """Build menus and toolbar from the table.

    Args:
        window: where they are added.
        slots: what each action of the table calls.
    """
    toolbar = window.addToolBar("Tools")
    toolbar.setObjectName("tools")
    menus: dict[str, QMenu] = {}
    groups: dict[str, QActionGroup] = {}
    actions: dict[str, QAction] = {}
    for spec in ACTIONS:
        action = _build(spec, window, slots[spec.name])
        if spec.group:
            action.setCheckable(True)
            groups.setdefault(spec.group, QActionGroup(window)).addAction(action)
        if spec.menu not in menus:
            menus[spec.menu] = window.menuBar().addMenu(spec.menu)
        menus[spec.menu].addAction(action)
        if spec.in_toolbar:
            toolbar.addAction(action)
        actions[spec.name] = action
    return Actions(actions, menus, toolbar)


def _build(spec: ActionSpec, window: QMainWindow, slot: Callable[[], object]) -> QAction:
    action = QAction(spec.text, window)
    action.setShortcuts([QKeySequence(keys) for keys in spec.shortcuts])
    action.setToolTip(f"{spec.text.replace('&', '')} ({spec.shortcuts[0]})")
    # Not the slot itself: the signal would hand on whether the action is checked.
    action.triggered.connect(lambda _checked=False: slot())
    return action
