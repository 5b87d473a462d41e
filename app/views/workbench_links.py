"""What the window keeps between starts, and how it copes with files that are not what they were."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt

from app.settings import load_tools, save_settings, save_tools
from app.views.copy_labels import copy_from_previous
from app.views.dialogs.preferences_dialog import PreferencesDialog
from app.views.panels.image_list import Role

if TYPE_CHECKING:
    from app.views.main_window import MainWindow

_TOOL = "tool-"


def workbench_slots(window: MainWindow) -> dict[str, Callable[..., object]]:
    """Return what the actions of this module's concern call, by their names."""
    return {
        "copy-previous": partial(copy_from_previous, window.session, window.canvas),
        "accept-image": partial(_accept_chosen, window),
        "preferences": partial(_open_preferences, window),
    }


def link_workbench(window: MainWindow) -> None:
    """Set the tools as they were, and show what a project does not allow, with what to do."""
    tool, options = load_tools()
    window.options_bar.restore(options)
    if (chosen := window.actions_by_name.get(_TOOL + tool)) is not None:
        chosen.trigger()
    session, copy = window.session, window.actions_by_name["copy-previous"]

    def show_lock() -> None:
        window.status.read_only.setVisible(session.journal.is_read_only)

    def on_document() -> None:
        window.canvas.set_hint()
        copy.setEnabled(session.document is not None)
        show_lock()

    canvas = window.canvas
    session.image_asked.connect(lambda image: canvas.set_hint(f"Opening {image.name} …"))
    session.image_failed.connect(lambda _image, _reason: canvas.set_hint())
    session.document_changed.connect(on_document)
    session.project.images_changed.connect(show_lock)
    on_document()
    _Refusals(window)


def keep_settings(window: MainWindow) -> None:
    """Store what the user set, for the next start."""
    save_settings(
        dataclasses.replace(
            window.settings,
            overlay_opacity=window.options_bar.opacity,
            brush_diameter=window.options_bar.options.diameter,
            learning_seconds=window.learning.seconds,
            color_scheme=window.theme.scheme,
        )
    )
    chosen = next(
        (n for n, a in window.actions_by_name.items() if n.startswith(_TOOL) and a.isChecked()), ""
    )
    save_tools(chosen.removeprefix(_TOOL), window.options_bar.kept())


class _Refusals(QObject):
    """Offers to take a file that was refused since it is not the one that was labeled."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._failed: Path | None = None
        self._action = window.actions_by_name["accept-image"]
        self._action.setEnabled(False)
        images = window.images.list
        images.addAction(self._action)
        images.selectionModel().currentChanged.connect(self._enable)
        session = window.session
        session.image_failed.connect(self._on_failed)
        session.document_changed.connect(self._enable)
        session.warned.connect(self._offer)  # after the message bar, which shows the reason

    def _on_failed(self, image: Path) -> None:
        self._failed = image
        self._enable()

    def _offer(self) -> None:
        image, self._failed = self._failed, None
        if image is not None and image in self._window.session.stored.files.refused:
            accept = partial(self._window.session.accept_image, image)
            self._window.messages.offer(self._action.text().replace("&", ""), accept)

    def _enable(self) -> None:
        self._action.setEnabled(_refused(self._window) is not None)


def _refused(window: MainWindow) -> Path | None:
    """Return the refused image that is chosen in the list, or else the only one there is."""
    refused = window.session.stored.files.refused
    index = window.images.list.currentIndex()
    chosen = index.data(Role.PATH) if index.isValid() else None
    if chosen in refused:
        return Path(chosen)
    return next(iter(refused)) if len(refused) == 1 else None


def _accept_chosen(window: MainWindow) -> None:
    image = _refused(window)
    if image is not None:
        window.session.accept_image(image)


def _open_preferences(window: MainWindow) -> None:
    dialog = PreferencesDialog(
        window.settings, window.theme.scheme, window.session.project.undo_stack.stored_bytes, window
    )
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

    def on_history(megabytes: int) -> None:
        window.settings = dataclasses.replace(window.settings, history_mb=megabytes)
        window.session.stored.limit_history(megabytes << 20)

    def on_device(device: str) -> None:
        window.settings = dataclasses.replace(window.settings, device=device)

    dialog.history_chosen.connect(on_history)
    dialog.device_chosen.connect(on_device)
    dialog.scheme_chosen.connect(lambda name: window.actions_by_name[f"scheme-{name}"].trigger())
    dialog.open()
