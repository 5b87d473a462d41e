"""The main window: assembles canvas and docks and connects them with the session."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QCloseEvent, QColor, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QDockWidget,
    QFileDialog,
    QLabel,
    QMainWindow,
    QSlider,
    QSpinBox,
    QToolBar,
)

from app.document.document import ImageDocument
from app.inference.messages import GateAnswer, ModelInfo
from app.session import LabelingSession
from app.settings import (
    load_settings,
    load_window_state,
    save_settings,
    save_window_state,
)
from app.views.actions import CLASS_KEYS, add_actions
from app.views.canvas.canvas_view import CanvasView
from app.views.canvas.layers import HeatMapLayer
from app.views.message_bar import MessageBar
from app.views.panels.classes_panel import ClassesPanel
from app.views.panels.gates_panel import GatesPanel
from app.views.panels.images_panel import ImagesPanel
from app.views.panels.learning_panel import LearningPanel
from app.views.tools.brush import Brush
from app.views.tools.eraser import Eraser
from app.views.tools.tool import Tool, ToolOptions
from mdlstm_core.config import LabelClass
from mdlstm_core.data.images import IMAGE_SUFFIXES, Preview

_TITLE = "mdlstm-labeler"


class MainWindow(QMainWindow):
    """The window on one labeling session."""

    def __init__(self, session: LabelingSession) -> None:
        super().__init__()
        self.session = session
        self._settings = load_settings()
        self._options = ToolOptions(self._settings.brush_diameter, 0, QColor(128, 128, 128))
        self._tools: dict[str, Tool] = {"brush": Brush(), "eraser": Eraser()}
        self.canvas = CanvasView(self._tools["brush"], self._options)
        self.messages = MessageBar(self.canvas)
        self.images = ImagesPanel()
        self.classes = ClassesPanel()
        self.learning = LearningPanel(self._settings.learning_seconds)
        self.gates = GatesPanel()
        self._pixel, self._zoom = QLabel(), QLabel()
        self._unsaved = QLabel("⚠ Not stored")
        built = add_actions(self, self._slots())
        self.actions_by_name, self._view_menu = built.by_name, built.menus["&View"]
        self._closing_anyway = False
        self._lay_out()
        self._add_toolbar_fields(built.toolbar)
        self._connect_views()
        self._connect_session()
        self._use_tool("brush")
        self._on_document(session.document)

    def _slots(self) -> dict[str, Callable[[], object]]:
        """Return what each action of the table calls."""
        session, canvas = self.session, self.canvas
        return {
            "open": self._ask_images,
            "open-folder": self._ask_folder,
            "save": session.save,
            "export": self._ask_export,
            "quit": self.close,
            "undo": session.undo,
            "redo": session.redo,
            "abort": canvas.abort_gesture,
            "brush": partial(self._use_tool, "brush"),
            "eraser": partial(self._use_tool, "eraser"),
            "larger": partial(self._resize_brush, 1.25),
            "smaller": partial(self._resize_brush, 0.8),
            "previous": partial(session.step_image, -1),
            "next": partial(session.step_image, 1),
            "fit": canvas.fit,
            "pixels": canvas.zoom_to_pixels,
            "zoom-in": partial(canvas.zoom_by_steps, 1),
            "zoom-out": partial(canvas.zoom_by_steps, -1),
            **{f"class-{n}": partial(self.classes.choose, n - 1) for n in CLASS_KEYS},
            "learn": self.learning.ask,
            "stop": session.stop_learning,
        }

    def _lay_out(self) -> None:
        self.setWindowTitle(_TITLE)
        self.setAcceptDrops(True)
        self.resize(1280, 800)
        self.setCentralWidget(self.canvas)
        left, right = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
        for name, widget, area in (
            ("Images", self.images, left),
            ("Classes", self.classes, right),
            ("Learning", self.learning, right),
            ("Gates", self.gates, right),
        ):
            dock = QDockWidget(name, self)
            dock.setObjectName(name)
            dock.setWidget(widget)
            self.addDockWidget(area, dock)
            self._view_menu.addAction(dock.toggleViewAction())
        self.statusBar().addWidget(self._pixel, stretch=1)
        self._unsaved.setToolTip("Strokes are in memory only; make room on the project's disk")
        self._unsaved.hide()
        self.statusBar().addPermanentWidget(self._unsaved)
        self.statusBar().addPermanentWidget(self._zoom)
        geometry, docks = load_window_state()
        self.restoreGeometry(geometry)
        self.restoreState(docks)

    def _add_toolbar_fields(self, toolbar: QToolBar) -> None:
        self._diameter = QSpinBox()
        self._diameter.setRange(1, 512)
        self._diameter.setValue(self._options.diameter)
        self._diameter.setSuffix(" px")
        self._diameter.setToolTip("Brush size ([ and ])")
        self._diameter.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._opacity = QSlider(Qt.Orientation.Horizontal)
        self._opacity.setRange(0, 100)
        self._opacity.setValue(self._settings.overlay_opacity)
        self._opacity.setToolTip("Opacity of the labels")
        self._opacity.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._opacity.setMaximumWidth(160)
        for label, field in (("  Size ", self._diameter), ("  Labels ", self._opacity)):
            toolbar.addWidget(QLabel(label))
            toolbar.addWidget(field)

    def _connect_views(self) -> None:
        self.canvas.edit_finished.connect(self.session.edit)
        self.canvas.window_chosen.connect(self.session.set_display_window)
        self.canvas.pointer_moved.connect(self._show_pixel)
        self.canvas.zoom_changed.connect(lambda zoom: self._zoom.setText(f"{zoom:.0%}"))
        self.canvas.first_painted.connect(
            self.session.start_model, Qt.ConnectionType.QueuedConnection
        )
        self.canvas.set_opacity(self._opacity.value() / 100)
        self._opacity.valueChanged.connect(lambda value: self.canvas.set_opacity(value / 100))
        self._diameter.valueChanged.connect(self._on_diameter)
        self.images.image_chosen.connect(self.session.open_image)
        self.classes.class_chosen.connect(self._on_class_chosen)
        self.learning.learn_asked.connect(self.session.learn)
        self.learning.stop_asked.connect(self.session.stop_learning)
        self.gates.gate_asked.connect(self.session.show_gate)
        self.gates.hidden.connect(lambda: self.canvas.set_heat_map(None))

    def _connect_session(self) -> None:
        session = self.session
        session.project.images_changed.connect(
            lambda: self.images.set_images(session.project.images)
        )
        session.project.undo_stack.canUndoChanged.connect(self.actions_by_name["undo"].setEnabled)
        session.project.undo_stack.canRedoChanged.connect(self.actions_by_name["redo"].setEnabled)
        self.actions_by_name["undo"].setEnabled(session.project.undo_stack.canUndo())
        self.actions_by_name["redo"].setEnabled(session.project.undo_stack.canRedo())
        session.document_changed.connect(self._on_document)
        session.preview_loaded.connect(self._on_preview)
        session.image_failed.connect(self._on_image_failed)
        session.classes_changed.connect(self._on_classes)
        session.prediction_changed.connect(self._on_prediction)
        session.journal.failed.connect(self._unsaved.show)
        session.journal.stored.connect(self._on_stored)
        session.model_changed.connect(self._on_model)
        session.gate_shown.connect(self._on_gate)
        session.learning_changed.connect(self._on_learning)
        session.progressed.connect(self.learning.show_progress)
        session.said.connect(self.messages.say)
        session.warned.connect(self.messages.warn)

    @Slot(object)
    def _on_document(self, document: ImageDocument | None) -> None:
        self.canvas.set_document(document)
        self.actions_by_name["export"].setEnabled(False)
        self.setWindowTitle(f"{document.path.name} — {_TITLE}" if document else _TITLE)
        self.images.set_current(document.path if document else None)
        if document is not None:
            self.gates.refresh()
            self.canvas.setFocus()

    @Slot(object, object)
    def _on_preview(self, path: Path, preview: Preview) -> None:
        self.canvas.set_preview(path, *preview)

    @Slot()
    def _on_prediction(self) -> None:
        self.actions_by_name["export"].setEnabled(True)

    @Slot(object, str)
    def _on_image_failed(self, image: Path, reason: str) -> None:
        document = self.session.document
        self.canvas.set_document(document)  # in place of a preview
        self.images.mark_failed(image, reason)
        self.images.set_current(document.path if document else None)

    @Slot()
    def _on_stored(self) -> None:
        self._unsaved.hide()
        self._closing_anyway = False

    @Slot(object)
    def _on_classes(self, classes: tuple[LabelClass, ...]) -> None:
        self.classes.set_classes(classes)
        self.canvas.set_classes(classes)

    @Slot(object)
    def _on_model(self, info: ModelInfo | None) -> None:
        self.learning.set_model(info)
        self.gates.set_model(info)

    @Slot(object)
    def _on_gate(self, answer: GateAnswer) -> None:
        document = self.session.document
        if self.gates.is_shown and document and document.path == answer.request.image_path:
            colors = self.gates.show_answer(answer)
            self.canvas.set_heat_map(HeatMapLayer(colors, answer.cell_pixels))

    @Slot(bool)
    def _on_learning(self, learning: bool) -> None:
        self.learning.set_learning(learning)
        self.actions_by_name["stop"].setEnabled(learning)

    @Slot(int)
    def _on_class_chosen(self, label: int) -> None:
        color = QColor(*self.session.classes[label].color)
        self._set_options(dataclasses.replace(self._options, label=label, color=color))

    @Slot(int)
    def _on_diameter(self, diameter: int) -> None:
        self._set_options(dataclasses.replace(self._options, diameter=diameter))

    @Slot(int, int)
    def _show_pixel(self, x: int, y: int) -> None:
        """Say in the status line what is known of the pixel under the pointer."""
        document, classes = self.session.document, self.session.classes
        pixel = document.pixel(x, y) if document else None
        if document is None or pixel is None:
            self._pixel.setText(self._tool.hint)
            return
        red, green, blue = document.image[y, x]
        text = f"x {x}  y {y}  ·  R {red} G {green} B {blue}"
        if pixel.label < len(classes):
            text += f"  ·  {classes[pixel.label].name}"
            text += "  (yours)" if pixel.by_person else f"  (model, {pixel.confidence:.0%} sure)"
        self._pixel.setText(text)

    def _use_tool(self, name: str) -> None:
        self._tool = self._tools[name]
        self.canvas.set_tool(self._tool)
        self.actions_by_name[name].setChecked(True)
        self._pixel.setText(self._tool.hint)

    def _resize_brush(self, factor: float) -> None:
        diameter = self._options.diameter
        resized = round(diameter * factor)
        if resized == diameter:
            resized += 1 if factor > 1 else -1
        self._diameter.setValue(resized)

    def _set_options(self, options: ToolOptions) -> None:
        self._options = options
        self.canvas.set_options(options)

    def _ask_images(self) -> None:
        patterns = " ".join(f"*{suffix}" for suffix in IMAGE_SUFFIXES)
        names, _ = QFileDialog.getOpenFileNames(
            self, "Open images", "", f"Images and projects ({patterns} *.mdlp)"
        )
        self.session.open_paths([Path(name) for name in names])

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Open a folder of images")
        if name:
            self.session.open_paths([Path(name)])

    def _ask_export(self) -> None:
        document = self.session.document
        if document is None:
            return
        # In a folder of its own: beside the photographs it would be opened as one of them.
        folder = document.path.parent / "masks"
        with suppress(OSError):
            folder.mkdir(exist_ok=True)
        proposed = folder / f"{document.path.stem}.png"
        name, _ = QFileDialog.getSaveFileName(self, "Export mask", str(proposed), "PNG (*.png)")
        if name:
            self.session.export_label_map(Path(name).with_suffix(".png"))
        else:
            with suppress(OSError):
                folder.rmdir()  # only if it is empty

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open dropped files and folders."""
        urls = event.mimeData().urls()
        self.session.open_paths([Path(url.toLocalFile()) for url in urls if url.isLocalFile()])

    def closeEvent(self, event: QCloseEvent) -> None:
        """Close, unless strokes could not be stored; a second time closes anyway."""
        self.canvas.finish_gesture()
        if not self.session.journal.store() and not self._closing_anyway:
            self._closing_anyway = True
            self.messages.warn(
                "Some strokes could not be stored. Make room on the project's disk and save "
                "(Ctrl+S); closing once more loses them."
            )
            event.ignore()
            return
        save_window_state(self.saveGeometry(), self.saveState())
        save_settings(
            dataclasses.replace(
                self._settings,
                overlay_opacity=self._opacity.value(),
                brush_diameter=self._options.diameter,
                learning_seconds=self.learning.seconds,
            )
        )
        self.hide()  # at once: learning may need a moment to end
        self.session.close()
        super().closeEvent(event)
