"""Painting, undo and redo over all images of a project."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.document.document import ImageDocument
from app.document.edit import edit_of_stroke
from app.document.label_map import LabelMap
from app.document.project import Project
from app.document.stroke import Box, Stroke
from mdlstm_core.config import IGNORE_INDEX

_SIZES = {Path("a.png"): (17, 23), Path("b.png"): (40, 9)}
_STROKES = st.builds(
    Stroke,
    points=st.lists(st.tuples(st.floats(-5, 45), st.floats(-5, 45)), min_size=1, max_size=4).map(
        tuple
    ),
    diameter=st.integers(1, 12),
    label=st.sampled_from([0, 1, 7, IGNORE_INDEX]),
)
_OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("paint"), st.sampled_from(list(_SIZES)), _STROKES),
        st.tuples(st.sampled_from(["undo", "redo"]), st.none(), st.none()),
    ),
    max_size=30,
)


@given(operations=_OPERATIONS, each_its_own=st.booleans())
def test_equals_a_history_of_whole_copies(operations: list[tuple], each_its_own: bool) -> None:
    project = Project()
    for path, size in _SIZES.items():
        project.set_corrections(path, LabelMap.empty(*size))
    state = {path: np.full(size, IGNORE_INDEX, np.uint8) for path, size in _SIZES.items()}
    past, future = [], []
    for kind, path, stroke in operations:
        if kind == "paint":
            edit = edit_of_stroke(stroke, *_SIZES[path])
            if edit is None:
                continue
            if each_its_own:
                count = int(edit.region.mask.sum())
                edit = dataclasses.replace(edit, labels=np.arange(count, dtype=np.uint8))
            after = {p: values.copy() for p, values in state.items()}
            after[path][edit.region.box.slices][edit.region.mask] = edit.labels
            changed = any((after[p] != state[p]).any() for p in state)
            assert (project.edit(path, edit) is not None) == changed
            if changed:
                past, future, state = [*past, state], [], after
        elif kind == "undo":
            project.undo()
            if past:
                future.append(state)
                state = past.pop()
        else:
            project.redo()
            if future:
                past.append(state)
                state = future.pop()
        for path_, values in state.items():
            corrections = project.corrections(path_)
            assert corrections is not None
            np.testing.assert_array_equal(corrections.values, values)


def test_tells_which_image_an_undo_changes() -> None:
    project = Project()
    first, second = _SIZES
    for path, size in _SIZES.items():
        project.set_corrections(path, LabelMap.empty(*size))
    stack = project.undo_stack
    assert stack.to_undo() is None
    for path in (first, second):
        edit = edit_of_stroke(Stroke(((5.0, 5.0),), 3, 1), *_SIZES[path])
        assert edit is not None
        project.edit(path, edit)
    assert [header.image for header in (stack.to_undo(),) if header] == [second]
    project.undo()
    headers = stack.to_undo(), stack.to_redo()
    assert [header.image for header in headers if header] == [first, second]


def test_a_persons_label_wins_over_the_models() -> None:
    document = ImageDocument(Path("a.png"), np.zeros((4, 5, 3), np.uint8), LabelMap.empty(4, 5))
    edit = edit_of_stroke(Stroke(((2.5, 1.5),), 1, 3), 4, 5)
    assert edit is not None
    patch = document.corrections.patch(edit)
    assert patch is not None
    document.corrections.apply(patch)
    document.set_prediction(np.full((4, 5), 6, np.uint8), np.full((4, 5), 51, np.uint8))
    assert document.displayed[1, 2] == 3
    assert (document.displayed == 6).sum() == 19
    assert document.pixel(2, 1) == (3, True, None)
    assert document.pixel(0, 0) == (6, False, 0.2)
    assert document.pixel(5, 0) is None
    for box in (Box(1, 1, 3, 4), Box(1, 2, 2, 3), Box(0, 0, 4, 1), Box(2, 0, 3, 5)):
        np.testing.assert_array_equal(document.shown(box), document.displayed[box.slices])
    boxes: list[Box] = []
    document.labels_changed.connect(boxes.append)
    document.corrections.revert(patch)
    assert boxes == [patch.box]
    assert (document.displayed == 6).all()


def test_image_and_corrections_must_have_one_size() -> None:
    with pytest.raises(ValueError, match="expected"):
        ImageDocument(Path("a.png"), np.zeros((4, 5, 3), np.uint8), LabelMap.empty(5, 4))


def test_a_snapshot_does_not_change_with_the_map() -> None:
    labels = LabelMap.empty(6, 6)
    before = labels.snapshot()
    edit = edit_of_stroke(Stroke(((3.0, 3.0),), 4, 2), 6, 6)
    assert edit is not None
    patch = labels.patch(edit)
    assert patch is not None
    labels.apply(patch)
    assert (before == IGNORE_INDEX).all()
    with pytest.raises(ValueError, match="read-only"):
        before[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        labels.values[0, 0] = 1
