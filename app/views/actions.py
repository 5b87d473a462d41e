"""Every action of the window, declared once: text, menu, shortcuts and what it calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
        slot: what it calls.
        group: actions of one group are checkable and exclude each other.
        in_toolbar: whether it stands in the toolbar too.
    """

    name: str
    menu: str
    text: str
    shortcuts: tuple[str, ...]
    slot: Callable[[], object]
    group: str = ""
    in_toolbar: bool = False


def add_actions(
    window: QMainWindow, specs: list[ActionSpec]
) -> tuple[dict[str, QAction], QToolBar]:
    """Build menus and toolbar from the table; return the actions by name, and the toolbar."""
    toolbar = window.addToolBar("Tools")
    toolbar.setObjectName("tools")
    menus: dict[str, QMenu] = {}
    groups: dict[str, QActionGroup] = {}
    actions: dict[str, QAction] = {}
    for spec in specs:
        action = QAction(spec.text, window)
        action.setShortcuts([QKeySequence(keys) for keys in spec.shortcuts])
        # Not the signal itself: it would hand on whether the action is checked.
        action.triggered.connect(lambda _checked=False, slot=spec.slot: slot())
        if spec.shortcuts:
            action.setToolTip(f"{spec.text.replace('&', '')} ({spec.shortcuts[0]})")
        if spec.group:
            action.setCheckable(True)
            groups.setdefault(spec.group, QActionGroup(window)).addAction(action)
        if spec.menu not in menus:
            menus[spec.menu] = window.menuBar().addMenu(spec.menu)
        menus[spec.menu].addAction(action)
        if spec.in_toolbar:
            toolbar.addAction(action)
        actions[spec.name] = action
    return actions, toolbar
