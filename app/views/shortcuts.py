"""The keys of every action: the defaults, and what the user made of them."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction, QKeySequence

from app.settings import load_shortcuts, save_shortcuts

MOST_KEYS = 2
"""Key sequences that an action can have."""


def plain_text(action: QAction) -> str:
    """Return an action's text without the mark of its mnemonic."""
    return action.text().replace("&", "")


class Shortcuts(QObject):
    """Knows and changes the keys of actions; what differs from the default is stored.

    Signals:
        changed: some action has other keys.
    """

    changed = Signal()

    def __init__(self, actions: Mapping[str, QAction], parent: QObject | None = None) -> None:
        """Take the actions by name, with their default keys, and give them the stored ones."""
        super().__init__(parent)
        self._actions = actions
        self._defaults = {name: _texts(action) for name, action in actions.items()}
        for name, keys in load_shortcuts().items():
            if name in actions:
                self._set(name, keys)
        for name in actions:
            self._describe(name)

    @property
    def actions(self) -> Mapping[str, QAction]:
        """The actions by name."""
        return self._actions

    def keys(self, name: str) -> list[str]:
        """Return the key sequences of an action."""
        return _texts(self._actions[name])

    def is_default(self, name: str) -> bool:
        """Say whether an action has the keys it came with."""
        return self.keys(name) == self._defaults[name]

    def conflicts(self, name: str, keys: str) -> list[str]:
        """Return the other actions that a key sequence triggers, or whose keys it begins."""
        return [
            other
            for other in self._actions
            if other != name and any(_clash(keys, taken) for taken in self.keys(other))
        ]

    def assign(self, name: str, place: int, keys: str) -> None:
        """Give an action a key sequence, its first (0) or second (1); empty takes it away.

        Other actions lose what conflicts with it.
        """
        for other in self.conflicts(name, keys) if keys else ():
            kept = [k for k in self.keys(other) if not _clash(k, keys)]
            self._set(other, kept)
            self._describe(other)
        held = [*self.keys(name), "", ""][:MOST_KEYS]
        held[place] = keys
        self._set(name, list(dict.fromkeys(k for k in held if k)))
        self._describe(name)
        self._store()

    def reset(self) -> None:
        """Give every action its default keys."""
        for name, keys in self._defaults.items():
            self._set(name, keys)
            self._describe(name)
        self._store()

    def _set(self, name: str, keys: list[str]) -> None:
        self._actions[name].setShortcuts([QKeySequence(k) for k in keys])

    def _describe(self, name: str) -> None:
        """Name the keys where the pointer rests on the action."""
        action, keys = self._actions[name], self.keys(name)
        shown = QKeySequence(keys[0] if keys else "").toString(
            QKeySequence.SequenceFormat.NativeText
        )
        action.setToolTip(plain_text(action) + (f" ({shown})" if keys else ""))

    def _store(self) -> None:
        save_shortcuts(
            {name: self.keys(name) for name in self._actions if not self.is_default(name)}
        )
        self.changed.emit()


def _texts(action: QAction) -> list[str]:
    return [k.toString(QKeySequence.SequenceFormat.PortableText) for k in action.shortcuts()]


def _clash(one: str, other: str) -> bool:
    none = QKeySequence.SequenceMatch.NoMatch
    first, second = QKeySequence(one), QKeySequence(other)
    return first.matches(second) != none or second.matches(first) != none
