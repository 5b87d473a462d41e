"""What the panel of classes asks for, done on the project's table of classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Slot

from app.document.class_table import ClassTable
from app.session import LabelingSession
from app.views.panels.class_start import ClassStart
from app.views.panels.classes_panel import ClassesPanel
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.formats.class_lists import read_class_list, save_class_list


class ClassEdits(QObject):
    """Connects a panel with a session."""

    def __init__(self, panel: ClassesPanel, session: LabelingSession) -> None:
        super().__init__(panel)
        self._panel, self._session = panel, session
        panel.add_asked.connect(self._add)
        panel.rename_asked.connect(self._rename)
        panel.recolor_asked.connect(self._recolor)
        panel.move_asked.connect(self._move)
        panel.hide_asked.connect(self._hide)
        panel.lock_asked.connect(self._lock)
        panel.only_changed.connect(self._paint_only)
        panel.merge_asked.connect(session.merge_class)
        panel.delete_asked.connect(self._delete)
        panel.import_asked.connect(self._import)
        panel.export_asked.connect(self._export)
        session.project.classes_changed.connect(self._show)
        self._start = ClassStart()
        self._settled: Path | None = None
        panel.add_start(self._start)
        self._start.model_chosen.connect(self._keep_models)
        self._start.list_chosen.connect(panel.ask_import)
        self._start.blank_chosen.connect(self._begin_blank)
        session.document_changed.connect(self._offer_start)
        session.project.changed.connect(self._offer_start)
        self._show()

    def _show(self) -> None:
        self._panel.set_classes(self._session.project.classes.classes)
        self._paint_only(self._panel.model.only or None)  # another project begins without

    @Slot()
    def _offer_start(self) -> None:
        """Offer other classes to begin with, as long as nothing was done."""
        session = self._session
        can = session.document is not None and session.stored.can_choose_classes
        self._start.setVisible(can and session.project_path != self._settled)

    @Slot()
    def _keep_models(self) -> None:
        self._settled = self._session.project_path
        self._offer_start()

    @Slot()
    def _begin_blank(self) -> None:
        self._start_with(())
        self._offer_start()

    def _start_with(self, classes: Sequence[LabelClass | None]) -> bool:
        """Take a list in place of the model's classes, if nothing was done yet.

        Raises:
            InputError: the project cannot be written, or two classes have one name.
        """
        model = self._session.model
        return self._session.stored.start_with_classes(classes, model.classes if model else ())

    def _edit(self, edit: Callable[[ClassTable], ClassTable], text: str) -> None:
        """Change the table, or say why it cannot be changed."""
        try:
            self._session.edit_classes(edit(self._session.project.classes), text)
        except InputError as error:
            self._session.warned.emit(str(error))

    @Slot()
    def _add(self) -> None:
        names = {c.name for c in self._session.project.classes.classes}
        name = next(n for n in map("class {}".format, range(1, 1000)) if n not in names)
        self._edit(lambda table: table.add(name), "Add a class")
        self._panel.choose(len(self._session.project.classes.classes) - 1)
        self._panel.rename()

    @Slot(int, str)
    def _rename(self, label: int, name: str) -> None:
        self._edit(lambda table: table.rename(label, name), "Rename a class")

    @Slot(int, object)
    def _recolor(self, label: int, color: tuple[int, int, int]) -> None:
        self._edit(lambda table: table.recolor(label, color), "Recolour a class")

    @Slot(int, int)
    def _move(self, label: int, place: int) -> None:
        self._edit(lambda table: table.move(label, place), "Reorder classes")

    @Slot(int, bool)
    def _hide(self, label: int, hidden: bool) -> None:
        text = "Hide a class" if hidden else "Show a class"
        self._edit(lambda table: table.hide(label, hidden), text)

    @Slot(int, bool)
    def _lock(self, label: int, locked: bool) -> None:
        text = "Lock a class" if locked else "Unlock a class"
        self._edit(lambda table: table.lock(label, locked), text)

    @Slot(object)
    def _paint_only(self, labels: frozenset[int] | None) -> None:
        self._session.project.paint_only = labels

    @Slot(int, object)
    def _delete(self, label: int, target: int | None) -> None:
        self._session.delete_class(label, IGNORE_INDEX if target is None else target)

    @Slot(object)
    def _import(self, path: Path) -> None:
        try:
            classes = read_class_list(path)
            if not self._start_with(classes):
                self._edit(lambda table: table.take_list(classes), "Import classes")
            self._offer_start()
        except InputError as error:
            self._session.warned.emit(str(error))

    @Slot(object)
    def _export(self, path: Path) -> None:
        try:
            save_class_list(self._session.classes, path)
        except InputError as error:
            self._session.warned.emit(str(error))
