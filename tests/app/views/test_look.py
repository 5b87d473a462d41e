"""Both colour schemes can be read, and the window keeps what it was made to look like."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QImage, QPalette
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.session import LabelingSession
from app.settings import load_settings
from app.views.icons import icon
from app.views.main_window import MainWindow
from app.views.status_line import BusyBar
from app.views.theme import palette

ROLE, GROUP = QPalette.ColorRole, QPalette.ColorGroup
TEXT_ON_GROUND = [
    *itertools.product((ROLE.WindowText, ROLE.PlaceholderText, ROLE.Link), (ROLE.Window,)),
    *itertools.product(
        (ROLE.Text, ROLE.PlaceholderText, ROLE.Link), (ROLE.Base, ROLE.AlternateBase)
    ),
    (ROLE.ButtonText, ROLE.Button),
    (ROLE.HighlightedText, ROLE.Highlight),
    (ROLE.ToolTipText, ROLE.ToolTipBase),
]


def _luminance(color: QColor) -> float:
    """Return the relative luminance of WCAG 2."""
    channels = [color.redF(), color.greenF(), color.blueF()]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: QColor, other: QColor) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _pixels(picture: QImage) -> NDArray[np.uint8]:
    shown = picture.convertToFormat(QImage.Format.Format_RGBA8888)
    rows = np.frombuffer(shown.constBits(), np.uint8).reshape(shown.height(), -1)
    return rows[:, : 4 * shown.width()].reshape(shown.height(), shown.width(), 4).copy()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT_ON_GROUND)
def test_text_stands_out(scheme: str, text: ROLE, ground: ROLE) -> None:
    shown = palette(scheme)
    assert _contrast(shown.color(text), shown.color(ground)) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_icons_follow_the_scheme(window: MainWindow, scheme: str) -> None:
    kept = icon("undo")  # made before the scheme changes
    window.theme.set_scheme(scheme)
    drawn = _pixels(kept.pixmap(QSize(48, 48)).toImage())
    solid = drawn[drawn[..., 3] == 255][:, :3]
    assert len(solid) > 40
    ground = QApplication.palette().color(ROLE.Window)
    assert _contrast(QColor(*(int(v) for v in solid[0])), ground) >= 4.5


def test_the_scheme_is_kept(qtbot: QtBot, window: MainWindow) -> None:
    window.actions_by_name["scheme-dark"].trigger()
    assert QApplication.palette().color(ROLE.Window).lightness() < 80
    assert window.close()
    assert load_settings().color_scheme == "dark"
    session = LabelingSession(device="cpu")
    again = MainWindow(session)
    qtbot.addWidget(again)
    assert again.actions_by_name["scheme-dark"].isChecked()
    again.actions_by_name["scheme-light"].trigger()
    assert QApplication.palette().color(ROLE.Window).lightness() > 200


def test_panels_remember_their_places(qtbot: QtBot, window: MainWindow) -> None:
    window.actions_by_name["panel-classes"].trigger()
    assert not window.classes.isVisible()
    window.docks.show("Gates")
    qtbot.waitUntil(lambda: window.gates.is_seen)
    assert window.close()
    session = LabelingSession(device="cpu")
    again = MainWindow(session)
    qtbot.addWidget(again)
    again.show()
    assert not again.classes.isVisible()
    again.actions_by_name["reset-panels"].trigger()
    assert again.classes.isVisible()
    qtbot.waitUntil(lambda: not again.gates.is_seen)  # behind the images


def test_only_what_takes_long_shows_that_it_is_under_way(qtbot: QtBot) -> None:
    bar = BusyBar()
    qtbot.addWidget(bar)
    bar.begin("image", "Opening …")
    assert bar.isHidden()
    bar.end("image")
    bar.begin("model", "Loading …")
    bar.begin("learn", "Learning …")
    qtbot.waitUntil(bar.isVisible)
    bar.end("learn")
    assert bar.text == "Loading …"
    bar.end("model")
    assert bar.isHidden()
    assert bar.text == ""
