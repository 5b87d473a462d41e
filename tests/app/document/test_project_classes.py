"""Which label a model's class stands for: by name, through renaming, merging and growing."""

from __future__ import annotations

import numpy as np
import pytest

from app.document.class_table import ClassTable
from app.document.project_classes import ProjectClasses
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.errors import InputError

MODEL = tuple(LabelClass(name, (n, n, n)) for n, name in enumerate(("sky", "car", "road")))
NAMES = tuple(c.name for c in MODEL)


def test_a_models_own_project_has_its_classes() -> None:
    found = ProjectClasses(ClassTable.of(MODEL), NAMES).outputs(MODEL)
    assert (found.sources, found.labels, found.classes) == ((0, 1, 2), (0, 1, 2), MODEL)


def test_the_order_of_another_model_does_not_matter() -> None:
    project = ProjectClasses(ClassTable.of(MODEL), NAMES)
    assert project.labels_of(["road", "cat", "sky"]) == (2, IGNORE_INDEX, 0)


def test_a_renamed_class_is_still_known() -> None:
    project = ProjectClasses(ClassTable.of(MODEL).rename(0, "heaven"), NAMES)
    assert project.labels_of(NAMES) == (0, 1, 2)
    assert project.outputs(MODEL).classes == MODEL


def test_merged_and_deleted_classes() -> None:
    table = ClassTable.of(MODEL).remove(2, 1).remove(0)
    found = ProjectClasses(table, NAMES).outputs(MODEL)
    assert found.sources == (2, 1)  # what road was shows as car, the sky is gone
    assert found.labels == (1, 1)
    labels = np.array([0, 1, 2, IGNORE_INDEX], np.uint8)
    strokes = found.indices_of(labels)
    assert strokes.tolist() == [IGNORE_INDEX, 1, IGNORE_INDEX, IGNORE_INDEX]


def test_new_classes_are_appended_under_names_of_their_own() -> None:
    table = ClassTable.of(MODEL).rename(0, "heaven").add("cat").add("sky")
    found = ProjectClasses(table, NAMES).outputs(MODEL)
    assert found.sources == (0, 1, 2, None, None)
    assert found.labels == (0, 1, 2, 3, 4)
    assert [c.name for c in found.classes] == [*NAMES, "cat", "sky (4)"]
    # The model that learned them is known by these names again, whatever is renamed later.
    known = tuple(found.names[label] for label in range(5))
    later = ProjectClasses(table.rename(3, "tiger"), known)
    assert later.labels_of([c.name for c in found.classes]) == found.labels
    assert later.outputs(found.classes).sources == (0, 1, 2, 3, 4)


def test_a_list_of_the_users_leaves_out_what_it_lacks() -> None:
    table = ClassTable.of([LabelClass("cell", (1, 1, 1)), LabelClass("sky", (2, 2, 2))])
    found = ProjectClasses(table, ("", "sky")).outputs(MODEL)
    assert (found.sources, found.labels) == ((0, None), (1, 0))


def test_without_classes_there_is_nothing_to_be() -> None:
    with pytest.raises(InputError, match="add one first"):
        ProjectClasses(ClassTable(), NAMES).outputs(MODEL)
