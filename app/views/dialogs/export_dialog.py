"""File › Export labels: format, folder, whose labels, which images, and what classes become."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFormLayout,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.session.exchanger import ExportRequest
from app.views.dialogs.exchange_parts import (
    FormatChoice,
    Notice,
    PathRow,
    buttons,
    class_list,
    heading,
    swatch,
)
from mdlstm_core.config import LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.formats.class_mapping import IGNORED, map_classes
from mdlstm_core.formats.exchange import ExchangeFormat
from mdlstm_core.formats.registry import load_format

_NOTHING = "no label"


class Counts(NamedTuple):
    """How many images the project has, how many are done, and the one shown."""

    images: int
    done: int
    shown: Path | None


class ExportDialog(QDialog):
    """Asks what to export, and shows before anything is written what each class becomes.

    Signals:
        asked(ExportRequest): do it.
    """

    asked = Signal(object)

    def __init__(self, classes: Sequence[LabelClass], counts: Counts, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export labels")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._classes, self._shown = tuple(classes), counts.shown
        self.formats = FormatChoice(_can_be_written)
        self.folder = PathRow("Where to write; a new folder is best", "Export into a folder")
        self.whose, self.which = QComboBox(), QComboBox()
        self.whose.addItem("Only what I set; the rest has no label", "person")
        self.whose.addItem("What I set, and the model's labels for the rest", "all")
        if counts.shown is not None:
            self.which.addItem(f"This image, {counts.shown.name}", "this")
        self.which.addItem(f"Those marked as done ({counts.done})", "done")
        self.which.addItem("", "all")
        self.which.setCurrentIndex(self.which.count() - 1)
        self.images = QCheckBox("Write the images as well, where the format has a place for them")
        self.images.setChecked(True)
        self.overwrite = QCheckBox("Replace files that are there already")
        self.table = class_list("Class in this project", "In the export")
        self.notice = Notice()
        self._box, self.do = buttons("Export")
        self._fill()
        self._lay_out()
        self._images = counts.images
        self._say_which()
        self.whose.currentIndexChanged.connect(self._say_which)
        self.formats.currentIndexChanged.connect(self._check)
        self.folder.changed.connect(self._check)
        self.table.itemChanged.connect(self._check)
        self.table.itemDoubleClicked.connect(lambda item: self.table.editItem(item, 1))
        self._box.rejected.connect(self.reject)
        self.do.clicked.connect(self._ask)
        self._check()

    def renames(self) -> dict[str, str]:
        """Return the classes that do not keep their names."""
        renames = {}
        for row, found in enumerate(self._classes):
            item = self.table.topLevelItem(row)
            name = item.text(1).strip() if item else found.name
            if name != found.name:
                renames[found.name] = IGNORED if name in ("", _NOTHING) else name
        return renames

    def _fill(self) -> None:
        for found in self._classes:
            item = QTreeWidgetItem([found.name, found.name])
            item.setIcon(0, swatch(found.color))
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            item.setToolTip(1, "Double-click to give it another name; empty takes its labels away")
            self.table.addTopLevelItem(item)

    def _say_which(self) -> None:
        """Say of which images there will be labels: the model's are for all."""
        text = f"All {self._images} images" if self.whose.currentData() == "all" else "All labeled"
        self.which.setItemText(self.which.findData("all"), text)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("&Format", self.formats)
        form.addRow("Fo&lder", self.folder)
        form.addRow("&Labels", self.whose)
        form.addRow("I&mages", self.which)
        form.addRow("", self.images)
        form.addRow("", self.overwrite)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(heading("Double-click a name in the export to change it."))
        layout.addWidget(self.table, stretch=1)
        layout.addWidget(self.notice)
        layout.addWidget(self._box)
        self.resize(620, 560)

    def _request(self, folder: Path) -> ExportRequest:
        which: Literal["this", "done", "all"] = self.which.currentData()
        whose: Literal["person", "all"] = self.whose.currentData()
        return ExportRequest(
            self.formats.name,
            folder,
            which,
            whose,
            self.renames(),
            self.images.isChecked(),
            self.overwrite.isChecked(),
            self._shown,
        )

    def _check(self) -> None:
        """Say what is missing, or what the format cannot hold."""
        for row in range(self.table.topLevelItemCount()):
            item = self.table.topLevelItem(row)
            if item is not None and not item.text(1).strip():
                item.setText(1, _NOTHING)  # comes back here
                return
        try:
            mapping = map_classes(self._classes, None, self.renames())
            load_format(self.formats.name).check(mapping.classes)
        except InputError as error:
            self.notice.warn(str(error).replace(", with --map too", ""))
            self.do.setEnabled(False)
            return
        folder = self.folder.path
        self.do.setEnabled(folder is not None)
        if folder is None:
            self.notice.say("Choose a folder to write into.")
        else:
            self.notice.say("All files appear at the end, or none does.")

    def _ask(self) -> None:
        folder = self.folder.path
        if folder is not None:
            self.asked.emit(self._request(folder))
            self.accept()


def _can_be_written(exchange_format: ExchangeFormat) -> bool:
    return type(exchange_format).write is not ExchangeFormat.write
