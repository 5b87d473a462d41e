"""Joins the gate explorer's panel with the canvas and the session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, Qt, Signal, Slot
from PySide6.QtGui import QMouseEvent

from app.document.document import ImageDocument
from app.inference.insight_messages import Asked, InsightAnswer, Refusal, SaveRequest
from app.inference.messages import ModelInfo
from app.session import LabelingSession
from app.views.canvas.canvas_view import CanvasView
from app.views.canvas.layers import HeatMapLayer
from app.views.insight.gates_panel import GatesPanel
from app.views.insight.pin_marker import PinMarker
from app.views.insight.side_by_side import SideBySide
from mdlstm_core.insight.queries import Pixel


class GateExplorer(QObject):
    """Asks, while its panel can be seen, for what the tab in front shows, and draws it.

    Signals:
        drawn_over: a map lies over the image now.
    """

    drawn_over = Signal()

    def __init__(
        self,
        session: LabelingSession,
        canvas: CanvasView,
        beside: SideBySide,
        panel: GatesPanel,
        show_panel: Callable[[], object],
        ask_folder: Callable[[], Path | None],
    ) -> None:
        """Join them; `show_panel` brings the panel to the front."""
        super().__init__(panel)
        self._session, self._insight = session, session.insight
        self._canvas, self._beside, self._panel = canvas, beside, panel
        self._show_panel, self._ask_folder = show_panel, ask_folder
        self._marker = PinMarker(canvas)
        self._pixel: Pixel | None = None
        self._has_heat = self._is_picking = False
        self._connect()

    def _connect(self) -> None:
        panel, session, insight = self._panel, self._session, self._insight
        panel.seen_changed.connect(self._on_seen)
        panel.mode.chosen.connect(self._on_mode)
        panel.tabs.chosen.connect(self._on_tab)
        panel.chooser.changed.connect(self._on_choice)
        panel.save_asked.connect(self.save)
        for page in panel.pages.values():
            page.drawn.connect(self._draw)
            page.said.connect(panel.say)
        panel.why.pick_asked.connect(self._set_picking)
        panel.why.unpin_asked.connect(lambda: self.pin(None))
        panel.why.unit_chosen.connect(self._show_unit)
        self._canvas.pointer_moved.connect(self._on_pointer)
        self._beside.pointed.connect(self._on_pointer)
        session.document_changed.connect(self._on_document)
        session.model_changed.connect(self._on_model)
        session.live_changed.connect(self._on_strokes)
        session.prediction_changed.connect(panel.why.show_label)
        insight.strokes_changed.connect(self._on_strokes)
        insight.answered.connect(self._on_answered)
        insight.saved.connect(session.said)
        insight.save_failed.connect(self._on_save_failed)

    def toggle(self) -> None:
        """Show the chosen map over the image, or no map any more."""
        is_drawn = self._panel.is_seen and self._panel.mode.value != "off"
        if is_drawn:
            self._panel.mode.choose("off")
            return
        self.show_map("over")

    def show_map(self, mode: str) -> None:
        """Show the chosen map "over" the image or "beside" it."""
        self._show_panel()
        if not self._panel.page.has_choice:
            self._panel.tabs.choose("maps")
        self._panel.mode.choose(mode)

    def hide_map(self) -> None:
        """Draw no map over the image any more; one beside it stays."""
        if self._panel.mode.value == "over":
            self._panel.mode.choose("off")

    def why(self) -> None:
        """Pin the pixel under the pointer and tell why it has its class; again unpins it."""
        self._show_panel()
        self._panel.tabs.choose("why")
        if self._pixel is None:
            return
        if self._panel.why.pin == self._pixel:
            self.pin(None)
            return
        if self._panel.mode.value == "off":
            self._panel.mode.choose("over")  # its context is a part of the answer
        self.pin(self._pixel)

    def pin(self, pixel: Pixel | None) -> None:
        """Pin a pixel, or none."""
        for page in self._panel.pages.values():
            page.set_pin(pixel)
        self._marker.set_pixel(pixel if self._panel.is_seen else None)
        self._refresh()

    def save(self) -> None:
        """Write what is shown into a folder that the user names."""
        shown = self._panel.page.shown
        if not shown:
            said = "There is nothing to save yet: let a view be shown first."
            self._panel.say(SaveRequest, said)
            return
        folder = self._ask_folder()
        if folder is not None:
            self._panel.say(SaveRequest, "")
            self._insight.save(shown, folder)

    def _refresh(self) -> None:
        """Ask for what the tab in front shows."""
        page, panel = self._panel.page, self._panel
        if not panel.is_seen or not self._insight.is_ready:
            return
        page.is_drawn = panel.mode.value != "off"
        page.refresh()

    @Slot(bool)
    def _on_seen(self, seen: bool) -> None:
        if seen:
            self._marker.set_pixel(self._panel.why.pin)
            self._refresh()
            return
        self._panel.sweep.stop()
        self._set_picking(False)
        self._marker.set_pixel(None)
        self._insight.forget()
        self._draw()

    @Slot(str)
    def _on_mode(self, _mode: str) -> None:
        self._panel.say_nothing()
        self._refresh()
        self._draw()

    @Slot(str)
    def _on_tab(self, _tab: str) -> None:
        self._panel.sweep.stop()
        self._refresh()
        self._panel.page.point(self._pixel)
        self._draw()

    @Slot()
    def _on_choice(self) -> None:
        if self._panel.page.has_choice:
            self._refresh()

    @Slot()
    def _on_strokes(self) -> None:
        if self._panel.page is self._panel.why and self._panel.why.pin is not None:
            self._refresh()

    @Slot(int, int)
    def _on_pointer(self, x: int, y: int) -> None:
        document = self._session.document
        is_inside = document is not None and document.pixel(x, y) is not None
        pixel = Pixel(x, y) if is_inside else None
        if pixel == self._pixel:
            return
        self._pixel = pixel
        if self._panel.is_seen:
            self._panel.chooser.point(pixel)
            self._panel.page.point(pixel)
            self._beside.point(pixel)

    @Slot(object)
    def _on_document(self, document: ImageDocument | None) -> None:
        self._has_heat = False  # the canvas forgot it with the image
        self._pixel = None
        self._panel.chooser.forget()
        self._panel.say_nothing()
        for page in self._panel.pages.values():
            page.forget()
            page.set_pin(None)
        self._marker.set_pixel(None)
        if document is not None:
            self._refresh()

    @Slot(object)
    def _on_model(self, info: ModelInfo | None) -> None:
        self._panel.set_model(info)
        for page in self._panel.pages.values():
            page.model_changed()
        self._refresh()

    @Slot(object)
    def _on_answered(self, answer: InsightAnswer) -> None:
        request, panel = answer.request, self._panel
        if not panel.is_seen or not isinstance(request, Asked):
            return
        if not isinstance(answer, Refusal):
            panel.say(type(request), answer.notice)
            panel.page.take(answer)
            return
        panel.page.refused(request)
        panel.say(type(request), answer.reason)

    @Slot(str)
    def _on_save_failed(self, reason: str) -> None:
        if self._panel.is_seen:
            self._panel.say(SaveRequest, reason)
        else:
            self._session.warned.emit(reason)

    @Slot()
    def _draw(self) -> None:
        """Draw the maps of the tab in front where they are wanted."""
        document, mode = self._session.document, self._panel.mode.value
        maps = self._panel.page.maps() if self._panel.is_seen and mode != "off" else ()
        if mode == "over" and maps:
            self._canvas.set_heat_map(HeatMapLayer(maps[0].pixels, maps[0].cell_pixels))
            self._has_heat = True
            self.drawn_over.emit()
        elif self._has_heat:
            self._canvas.set_heat_map(None)
            self._has_heat = False
        if document is not None:
            shown = (maps[1:] or maps) if mode == "beside" else ()
            self._beside.set_maps(shown, (document.height, document.width))

    def _show_unit(self, direction: int, unit: int) -> None:
        """Show the map of a unit of the last layer."""
        model = self._session.model
        if model is not None:
            self._panel.tabs.choose("maps")
            last = len(model.layer_units) - 1
            self._panel.chooser.choose(last, direction, "hidden", unit)
            if self._panel.mode.value == "off":
                self._panel.mode.choose("over")

    @Slot(bool)
    def _set_picking(self, picking: bool) -> None:
        """Let the next click on the canvas pin a pixel, or not."""
        if picking == self._is_picking:
            return
        self._is_picking = picking
        if picking:
            self._canvas.installEventFilter(self)
            self._canvas.setCursor(Qt.CursorShape.CrossCursor)
        else:
            self._canvas.removeEventFilter(self)
            self._canvas.unsetCursor()
        self._panel.why.pick.setChecked(picking)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the click that pins a pixel; it paints nothing."""
        if not isinstance(event, QMouseEvent) or event.button() != Qt.MouseButton.LeftButton:
            return False
        if event.type() == QEvent.Type.MouseButtonPress:
            x, y = self._canvas.transform.to_image(event.position().x(), event.position().y())
            self._on_pointer(int(x // 1), int(y // 1))
            return True
        if event.type() == QEvent.Type.MouseButtonRelease:
            self._set_picking(False)
            if self._pixel is not None:
                self.pin(self._pixel)
            return True
        return False
