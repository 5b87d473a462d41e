"""The main window: assembles canvas, bars and panels and connects them with the session."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QCloseEvent, QColor, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QMainWindow

from app.document.document import ImageDocument
from app.session import LabelingSession
from app.settings import (
    COLOR_SCHEMES,
    add_recent,
    load_settings,
    load_window_state,
    save_window_state,
)
from app.views.actions import ACTIONS, CLASS_KEYS, ActionSpec, add_actions
from app.views.bars import add_bars
from app.views.canvas.canvas_view import CanvasView
from app.views.dialogs.command_palette import Command, CommandPalette
from app.views.dialogs.file_dialogs import ask_export, ask_folder, ask_images
from app.views.dialogs.shortcuts_dialog import ShortcutsDialog
from app.views.docks import LEFT, RIGHT, Docks, Place
from app.views.exchange_links import exchange_slots
from app.views.gate_links import link_gates, link_heat_maps
from app.views.insight.gates_panel import GatesPanel
from app.views.insight.side_by_side import SideBySide
from app.views.learning_views import LearningViews
from app.views.links import (
    LOOKS,
    link_activity,
    link_canvas,
    link_classes,
    link_images,
    link_live,
    link_look,
    look_slots,
)
from app.views.message_bar import MessageBar
from app.views.model_menu import ModelMenu
from app.views.panels.classes_panel import ClassesPanel
from app.views.panels.images_panel import ImagesPanel
from app.views.panels.learning_panel import LearningPanel
from app.views.recent_menu import RecentMenu
from app.views.shortcuts import Shortcuts
from app.views.status_line import StatusLine
from app.views.theme import Theme
from app.views.tool_options_bar import ToolOptionsBar
from app.views.tools import all_tools
from app.views.where_next import WhereNext
from app.views.workbench_links import keep_settings, link_workbench, workbench_slots
from mdlstm_core.config import LabelClass

_TITLE = "mdlstm-labeler"
_LAYOUT = 2
"""Raised when panels come or go: where another set of them stood says nothing of these."""
_CLASS_BUTTONS = ("class-add", "class-rename", "class-recolor", "class-merge", "class-delete")
_CLASS_MENU = (
    "class-hide",
    "class-solo",
    "class-lock",
    "class-only",
    "class-import",
    "class-export",
)
_NEED_IMAGE = ("fit", "pixels", "zoom-in", "zoom-out", "done", "next-region", *LOOKS)
_NEED_CLASS = (
    *(
        name
        for name in (*_CLASS_BUTTONS, *_CLASS_MENU)
        if name not in ("class-add", "class-import")
    ),
    *(f"class-{n}" for n in CLASS_KEYS),
)


class MainWindow(QMainWindow):
    """The window on one labeling session."""

    def __init__(self, session: LabelingSession) -> None:
        super().__init__()
        self.session = session
        self.settings = settings = load_settings()
        self.theme = Theme(settings.color_scheme, self)
        self._tools = {spec.name: spec for spec in all_tools()}
        self._made = {name: spec.make() for name, spec in self._tools.items()}
        first = next(iter(self._tools))
        self.options_bar = ToolOptionsBar(settings.brush_diameter, settings.overlay_opacity)
        self.canvas = CanvasView(self._made[first], self.options_bar.options)
        self.messages = MessageBar(self.canvas)
        self.images, self.classes = ImagesPanel(), ClassesPanel()
        self.learning = LearningPanel(settings.learning_seconds)
        self.gates, self.beside = GatesPanel(session.insight), SideBySide(self.canvas)
        self.where_next = WhereNext(session, self.canvas)
        self.learning_views = LearningViews(session, self.canvas, self.learning)
        self.status = StatusLine(self.statusBar())
        self.recent, self.models = RecentMenu(), ModelMenu(self)
        self.palette_of_commands = CommandPalette(self)
        self._shortcuts_dialog: ShortcutsDialog | None = None
        self._close_refused_at = -1
        self._pixel = -1, -1
        self._build_actions()
        self._lay_out()
        self._connect_views()
        self._connect_session()
        self._use_tool(first)
        link_workbench(self)
        self._on_document(session.document)
        self.canvas.setFocus()

    def _build_actions(self) -> None:
        """Build the menus: the tools' actions first, then the table's, then the panels'."""
        tools = [
            ActionSpec(
                f"tool-{spec.name}",
                "&Tools",
                spec.text,
                (spec.shortcut,) if spec.shortcut else (),
                spec.icon.removeprefix("mdi6."),
                spec.hint,
                group="tool",
            )
            for spec in self._tools.values()
        ]
        built = add_actions(self, [*tools, *ACTIONS], self._slots())
        self.actions_by_name, self.menu_of = built.by_name, built.menu_of
        built.menus["&File"].insertMenu(built.by_name["save"], self.recent)
        self.docks = Docks(
            self,
            {
                "Images": Place(self.images, LEFT, 760),
                "Classes": Place(self.classes, RIGHT, 380),
                **self.learning_views.places(),
                "Gates": Place(self.gates, LEFT, 760, behind="Images"),
            },
        )
        built.menus["&Model"].addMenu(self.models)
        panels = built.menus["&View/&Panels"]
        for title, action in self.docks.toggle_actions.items():
            panels.addAction(action)
            self.actions_by_name[f"panel-{title.lower()}"] = action
            self.menu_of[f"panel-{title.lower()}"] = "View › Panels"
        self.shortcuts = Shortcuts(self.actions_by_name, self)
        for name in (f"scheme-{self.theme.scheme}", "measure-margin"):
            self.actions_by_name[name].setChecked(True)

    def _slots(self) -> dict[str, Callable[..., object]]:
        """Return what each action of the table calls."""
        session, canvas = self.session, self.canvas
        return {
            **{f"tool-{name}": partial(self._use_tool, name) for name in self._tools},
            **{f"scheme-{name}": partial(self.theme.set_scheme, name) for name in COLOR_SCHEMES},
            "open": lambda: self.open_paths(ask_images(self)),
            "open-folder": lambda: self.open_paths(ask_folder(self)),
            "save": session.stored.save,
            "export": self._ask_export,
            **exchange_slots(self),
            "quit": self.close,
            "undo": self._undo,
            "redo": self._redo,
            "abort": lambda: (canvas.abort_gesture(), canvas.setFocus()),
            "larger": partial(self.options_bar.scale_diameter, 1.25),
            "smaller": partial(self.options_bar.scale_diameter, 0.8),
            **self.classes.slots(),
            **workbench_slots(self),
            "previous": partial(self.images.step, -1),
            "next": partial(self.images.step, 1),
            "done": self.images.ask_done,
            "search": self._search,
            "fit": canvas.fit,
            "pixels": canvas.zoom_to_pixels,
            "zoom-in": partial(canvas.zoom_by_steps, 1),
            "zoom-out": partial(canvas.zoom_by_steps, -1),
            "labels": self.options_bar.set_labels_shown,
            "outlines": lambda on: canvas.set_style(outlines=on, hatching=self._is_on("hatching")),
            "hatching": lambda on: canvas.set_style(outlines=self._is_on("outlines"), hatching=on),
            "rulers": canvas.set_rulers,
            "reset-panels": lambda: self.docks.reset(),
            "uncertainty": self.where_next.set_shown,
            "gates": lambda: self.explorer.toggle(),
            "why": lambda: self.explorer.why(),
            "next-region": self.where_next.go,
            "measure-margin": partial(self.where_next.set_measure, "margin"),
            "measure-entropy": partial(self.where_next.set_measure, "entropy"),
            "live": session.set_live,
            **look_slots(session),
            **self.learning_views.slots(),
            "palette": self._open_palette,
            "shortcuts": self._open_shortcuts,
        }

    def _lay_out(self) -> None:
        self.setWindowTitle(_TITLE)
        self.setAcceptDrops(True)
        self.resize(1280, 800)
        self.setCentralWidget(self.beside)
        tools = [f"tool-{name}" for name in self._tools]
        add_bars(self, self.actions_by_name, tools, self.options_bar)
        actions = self.actions_by_name
        self.classes.add_actions(
            [actions[name] for name in _CLASS_BUTTONS], [actions[name] for name in _CLASS_MENU]
        )
        self.docks.reset()
        geometry, docks = load_window_state()
        self.restoreGeometry(geometry)
        self.restoreState(docks, _LAYOUT)

    def _connect_views(self) -> None:
        link_canvas(self.canvas, self.status.busy, self.session)
        self.canvas.diameter_changed.connect(self.options_bar.set_diameter)
        self.canvas.pointer_moved.connect(self._show_pixel)
        self.canvas.zoom_changed.connect(lambda zoom: self.status.zoom.setText(f"{zoom:.0%}"))
        self.canvas.first_painted.connect(self._start_model, Qt.ConnectionType.QueuedConnection)
        self.options_bar.opacity_changed.connect(lambda o: self.canvas.set_opacity(o / 100))
        self.actions_by_name["labels"].setChecked(True)
        self.options_bar.options_changed.connect(self.canvas.set_options)
        self.images.left.connect(self.canvas.setFocus)
        self.classes.class_chosen.connect(self._on_class_chosen)
        self.recent.chosen.connect(lambda project: self.open_paths([project]))
        self.models.chosen.connect(self.session.use_model)

    def _connect_session(self) -> None:
        session, undo = self.session, self.session.project.undo_stack
        for name, can, changed in (
            ("undo", undo.canUndo(), undo.canUndoChanged),
            ("redo", undo.canRedo(), undo.canRedoChanged),
        ):
            changed.connect(self.actions_by_name[name].setEnabled)
            self.actions_by_name[name].setEnabled(can)
        self.learning_views.set_actions(self.actions_by_name, self.docks)
        session.classes_changed.connect(self._on_classes)
        self._on_classes(session.classes)
        link_classes(self.classes, self.canvas, session)
        link_images(self.images, session)
        link_activity(self.status.busy, session)
        self.explorer = link_gates(session, self.canvas, self.beside, self.gates, self.docks)
        link_heat_maps(self.explorer, self.where_next, self.actions_by_name["uncertainty"])
        link_live(self.actions_by_name["live"], self.learning, self.status, session)
        link_look(self.actions_by_name, self.status.busy, session)
        session.document_changed.connect(self._on_document)
        session.image_failed.connect(self._on_image_failed)
        session.prediction_changed.connect(self._on_prediction)
        session.journal.failed.connect(self.status.unsaved.show)
        session.journal.stored.connect(self._on_stored)
        session.said.connect(self.messages.say)
        session.warned.connect(self.messages.warn)

    def open_paths(self, paths: list[Path]) -> None:
        """Open images, folders or a project, as the session does, and show that it is."""
        if paths:
            self.session.open_paths(paths)
            if (project := self.session.project_path) is not None:
                add_recent(project, next(iter(self.session.stored.folders()), None))

    @Slot()
    def _start_model(self) -> None:
        self.status.busy.begin("model", "Loading the model …")
        self.session.start_model()

    @Slot(object)
    def _on_document(self, document: ImageDocument | None) -> None:
        self.canvas.set_document(document)
        self._enable(_NEED_IMAGE, document is not None)
        self.actions_by_name["export"].setEnabled(False)
        self.setWindowTitle(f"{document.path.name} — {_TITLE}" if document else _TITLE)
        self.images.set_current(document.path if document else None)
        if document is not None:
            self.canvas.setFocus()

    @Slot(object)
    def _on_classes(self, classes: tuple[LabelClass, ...]) -> None:
        self.canvas.set_classes(classes)
        self._enable(_NEED_CLASS, bool(classes))

    @Slot()
    def _on_prediction(self) -> None:
        self.actions_by_name["export"].setEnabled(True)
        self._show_pixel(*self._pixel)

    @Slot(object, str)
    def _on_image_failed(self, image: Path, reason: str) -> None:
        document = self.session.document
        self.canvas.set_document(document)  # in place of a preview
        self.images.mark_failed(image, reason)
        self.images.set_current(document.path if document else None)

    @Slot()
    def _on_stored(self) -> None:
        self.status.unsaved.hide()

    @Slot(int)
    def _on_class_chosen(self, label: int) -> None:
        if (shown := self.classes.current) is not None:
            self.options_bar.set_class(label, QColor(*shown.color))

    @Slot(int, int)
    def _show_pixel(self, x: int, y: int) -> None:
        self._pixel = x, y
        self.status.show_pixel(self.session.document, self.session.classes, x, y)

    def _use_tool(self, name: str) -> None:
        self.canvas.set_tool(self._made[name])
        self.options_bar.show_for(self._tools[name])
        self.actions_by_name[f"tool-{name}"].setChecked(True)
        self.status.hint.setText(self._tools[name].hint)

    def _is_on(self, name: str) -> bool:
        return self.actions_by_name[name].isChecked()

    def _enable(self, names: Iterable[str], enabled: bool) -> None:
        for name in names:
            self.actions_by_name[name].setEnabled(enabled)

    def _undo(self) -> None:
        if not self.canvas.take_back():
            self.session.undo()

    def _redo(self) -> None:
        if self.canvas.may_leave():  # else there is nothing to make again: something new comes
            self.session.redo()

    def _search(self) -> None:
        self.docks.show("Images")
        self.images.begin_search()

    def _open_palette(self) -> None:
        actions = self.actions_by_name.items()
        self.palette_of_commands.open_with(
            Command(self.menu_of[name], action) for name, action in actions if name != "palette"
        )

    def _open_shortcuts(self) -> None:
        if self._shortcuts_dialog is None:
            self._shortcuts_dialog = ShortcutsDialog(self.shortcuts, self.menu_of, self)
        self._shortcuts_dialog.show()
        self._shortcuts_dialog.activateWindow()

    def _ask_export(self) -> None:
        document = self.session.document
        path = ask_export(self, document.path) if document else None
        if path is not None:
            self.status.busy.begin("export", f"Writing {path.name} …")
            self.session.export_label_map(path)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open dropped files and folders."""
        urls = event.mimeData().urls()
        self.open_paths([Path(url.toLocalFile()) for url in urls if url.isLocalFile()])

    def closeEvent(self, event: QCloseEvent) -> None:
        """Close, unless strokes could not be stored; once more with the same ones closes."""
        self.canvas.finish_gesture()
        journal = self.session.journal
        if not journal.store() and self._close_refused_at != journal.last_number:
            self._close_refused_at = journal.last_number
            self.messages.warn(
                "Some strokes could not be stored. Make room on the project's disk and save "
                "(Ctrl+S); closing once more loses them."
            )
            event.ignore()
            return
        save_window_state(self.saveGeometry(), self.saveState(_LAYOUT))
        keep_settings(self)
        self.hide()  # at once: learning may need a moment to end
        self.images.stop()
        self.session.close()
        super().closeEvent(event)
