"""The bar of the options that the chosen tool uses, and of how strongly labels show."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QColor
from PySide6.QtWidgets import QCheckBox, QComboBox, QLabel, QSlider, QSpinBox, QToolBar, QWidget

from app.views.tools.options import OPTIONS, OptionSpec
from app.views.tools.tool import ToolOptions, ToolSpec

_SLIDER_WIDTH = 120


class ToolOptionsBar(QToolBar):
    """Lets the user set what the chosen tool uses.

    Signals:
        options_changed(ToolOptions): the tools are to work with these from now on.
        opacity_changed(int): how strongly labels cover the image, in %.
    """

    options_changed = Signal(object)
    opacity_changed = Signal(int)

    def __init__(self, diameter: int, opacity: int, parent: QWidget | None = None) -> None:
        super().__init__("Tool options", parent)
        self.setObjectName("tool-options")
        self.options = ToolOptions(diameter, 0, QColor(128, 128, 128))
        self._shown: dict[str, tuple[QAction, QAction]] = {}
        self._fields: dict[str, QWidget] = {}
        for spec in OPTIONS.values():
            field = self._fields[spec.name] = self._field(spec)
            field.setToolTip(spec.tip)
            label = QLabel(f"{spec.text} ")
            label.setContentsMargins(8, 0, 2, 0)
            self._shown[spec.name] = (self.addWidget(label), self.addWidget(field))
        self.addSeparator()
        self._add_opacity(opacity)

    @property
    def opacity(self) -> int:
        """How strongly labels cover the image, in %."""
        return self._opacity.value()

    def kept(self) -> dict[str, object]:
        """Return what is set for the tools, by the options' names."""
        return {name: getattr(self.options, name) for name in OPTIONS}

    def restore(self, kept: Mapping[str, object]) -> None:
        """Set what `kept` returned; what is unknown or out of range stays as it is."""
        for name, field in self._fields.items():
            value, allowed = kept.get(name), OPTIONS[name].allowed
            if isinstance(field, QCheckBox) and isinstance(value, bool):
                field.setChecked(value)
            elif isinstance(allowed, tuple) and isinstance(field, QComboBox) and value in allowed:
                field.setCurrentIndex(allowed.index(value))
            elif isinstance(field, QSpinBox) and type(value) is int and value in (allowed or ()):
                field.setValue(value)

    def show_for(self, tool: ToolSpec) -> None:
        """Show the options that a tool uses."""
        for name, actions in self._shown.items():
            for action in actions:
                action.setVisible(name in tool.options)

    def set_class(self, label: int, color: QColor) -> None:
        """Let the tools paint another class."""
        self._set(label=label, color=color)

    def scale_diameter(self, factor: float) -> None:
        """Make brushes larger or smaller, by a pixel at least."""
        before = self.options.diameter
        resized = round(before * factor)
        if resized == before:
            resized += 1 if factor > 1 else -1
        self._diameter.setValue(resized)

    def set_diameter(self, diameter: int) -> None:
        """Make brushes this large, as far as that is allowed."""
        self._diameter.setValue(diameter)

    def set_labels_shown(self, shown: bool) -> None:
        """Show labels as strongly as is set, or not at all."""
        self._opacity.setEnabled(shown)
        self.opacity_changed.emit(self.opacity if shown else 0)

    def _field(self, spec: OptionSpec) -> QWidget:
        """Return a field that shows an option and changes it."""
        value, change = getattr(self.options, spec.name), partial(self._on_changed, spec.name)
        if isinstance(spec.allowed, range):
            number = QSpinBox()
            number.setRange(spec.allowed[0], spec.allowed[-1])
            number.setValue(value)
            number.setSuffix(f" {spec.unit}" if spec.unit else "")
            number.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # letters stay shortcuts
            number.valueChanged.connect(change)
            if spec.name == "diameter":
                self._diameter = number
            return number
        if spec.allowed is None:
            box = QCheckBox()
            box.setChecked(value)
            box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            box.toggled.connect(change)
            return box
        choice = QComboBox()
        choice.addItems([word.capitalize() for word in spec.allowed])
        choice.setCurrentIndex(spec.allowed.index(value))
        choice.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        words = spec.allowed
        choice.currentIndexChanged.connect(lambda row: change(words[row]))
        return choice

    def _add_opacity(self, opacity: int) -> None:
        self._opacity = QSlider(Qt.Orientation.Horizontal)
        self._opacity.setRange(0, 100)
        self._opacity.setValue(opacity)
        self._opacity.setToolTip("Opacity of the labels")
        self._opacity.setAccessibleName("Opacity of the labels")
        self._opacity.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._opacity.setFixedWidth(_SLIDER_WIDTH)
        self._opacity.valueChanged.connect(self.opacity_changed)
        label = QLabel("Labels ")
        label.setContentsMargins(8, 0, 2, 0)
        self.addWidget(label)
        self.addWidget(self._opacity)

    def _on_changed(self, name: str, value: object) -> None:
        self._set(**{name: value})

    def _set(self, **changes: object) -> None:
        self.options = dataclasses.replace(self.options, **changes)  # type: ignore[arg-type]
        self.options_changed.emit(self.options)
