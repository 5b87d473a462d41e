"""A project's labels as a source that every exchange format can write."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from app.exchange.project_view import ProjectImage, ProjectView, check_size, names_of
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.images import image_size
from mdlstm_core.data.pages import image_file
from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import LabelMap, LabelSource, Record

Whose = Literal["person", "all"]
"""What is exported: what a person set, or also the model's labels for the rest."""


class Fill(Protocol):
    """Labels an image where nobody did, with the project's labels."""

    def __call__(self, image: Path) -> LabelMap:
        """Return its label map; raises `InputError` if it cannot be read."""


def labels_source(
    view: ProjectView, images: Sequence[ProjectImage], fill: Fill | None = None
) -> LabelSource:
    """Return labels of a project, the classes in the order of their labels.

    A class keeps its label as its id as long as no label before it is unused. Without
    `fill`, images on which nobody set a label are left out.

    Args:
        view: the project.
        images: which of its images.
        fill: labels what a person did not.

    Raises:
        InputError: there are no such labels, or they cannot be read.
    """
    classes = sorted(view.classes.table.classes, key=lambda c: c.label)
    ids = np.full(256, IGNORE_INDEX, dtype=np.uint8)
    ids[[c.label for c in classes]] = np.arange(len(classes))
    names = names_of([found.path for found in view.images])
    chosen = [i for i in images if fill or _has_labels(view, i)]
    if not chosen:
        raise InputError(f"Nothing of what is asked for is labeled in {view.path}.")
    records = []
    for found in chosen:
        image = found.path if image_file(found.path).is_file() else None
        load = partial(_load, view, found.path, fill, ids)
        records.append(Record(names[found.path], image, load))
    return LabelSource(tuple(LabelClass(c.name, c.color) for c in classes), tuple(records))


def _has_labels(view: ProjectView, image: ProjectImage) -> bool:
    if image.status == "started":
        return True
    labels = view.labels(image.path)
    return labels is not None and bool((labels != IGNORE_INDEX).any())


def _load(view: ProjectView, image: Path, fill: Fill | None, ids: LabelMap) -> LabelMap:
    labels = view.labels(image)
    view.check(image)
    is_there = image_file(image).is_file()
    if labels is None:
        labels = np.full(image_size(image), IGNORE_INDEX, dtype=np.uint8)
    elif is_there:
        check_size(labels, image, f"The labels in {view.path}")
    if fill is not None:
        unlabeled = labels == IGNORE_INDEX
        if unlabeled.any():
            labels = np.where(unlabeled, fill(image), labels)
    return ids[labels]
