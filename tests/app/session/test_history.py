"""Random work on a stored project equals a brute-force model, also after crashes.

More operations: MDLSTM_HISTORY_EXAMPLES=250 runs 10,000.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from PySide6.QtCore import QCoreApplication
from pytestqt.qtbot import QtBot
from skimage.segmentation import flood

from app.document import undo_stack
from app.document.edit import Edit
from app.document.label_map import LabelMap
from app.document.regions.connected import connected_region
from app.document.stroke import Box, Region
from app.session.stored_project import StoredProject
from app.storage import project_file
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.errors import InputError

SIZES = {"a.png": (300, 270), "b.png": (40, 520), "c.png": (7, 9)}
NAMES = ("sky", "tree", "road")
EXAMPLES = int(os.environ.get("MDLSTM_HISTORY_EXAMPLES", "12"))
STEPS = 40
ONLY = st.none() | st.sets(st.sampled_from([0, 1, 2, 3, IGNORE_INDEX])).map(frozenset)


class BruteForce:
    """Whole copies of everything, kept for ever."""

    def __init__(self) -> None:
        self.labels = {n: np.full(s, IGNORE_INDEX, np.uint8) for n, s in SIZES.items()}
        self.classes = [[i, n, (i, i, i), False, False] for i, n in enumerate(NAMES)]
        self.gone: set[int] = set()
        self.past: list[tuple] = []
        self.future: list[tuple] = []

    def copy(self) -> tuple:
        labels = {name: values.copy() for name, values in self.labels.items()}
        return labels, [list(c) for c in self.classes], set(self.gone)

    def step(self, before: tuple) -> None:
        self.past.append(before)
        self.future.clear()

    def travel(self, source: list[tuple], target: list[tuple]) -> None:
        if source:
            target.append(self.copy())
            self.labels, self.classes, self.gone = source.pop()


class HistoryMachine(RuleBasedStateMachine):
    """Every rule does the same to the project and to the model."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.folder = self.root / "0"
        self.folder.mkdir()
        self.model = BruteForce()
        self.stored = StoredProject()
        self.open()

    def open(self) -> None:
        self.stored.open(self.folder / "project.mdlp")
        self.stored.use_model_classes([LabelClass(n, (i, i, i)) for i, n in enumerate(NAMES)])
        self.shown = "a.png"

    def teardown(self) -> None:
        if hasattr(self, "root"):
            self.check_all()
            self.stored.close()
            shutil.rmtree(self.root)

    def map_of(self, name: str) -> LabelMap:
        project, path = self.stored.project, self.folder / name
        found = project.corrections(path)
        if found is None:
            labels = self.stored.labels_of(path)
            found = LabelMap(labels) if labels is not None else LabelMap.empty(*SIZES[name])
            project.set_corrections(path, found)
        return found

    @rule(name=st.sampled_from(list(SIZES)))
    def show(self, name: str) -> None:
        self.shown = name
        self.map_of(name)
        self.stored.shown = self.folder / name
        self.stored.release()

    @rule(data=st.data(), each_its_own=st.booleans(), only=ONLY)
    def paint(self, data: st.DataObject, each_its_own: bool, only: frozenset | None) -> None:
        height, width = SIZES[self.shown]
        top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        bottom = data.draw(st.integers(top + 1, min(height, top + 280)))
        right = data.draw(st.integers(left + 1, min(width, left + 280)))
        random = np.random.default_rng(data.draw(st.integers(0, 1000)))
        mask = random.random((bottom - top, right - left)) < 0.6
        labels: int | np.ndarray = data.draw(st.sampled_from(self.possible))
        if each_its_own:
            labels = random.choice(self.possible, int(mask.sum())).astype(np.uint8)
        whole = np.zeros((height, width), dtype=bool)
        whole[top:bottom, left:right] = mask
        region = Region(Box(top, left, bottom, right), mask.copy())
        self.edit(Edit(region, labels, "paint"), whole, only)

    @rule(data=st.data(), only=ONLY)
    def fill(self, data: st.DataObject, only: frozenset | None) -> None:
        height, width = SIZES[self.shown]
        y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        label = data.draw(st.sampled_from(self.possible))
        region = connected_region(self.map_of(self.shown).values, x, y)
        whole = flood(self.model.labels[self.shown], (y, x), connectivity=1)
        self.edit(Edit(region, label, "fill"), whole, only)

    @property
    def possible(self) -> list[int]:
        return [c[0] for c in self.model.classes] + [IGNORE_INDEX]

    def edit(self, edit: Edit, mask: np.ndarray, only: frozenset | None) -> None:
        before = self.model.copy()
        corrections = self.map_of(self.shown)
        self.stored.project.paint_only = only
        changed = self.stored.project.edit(self.folder / self.shown, edit)
        values = self.model.labels[self.shown]
        wanted = values.copy()
        wanted[mask] = edit.labels
        locked = [c[0] for c in self.model.classes if c[4]]
        wanted = np.where(np.isin(values, locked), values, wanted)
        if only is not None:
            wanted = np.where(np.isin(values, list(only)), wanted, values)
        assert (changed is not None) == bool((wanted != values).any())
        if changed is not None:
            self.model.labels[self.shown] = wanted
            self.model.step(before)
        np.testing.assert_array_equal(corrections.values, wanted)

    @rule(
        data=st.data(),
        kind=st.sampled_from(["add", "rename", "recolor", "hide", "lock", "lock", "move"]),
        number=st.integers(0, 9),
    )
    def edit_class(self, data: st.DataObject, kind: str, number: int) -> None:
        before, table = self.model.copy(), self.stored.project.classes
        classes = self.model.classes
        if kind == "add" or not classes:
            label = min(set(range(255)) - {c[0] for c in classes} - self.model.gone)
            name = f"added {label} {number}"
            if any(c[1] == name for c in classes):
                return
            classes.append([label, name, (number, 0, 9), False, False])
            self.stored.project.edit_classes(table.add(name, (number, 0, 9)), "add")
        else:
            chosen = data.draw(st.sampled_from(classes))
            label = chosen[0]
            if kind == "rename":
                chosen[1] = f"{label} named {number}"
                table = table.rename(label, f" {label} named {number}")
            elif kind == "recolor":
                chosen[2] = (number, number, 1)
                table = table.recolor(label, (number, number, 1))
            elif kind == "hide":
                chosen[3] = number % 2 == 0
                table = table.hide(label, number % 2 == 0)
            elif kind == "lock":
                chosen[4] = number % 2 == 0
                table = table.lock(label, number % 2 == 0)
            else:
                classes.remove(chosen)
                classes.insert(number, chosen)
                table = table.move(label, number)
            self.stored.project.edit_classes(table, kind)
        if before[1] != self.model.classes:
            self.model.step(before)

    @precondition(lambda self: len(self.model.classes) > 1)
    @rule(data=st.data(), to_none=st.booleans())
    def remove_class(self, data: st.DataObject, to_none: bool) -> None:
        before = self.model.copy()
        source, target = data.draw(st.permutations([c[0] for c in self.model.classes]))[:2]
        if to_none:
            target = IGNORE_INDEX
            self.stored.project.delete_class(source)
        else:
            self.stored.project.merge_class(source, target)
        for values in self.model.labels.values():
            values[values == source] = target
        self.model.classes = [c for c in self.model.classes if c[0] != source]
        self.model.gone.add(source)
        self.model.step(before)

    @rule()
    def undo(self) -> None:
        self.travel(self.stored.project.undo)
        self.model.travel(self.model.past, self.model.future)

    @rule()
    def redo(self) -> None:
        self.travel(self.stored.project.redo)
        self.model.travel(self.model.future, self.model.past)

    def travel(self, move: object) -> None:
        try:
            move()
        except InputError as error:
            assert "still being stored" in str(error)  # noqa: PT017
            self.acknowledge()
            move()

    @rule()
    def acknowledge(self) -> None:
        assert self.stored.journal.store()
        QCoreApplication.processEvents()

    @rule()
    def restart(self) -> None:
        self.stored.close()
        self.stored = StoredProject()
        self.open()
        self.check_all()

    @rule()
    def crash(self) -> None:
        assert self.stored.journal.store()
        copy = self.folder.with_name(str(int(self.folder.name) + 1))
        copy.mkdir()
        for file in self.folder.glob("project.mdlp*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, copy)
        self.stored.close()
        self.folder, self.stored = copy, StoredProject()
        self.open()
        self.check_all()

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "stored"):
            return
        for name, values in self.model.labels.items():
            found = self.stored.project.corrections(self.folder / name)
            if found is not None:
                np.testing.assert_array_equal(found.values, values)
        stack = self.stored.project.undo_stack
        assert stack.canUndo() == bool(self.model.past)
        assert stack.canRedo() == bool(self.model.future)
        classes = self.stored.project.classes.classes
        found = [[c.label, c.name, c.color, c.hidden, c.locked] for c in classes]
        assert found == self.model.classes

    def check_all(self) -> None:
        """Compare what would be loaded, from disk and what is not there yet."""
        for name, values in self.model.labels.items():
            labels = self.stored.labels_of(self.folder / name)
            if labels is None:
                assert (values == IGNORE_INDEX).all()
            else:
                np.testing.assert_array_equal(labels, values)


@pytest.mark.parametrize("recent", [1000, 2])
def test_random_work_equals_a_brute_force_model(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, recent: int
) -> None:
    """Where few steps are loaded at the opening, the others are read as they are undone."""
    monkeypatch.setattr(project_file, "RECENT", recent)
    monkeypatch.setattr(undo_stack, "_BLOCK", recent)
    run_state_machine_as_test(
        HistoryMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
