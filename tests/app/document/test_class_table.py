"""The table of classes: what edits keep, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from app.document.class_table import ClassTable
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.palette import default_color


@pytest.fixture
def table() -> ClassTable:
    return ClassTable().add("sky").add("tree").add("road")


def test_labels_never_change(table: ClassTable) -> None:
    edited = table.move(2, 0).rename(1, "wood").remove(0, 1).add("sea")
    assert [(c.label, c.name) for c in edited.classes] == [(2, "road"), (1, "wood"), (3, "sea")]
    assert [c.name for c in edited.by_label()] == ["", "wood", "road", "sea"]
    assert table.classes[0].color == default_color(0)


def test_a_model_goes_on_to_name_removed_classes(table: ClassTable) -> None:
    labels = np.array([[0, 1, 2, IGNORE_INDEX]], np.uint8)
    assert table.current(labels) is labels
    merged = table.remove(0, 1).remove(1, 2)
    assert merged.current(labels).tolist() == [[2, 2, 2, IGNORE_INDEX]]
    deleted = table.remove(0, 1).remove(1)
    assert deleted.current(labels).tolist() == [[IGNORE_INDEX, IGNORE_INDEX, 2, IGNORE_INDEX]]


def test_labels_are_used_again_only_when_there_is_no_other() -> None:
    table = ClassTable()
    for number in range(255):
        table = table.add(f"class {number}")
    with pytest.raises(InputError, match="at most 255 classes"):
        table.add("one more")
    again = table.remove(7, 8).add("new")
    assert again.get(7).name == "new"
    assert again.removed == ()


def test_says_what_is_wrong(table: ClassTable) -> None:
    for edit, said in (
        (lambda: table.add(" "), "needs a name"),
        (lambda: table.add("sky "), "a class sky already"),
        (lambda: table.rename(0, "road"), "a class road already"),
        (lambda: table.remove(9), "no class with the index 9"),
        (lambda: table.remove(0, 9), "no class with the index 9"),
        (lambda: table.remove(0, 0), "merged with itself"),
        (lambda: ClassTable.from_json("{}"), "damaged"),
        (lambda: ClassTable.from_json("no"), "damaged"),
    ):
        with pytest.raises(InputError, match=said):
            edit()


def test_takes_an_imported_list(table: ClassTable) -> None:
    given = [LabelClass("meadow", (1, 2, 3)), None, LabelClass("tree 2", (4, 5, 6)), None]
    found = table.remove(2).take_list([*given, LabelClass("sea", (7, 8, 9))])
    assert [(c.label, c.name) for c in found.classes] == [
        (0, "meadow"),
        (1, "tree"),
        (2, "tree 2"),
        (4, "sea"),
    ]
    assert found.removed == ()
    assert table.take_list([LabelClass("tree", (0, 0, 0)), LabelClass("sky", (0, 0, 0))])
    with pytest.raises(InputError, match="already"):
        table.take_list([LabelClass("road", (0, 0, 0))])


def test_comes_back_from_text(table: ClassTable) -> None:
    edited = table.lock(0, True).hide(1, True).remove(2, 0).recolor(0, (1, 2, 3))
    assert ClassTable.from_json(edited.to_json()) == edited
