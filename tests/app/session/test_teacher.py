"""Which model serves, while one is tried out and after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pytestqt.qtbot import QtBot

from app.document.edit import Edit
from app.document.stroke import Box, Region
from app.session import LabelingSession


def test_a_model_that_was_tried_out_does_not_pass_for_the_one_before(
    qtbot: QtBot,
    quick_looks: None,
    long_learning: None,
    session: LabelingSession,
    two_photos: list[Path],
) -> None:
    """What it says of an image meanwhile would count as what the one before said."""
    teacher, kept = session.teacher, []
    session.start_model()
    with qtbot.waitSignal(session.prediction_changed):
        session.open_paths([two_photos[1]])
    box = Box(20, 20, 24, 200)
    edit = Edit(Region(box, np.ones(box.shape, dtype=bool)), 6, "paint")
    session.edit(two_photos[1], edit)
    before = teacher.settled_source
    teacher.timeline.kept.connect(lambda _: kept.append(teacher.settled_source))
    with qtbot.waitSignal(session.model_changed):
        session.learn(120)
    assert teacher.settled_source is None  # something better is tried out
    with qtbot.waitSignal(teacher.timeline.kept):
        teacher.stop()
    assert kept == [None]
    qtbot.waitUntil(lambda: teacher.settled_source is not None)
    assert teacher.settled_source == teacher.timeline.gives(2)() != before
