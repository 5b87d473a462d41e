"""The panel of the gate explorer: what to show, where, and its tabs."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.inference.insight_messages import Asked, ContextRequest
from app.inference.messages import ModelInfo
from app.session.insight import Insight
from app.views.icons import icon
from app.views.insight.compare_tab import CompareTab
from app.views.insight.gate_chooser import GateChooser
from app.views.insight.health_tab import HealthTab
from app.views.insight.maps_tab import MapsTab
from app.views.insight.segments import Segment, Segments
from app.views.insight.sweep_tab import SweepTab
from app.views.insight.tab import InsightTab, note
from app.views.insight.why_tab import WhyTab

_MODES = {
    "off": Segment("Off", hint="Show the labels, and no map"),
    "over": Segment("Over image", hint="Draw the map over the image (Shift+X)"),
    "beside": Segment("Beside", hint="Show the map beside the image, zoom and pan linked"),
}
_TABS = {
    "maps": Segment("Maps", "grid", "A gate as a map"),
    "why": Segment("Why", "help-circle-outline", "Why this class here? (X at the pointer)"),
    "sweep": Segment("Sweep", "play-circle-outline", "What a direction knew, step by step"),
    "compare": Segment("Compare", "compare", "The same map before and after learning"),
    "health": Segment("Health", "heart-pulse", "Do the gates still regulate?"),
}


class GatesPanel(QWidget):
    """Lays out the tabs, one in front.

    Attributes:
        mode: where maps are drawn: "off", "over" the image, or "beside" it.
        tabs: which tab is in front.
        chooser: which map is shown.
        is_seen: whether the panel can be seen. Not what Qt calls visible: that is also a
            panel whose tab is behind another one's.

    Signals:
        seen_changed(bool): the panel can be seen, or no more.
        save_asked: what is shown is to be written to files.
    """

    seen_changed = Signal(bool)
    save_asked = Signal()

    def __init__(self, insight: Insight) -> None:
        super().__init__()
        self.is_seen = False
        self.mode, self.tabs = Segments(_MODES), Segments(_TABS, under_icons=True)
        self.chooser = GateChooser()
        self.maps, self.why = MapsTab(insight, self.chooser), WhyTab(insight, self.chooser)
        self.sweep = SweepTab(insight, self.chooser)
        self.compare = CompareTab(insight, self.chooser)
        self.health = HealthTab(insight, self.chooser)
        self.pages: dict[str, InsightTab] = {
            "maps": self.maps,
            "why": self.why,
            "sweep": self.sweep,
            "compare": self.compare,
            "health": self.health,
        }
        self.save_button = QToolButton()
        self.save_button.setIcon(icon("content-save-outline"))
        self.save_button.setToolTip("Save this view as PNG, NPY and JSON …")
        self.save_button.setAccessibleName("Save this view")
        self.save_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.save_button.clicked.connect(self.save_asked)
        self._said: dict[type[Asked], str] = {}
        self._message = QLabel()
        self._message.setWordWrap(True)
        self._message.hide()
        self._look = note()
        self._look.hide()
        self._stack = QStackedWidget()
        self._lay_out()
        self.tabs.chosen.connect(self._on_tab)
        self._on_tab(self.tabs.value)

    def _lay_out(self) -> None:
        first = QHBoxLayout()
        first.addWidget(self.mode, stretch=100)
        first.addStretch()
        first.addWidget(self.save_button)
        for name, page in self.pages.items():
            scrolls_itself = name in ("why", "health")
            self._stack.addWidget(page if scrolls_itself else _scrolled(page))
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(6)
        column.addWidget(self.tabs)
        column.addLayout(first)
        column.addWidget(self.chooser)
        column.addWidget(self._message)
        column.addWidget(self._stack, stretch=1)
        column.addWidget(self._look)

    @property
    def page(self) -> InsightTab:
        """The tab in front."""
        return self.pages[self.tabs.value]

    @property
    def look(self) -> str:
        """Which of the model's looks is shown, empty if it takes one."""
        return self._look.text()

    @property
    def message(self) -> str:
        """What is said above the tab."""
        return self._message.text()

    def set_model(self, info: ModelInfo | None) -> None:
        """Take the model that serves."""
        self.chooser.set_model(info)
        is_one_of_several = info is not None and info.look.looks > 1
        self._look.setText(f"Shown is {info.look}." if info and is_one_of_several else "")
        self._look.setVisible(is_one_of_several)

    @Slot(bool)
    def set_seen(self, seen: bool) -> None:
        """Take note that the panel can be seen, or no more."""
        if seen != self.is_seen:
            self.is_seen = seen
            self.seen_changed.emit(seen)

    def say(self, about: type[Asked], text: str) -> None:
        """Say something above the tab in place of what was said about such questions before.

        What is said of one kind stays while others are answered.
        """
        kind = ContextRequest if issubclass(about, ContextRequest) else about
        self._said[kind] = text
        self._show_said()

    def say_nothing(self) -> None:
        """Say nothing above the tab."""
        self._said.clear()
        self._show_said()

    def sizeHint(self) -> QSize:
        """A column of fields."""
        return QSize(260, 420)

    def _on_tab(self, name: str) -> None:
        self._stack.setCurrentIndex(list(self.pages).index(name))
        self.chooser.setVisible(self.page.has_choice)
        self.mode.setVisible(name != "health")
        self.say_nothing()

    def _show_said(self) -> None:
        texts = dict.fromkeys(filter(None, self._said.values()))
        # One notice may say what another one does, and more.
        whole = [t for t in texts if not any(t in other for other in texts if other != t)]
        self._message.setText("\n".join(whole))
        self._message.setVisible(bool(whole))


def _scrolled(page: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidget(page)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return area
