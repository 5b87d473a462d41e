"""File › Import labels: what to read, and what its classes become in the project."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFormLayout,
    QSpinBox,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.exchange.importing import ImportPlan
from app.views.dialogs.exchange_parts import (
    FormatChoice,
    Notice,
    PathRow,
    buttons,
    class_list,
    heading,
    swatch,
)
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.formats.class_mapping import IGNORED
from mdlstm_core.formats.exchange import ExchangeFormat, ReadOptions

_WITH_IDS = ("dataset", "id-png", "id-png-16", "indexed-png", "npy")
"""Formats whose files leave open which value means no label."""


class ImportDialog(QDialog):
    """Asks what to import, reads it, and shows what it would become before anything changes.

    Signals:
        plan_asked(str, Path, ReadOptions): read this, in the format of this name.
        asked(LabelSource, dict[str, str], bool): bring it in; renames; replace a person's labels.
    """

    plan_asked = Signal(str, object, object)
    asked = Signal(object, object, bool)

    def __init__(self, classes: Sequence[LabelClass], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Import labels")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._classes = tuple(classes)
        self._plan: ImportPlan | None = None
        self.formats = FormatChoice(_can_be_read)
        self.source = PathRow("File or folder with the labels", "Import labels from", file=True)
        self.images = PathRow("Only if the images lie elsewhere", "Folder of the images")
        self.ignore_value = QSpinBox()
        self.ignore_value.setRange(0, 65535)
        self.ignore_value.setValue(IGNORE_INDEX)
        self.overwrite = QCheckBox("Replace labels of mine where there are any")
        self.table = class_list("Class in the files", "In this project")
        self.notice = Notice()
        self._box, self.do = buttons("Import")
        self._lay_out()
        self._choices: list[QComboBox] = []
        self.formats.currentIndexChanged.connect(self._read)
        self.source.changed.connect(self._read)
        self.images.changed.connect(self._read)
        self.ignore_value.editingFinished.connect(self._read)
        self._box.rejected.connect(self.reject)
        self.do.clicked.connect(self._ask)
        self._read()

    def renames(self) -> dict[str, str]:
        """Return what the classes become, by their names in the files."""
        plan = self._plan
        if plan is None:
            return {}
        names = [found.name for found in plan.source.classes]
        return {n: str(c.currentData()) for n, c in zip(names, self._choices, strict=True)}

    @Slot(object)
    def show_plan(self, plan: ImportPlan) -> None:
        """Show what was read and what it would become."""
        self._plan = plan
        self._fill(plan)
        ours = len(plan.places) - len(plan.new_images)
        parts = [f"{len(plan.source.records)} labeled images: {ours} of this project"]
        if plan.new_images:
            parts.append(f"{len(plan.new_images)} that are added to it")
        if plan.lost:
            parts.append(f"{len(plan.lost)} without an image, left out")
        text = (
            ", ".join(parts) + ". Labels of yours stay unless you replace them; undo takes it back."
        )
        if plan.places:
            self.notice.say(text)
        else:
            self.notice.warn(f"{next(iter(plan.lost.values()))}")
        self.do.setEnabled(bool(plan.places))

    @Slot(str)
    def show_problem(self, reason: str) -> None:
        """Say why nothing can be read."""
        self._forget()
        self.notice.warn(reason.replace("with --images", "above"))

    def _fill(self, plan: ImportPlan) -> None:
        self.table.clear()
        self._choices = []
        for found, row in zip(plan.source.classes, plan.mapping.rows, strict=True):
            item = QTreeWidgetItem([found.name])
            item.setIcon(0, swatch(found.color))
            self.table.addTopLevelItem(item)
            choice = QComboBox()
            choice.setFrame(False)
            choice.setAccessibleName(f"What {found.name} becomes")
            for own in self._classes:
                if own.name:
                    choice.addItem(swatch(own.color), own.name, own.name)
            if row.is_new or choice.findData(row.target) < 0:
                choice.addItem(swatch(found.color), f"{row.target} (new)", row.target)
            choice.addItem("no label", IGNORED)
            choice.setCurrentIndex(choice.findData(row.target))
            self.table.setItemWidget(item, 1, choice)
            self._choices.append(choice)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("&Format", self.formats)
        form.addRow("&From", self.source)
        form.addRow("I&mages", self.images)
        form.addRow("&No label is", self.ignore_value)
        form.addRow("", self.overwrite)
        self._form = form
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(heading("What each class becomes:"))
        layout.addWidget(self.table, stretch=1)
        layout.addWidget(self.notice)
        layout.addWidget(self._box)
        self.resize(620, 560)

    def _read(self) -> None:
        """Have the source read, if there is one."""
        self._forget()
        self._form.setRowVisible(self.ignore_value, self.formats.name in _WITH_IDS)
        path = self.source.path
        if path is None:
            self.notice.say("Choose a file or a folder to read.")
            return
        self.notice.say(f"Reading {path.name} …")
        options = ReadOptions(self.images.path, self.ignore_value.value())
        self.plan_asked.emit(self.formats.name, path, options)

    def _forget(self) -> None:
        self._plan, self._choices = None, []
        self.table.clear()
        self.do.setEnabled(False)

    def _ask(self) -> None:
        if self._plan is not None:
            self.asked.emit(self._plan.source, self.renames(), self.overwrite.isChecked())
            self.accept()


def _can_be_read(exchange_format: ExchangeFormat) -> bool:
    return type(exchange_format).read is not ExchangeFormat.read
