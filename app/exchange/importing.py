"""Labels that other programs wrote, brought into a project without taking any away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from app.document.class_table import ClassTable
from app.document.packed_patch import PackedPatch
from app.document.patch import Patch
from app.document.steps import PackedImagePatch
from app.document.stroke import Box
from app.exchange.project_view import ProjectView, check_size, names_of
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.pages import image_file
from mdlstm_core.errors import InputError
from mdlstm_core.formats.class_mapping import ClassMapping, map_classes
from mdlstm_core.formats.exchange import LabelMap, LabelSource, Record


@dataclass(frozen=True)
class ImportPlan:
    """What an import would do, before any label map is read.

    Attributes:
        source: the labeled images, with their own classes.
        mapping: which class of the project each of their classes becomes.
        table: the project's classes, new ones at the end.
        places: the image that each record's labels belong to, by the record's name.
        new_images: those of them that the project does not have yet.
        lost: why records cannot be imported, by name: there is no image for them.
    """

    source: LabelSource
    mapping: ClassMapping
    table: ClassTable
    places: Mapping[str, Path]
    new_images: tuple[Path, ...]
    lost: Mapping[str, InputError]


@dataclass
class ImportChanges:
    """What an import changes.

    Attributes:
        patches: the labels to set, one patch an image.
        kept: names of records where other labels of a person stay.
        same: how many images have these labels already.
        broken: why records were left out, by name.
    """

    patches: list[PackedImagePatch] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    same: int = 0
    broken: dict[str, InputError] = field(default_factory=dict)


def plan_import(
    source: LabelSource, view: ProjectView, renames: Mapping[str, str] | None = None
) -> ImportPlan:
    """Find the image and the class that each record and class of a source belong to.

    A record belongs to the project's image of the same name, otherwise to its own image,
    which becomes one of the project's.

    Args:
        source: the labeled images.
        view: the project.
        renames: what classes become that are not found by their names; see `map_classes`.

    Raises:
        InputError: a class that is to be renamed is not there, or there are too many.
    """
    own = view.classes.table
    target = tuple(LabelClass(c.name, c.color) for c in own.classes)
    mapping = map_classes(source.classes, target, renames or {})
    table = own
    for added in mapping.classes[len(target) :]:
        table = table.add(added.name, added.color)
    images = [found.path for found in view.images]
    by_name = {name: path for path, name in names_of(images).items()}
    by_path, known = {path.absolute(): path for path in images}, set(images)
    places: dict[str, Path] = {}
    taken: set[Path] = set()
    new: dict[Path, None] = {}
    lost: dict[str, InputError] = {}
    for record in source.records:
        place = _place(record, by_name, by_path)
        if place is None:
            lost[record.name] = InputError(
                f"{view.path} has no image {record.name}; add it to the project, or give the "
                "folder of the images."
            )
            continue
        if place in taken:
            lost[record.name] = InputError(f"The labels of {place} are there twice; remove one.")
            continue
        places[record.name] = place
        taken.add(place)
        if place not in known:
            new[place] = None
    return ImportPlan(source, mapping, table, places, tuple(new), lost)


def changes_of(
    plan: ImportPlan,
    view: ProjectView,
    *,
    overwrite: bool = False,
    skip_broken: bool = True,
    only: set[Path] | None = None,
    on_record: Callable[[], None] = lambda: None,
    stop: threading.Event | None = None,
) -> ImportChanges:
    """Read the label maps and work out what they change.

    Args:
        plan: what to import.
        view: the project.
        overwrite: replace labels that a person set; pixels of locked classes stay anyway.
        skip_broken: leave out what cannot be read instead of raising.
        only: only these images; all if None.
        on_record: called after each record.
        stop: set it to end early, with what there is.

    Raises:
        InputError: a record cannot be read or does not fit its image.
    """
    changes = ImportChanges()
    for record in _records(plan, only, stop):
        try:
            if record.name in plan.lost:
                record.load()  # what is wrong with the record itself says more
                raise plan.lost[record.name]
            _add(changes, record, plan, view, overwrite)
        except InputError as error:
            if not skip_broken:
                raise
            changes.broken[record.name] = error
        on_record()
    return changes


def _records(
    plan: ImportPlan, only: set[Path] | None, stop: threading.Event | None
) -> Iterator[Record]:
    for record in plan.mapping.apply(plan.source).records:
        if stop is not None and stop.is_set():
            return
        if only is None or plan.places.get(record.name) in only:
            yield record


def _place(
    record: Record, by_name: Mapping[str, Path], by_path: Mapping[Path, Path]
) -> Path | None:
    own = record.image
    if own is not None and own.absolute() in by_path:
        return by_path[own.absolute()]
    if record.name in by_name:
        return by_name[record.name]
    return own.absolute() if own is not None and image_file(own).is_file() else None


def _add(
    changes: ImportChanges, record: Record, plan: ImportPlan, view: ProjectView, overwrite: bool
) -> None:
    """Add what one record changes."""
    image = plan.places[record.name]
    labels = _labels_of_places(plan)[record.load()]
    if image_file(image).is_file():
        check_size(labels, image, f"The labels of {record.name}")
    before = view.labels(image)
    if before is None:
        before = np.full(labels.shape, IGNORE_INDEX, dtype=np.uint8)
    if before.shape != labels.shape:
        raise InputError(
            f"The labels of {record.name} are {labels.shape[1]}×{labels.shape[0]} pixels, "
            f"but those in {view.path} are {before.shape[1]}×{before.shape[0]}."
        )
    differs = (labels != IGNORE_INDEX) & (labels != before)
    if not differs.any():
        changes.same += 1
        return
    free = np.full(256, overwrite)
    free[list(view.classes.table.locked)] = False
    free[IGNORE_INDEX] = True
    mask = differs & free[before]
    if (differs & ~mask).any():
        changes.kept.append(record.name)
    if mask.any():
        patch = PackedPatch.of(_patch(mask, before, labels))
        changes.patches.append(PackedImagePatch(image, (labels.shape[0], labels.shape[1]), patch))


def _labels_of_places(plan: ImportPlan) -> LabelMap:
    """Return the label of each class of the mapping, by its place."""
    labels = {c.name: c.label for c in plan.table.classes}
    table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
    table[: len(plan.mapping.classes)] = [labels[c.name] for c in plan.mapping.classes]
    return table


def _patch(mask_HW: np.ndarray, before_HW: LabelMap, labels_HW: LabelMap) -> Patch:
    left, top, width, height = cv2.boundingRect(mask_HW.astype(np.uint8))
    box = Box(top, left, top + height, left + width)
    mask = mask_HW[box.slices].copy()
    after = labels_HW[box.slices][mask]
    same = bool((after == after[0]).all())
    return Patch(box, mask, before_HW[box.slices][mask], int(after[0]) if same else after)
