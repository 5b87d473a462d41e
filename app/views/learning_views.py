"""The panels around a training: learning, what it changed, and the timeline of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from PySide6.QtCore import QObject, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFileDialog

from app.document.changes import ChangedRegion
from app.inference.messages import Learned, ModelInfo
from app.session import LabelingSession
from app.storage.changes import CheckpointRow
from app.views.canvas.canvas_view import CanvasView
from app.views.canvas.marks import Marks
from app.views.dialogs.file_dialogs import ask_file_to_write
from app.views.docks import RIGHT, Docks, Place
from app.views.panels.changes_panel import ChangesPanel
from app.views.panels.figures_text import read_measured
from app.views.panels.learning_panel import LearningPanel
from app.views.panels.timeline_panel import TimelinePanel
from app.views.timeline_pictures import TimelinePictures
from mdlstm_core.config import LabelClass
from mdlstm_core.errors import InputError

_CHANGE_ACTIONS = (
    "change-previous",
    "change-next",
    "change-accept",
    "change-refuse",
    "changes-accept",
    "changes-refuse",
)
_NOT_LEARNED = "No figures: strokes are set aside for models that learn here."

_MODEL_FILES = "Models (*.safetensors)"


class LearningViews(QObject):
    """Connects the panels of learning, changes and the timeline with a session.

    Attributes:
        changes, timeline: the panels.
    """

    def __init__(
        self, session: LabelingSession, canvas: CanvasView, learning: LearningPanel
    ) -> None:
        super().__init__(canvas)
        self.changes, self.timeline = ChangesPanel(), TimelinePanel()
        self._session, self._canvas, self._learning = session, canvas, learning
        self._actions: Mapping[str, QAction] = {}
        self._is_learning = self._are_changes_seen = False
        self._pictures = TimelinePictures(session, self)
        self._learned: Learned | None = None
        self._told: int | None = None
        self._serving: CheckpointRow | None = None
        self._link_learning()
        self._link_changes()
        self._link_timeline()

    def places(self) -> dict[str, Place]:
        """Return where the panels stand."""
        return {
            "Learning": Place(self._learning, RIGHT, 330),
            "Changes": Place(self.changes, RIGHT, behind="Learning"),
            "Timeline": Place(self.timeline, RIGHT, behind="Learning"),
        }

    def slots(self) -> dict[str, Callable[..., object]]:
        """Return what each action calls."""
        review = self._session.review.changes
        return {
            "learn": self._learning.ask,
            "stop": self._learning.ask_stop,
            "cancel": self._learning.ask_cancel,
            "change-previous": lambda: review.step(-1),
            "change-next": lambda: review.step(1),
            "change-accept": review.accept,
            "change-refuse": review.refuse,
            "changes-accept": review.accept_all,
            "changes-refuse": review.refuse_all,
        }

    def set_actions(self, actions: Mapping[str, QAction], docks: Docks) -> None:
        """Take the window's actions, by name, which are on while they can do something."""
        self._actions = actions
        self.changes.add_actions([actions[name] for name in _CHANGE_ACTIONS])
        docks.watch("Changes", self._on_changes_seen)
        self._enable()
        self._show_changes()

    def _link_learning(self) -> None:
        session, panel = self._session, self._learning
        panel.learn_asked.connect(session.learn)
        panel.stop_asked.connect(session.teacher.stop)
        panel.cancel_asked.connect(session.teacher.cancel)
        session.model_changed.connect(self._on_model)
        session.learning_changed.connect(self._on_learning)
        session.progressed.connect(panel.show_progress)
        session.teacher.learned.connect(self._on_learned)
        session.teacher.timeline.let_go.connect(self._on_let_go)

    def _link_changes(self) -> None:
        review, session = self._session.review.changes, self._session
        review.changed.connect(self._show_changes)
        review.counted.connect(self._show_counts)
        review.current_changed.connect(self._show_region)
        session.classes_changed.connect(self._on_classes)
        session.project.images_changed.connect(self._show_counts)
        self.changes.image_chosen.connect(session.open_image)
        self._on_classes(session.classes)

    def _link_timeline(self) -> None:
        teacher, panel = self._session.teacher, self.timeline
        teacher.timeline.changed.connect(self._on_timeline)
        self._session.classes_changed.connect(self._show_timeline)
        panel.back_asked.connect(lambda number: self._do(lambda: teacher.go_back(number)))
        panel.compare_asked.connect(self._compare)
        panel.export_asked.connect(self._export)
        panel.import_asked.connect(self._import)
        self._show_timeline()

    def _enable(self) -> None:
        names = {"stop": self._is_learning, "cancel": self._is_learning}
        names["learn"] = self._session.model is not None and not self._is_learning
        for name, enabled in names.items():
            if name in self._actions:
                self._actions[name].setEnabled(enabled)

    @Slot(object)
    def _on_model(self, info: ModelInfo | None) -> None:
        self._learning.set_model(info)
        self._enable()
        if info is None:
            self._learned = self._told = self._serving = None
            self._learning.forget()
        elif self._session.teacher.settled_source is not None:
            self._show_serving(self._session.teacher.serving)

    @Slot(bool)
    def _on_learning(self, learning: bool) -> None:
        self._is_learning = learning
        self._learning.set_learning(learning)
        self._enable()

    @Slot(object)
    def _on_learned(self, learned: Learned) -> None:
        self._learned = learned
        self._learning.show_storing()

    @Slot(str, str)
    def _on_let_go(self, origin: str, _reason: str) -> None:
        if origin == "learned":
            self._learned = None
            self._learning.show_not_stored()

    def _show_serving(self, row: CheckpointRow | None) -> None:
        """Show the figures of the checkpoint that serves, and where it is from."""
        number = row.number if row else None
        if number != self._told:
            self._told = number
            if not self._is_learning:
                self._learning.show_checkpoint(row)
        self._serving = row
        self._show_figures()

    def _show_figures(self) -> None:
        row = self._serving
        if row is None:
            self._learning.figures.say("")
        elif row.origin == "learned":
            classes = self._session.stored.classes_of_models
            self._learning.figures.show_measured(read_measured(row.figures, classes))
        else:
            self._learning.figures.say(_NOT_LEARNED)

    @Slot(object)
    def _on_classes(self, classes: tuple[LabelClass, ...]) -> None:
        self.changes.set_classes(classes)
        self._show_figures()

    @Slot()
    def _show_changes(self) -> None:
        self._show_counts()
        self._draw_marks()

    @Slot()
    def _show_counts(self) -> None:
        review = self._session.review.changes
        compared = review.compared if review.models is not None else None
        images = len(self._session.project.images)
        self.changes.show_changes(review.counts(), review.images(), compared, images)
        self._show_place()

    @Slot(object)
    def _show_region(self, region: ChangedRegion | None) -> None:
        self._show_place()
        self._draw_marks()
        if region is not None:
            self._canvas.show_box(region.region.box)

    def _show_place(self) -> None:
        review = self._session.review.changes
        count = len(review.regions())
        self.changes.set_region(review.current, review.place, count)
        for name in _CHANGE_ACTIONS:
            if name in self._actions:
                needs_region = name in ("change-accept", "change-refuse")
                able = review.current is not None if needs_region else count > 0
                self._actions[name].setEnabled(able or name == "change-next")

    @Slot(bool)
    def _on_changes_seen(self, seen: bool) -> None:
        self._are_changes_seen = seen
        self._draw_marks()

    def _draw_marks(self) -> None:
        """Outline the open regions while the panel is looked at, or one is stepped to."""
        review = self._session.review.changes
        current = review.current
        if current is None and not self._are_changes_seen:
            self._canvas.set_marks(None)
            return
        others = [found.region for found in review.regions() if found is not current]
        self._canvas.set_marks(Marks(others, current.region if current else None))

    @Slot()
    def _on_timeline(self) -> None:
        timeline = self._session.teacher.timeline
        self._show_timeline()
        if self._learned is not None and not timeline.is_storing and timeline.rows:
            self._learning.show_learned(self._learned)
            self._learned, self._told = None, timeline.rows[-1].number
        elif timeline.roles is not None and timeline.roles.learned != self._told:
            row = self._session.teacher.serving
            if row is not None:  # else it is being loaded
                self._show_serving(row)

    @Slot()
    def _show_timeline(self) -> None:
        timeline = self._session.teacher.timeline
        serving = timeline.roles.learned if timeline.roles else None
        classes = self._session.stored.classes_of_models
        self.timeline.show_rows(timeline.rows, serving, classes)

    def _compare(self, first: int, second: int) -> None:
        self._session.teacher.timeline.read((first, second), self._session.review.compare)

    def _export(self, number: int) -> None:
        proposed = Path(f"model-{number}.safetensors")
        window = self._canvas.window()
        path = ask_file_to_write(window, "Export a model", proposed, _MODEL_FILES)
        if path is not None:
            self._session.teacher.timeline.export(number, path)

    def _import(self) -> None:
        name, _ = QFileDialog.getOpenFileName(
            self._canvas.window(), "Import a model", "", _MODEL_FILES
        )
        if name:
            self._do(lambda: self._session.teacher.use(Path(name), keep=True))

    def _do(self, work: Callable[[], object]) -> None:
        """Do something that changes the project; say why it cannot be done."""
        try:
            self._session.stored.check_writable()
            work()
        except InputError as error:
            self._session.warned.emit(str(error))
