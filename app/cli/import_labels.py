"""`mdlstm import`: read labels that other programs wrote."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from app.cli.common import add_command, progress_bar
from app.cli.exchange import Run, add_exchange_options, chosen, mapping_of, renames_of
from app.document.steps import IMPORT_TEXT, ClassChange, Do, Step
from app.exchange.importing import ImportChanges, ImportPlan, changes_of, plan_import
from app.exchange.project_access import OpenProject, writing_project
from app.exchange.project_view import ProjectImage, ProjectView, view_of
from app.storage.changes import Change, SaveClasses, SaveFingerprint
from app.storage.fingerprint import fingerprint_of
from mdlstm_core.data.images import images_in
from mdlstm_core.data.pages import image_file
from mdlstm_core.errors import InputError
from mdlstm_core.formats.dataset_folder import DatasetFolder, check_image
from mdlstm_core.formats.exchange import LabelSource, ReadOptions, WriteOptions
from mdlstm_core.formats.reading import listed_classes
from mdlstm_core.formats.registry import load_format
from mdlstm_core.formats.target import writing

_EXAMPLES = """examples:
  mdlstm import street-coco --format coco --out datasets/street
  mdlstm import street-coco --format coco --into photos/photos.mdlp
  mdlstm import masks/ --format indexed-png --into photos/photos.mdlp --overwrite --yes
  mdlstm import VOC2012 --format voc --map person=people --dry-run --out datasets/voc
  mdlstm import masks/ --format id-png --images photos/ --ignore-value 0 --out datasets/mine
  mdlstm import cvat-export --format camvid --skip-broken --json --out datasets/mine
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = add_command(
        commands,
        "import",
        "read labels that other programs wrote",
        _EXAMPLES,
        "Add labels in another format to a project or a dataset; see docs/formats.md. "
        "Labels that are there stay, unless --overwrite is given. Into a project it is one "
        "step, which the window can undo.",
    )
    parser.add_argument("source", type=Path, help="file or folder in the format")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--out", type=Path, metavar="DATASET", help="the dataset to add to, or a new one"
    )
    where.add_argument("--into", type=Path, metavar="PROJECT", help="the project to add to")
    add_exchange_options(parser)
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="the images, if they are not beside the labels"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Add the labels, all or none.

    Raises:
        InputError: nothing was written; or, at the end, an image was left out.
    """
    if options.out and (options.out.is_file() or options.out.suffix == ".mdlp"):
        raise InputError(f"{options.out} is not a dataset folder; give a project with --into.")
    if options.images is not None and not options.images.is_dir():
        raise InputError(f"There is no folder {options.images}.")
    exchange_format = load_format(options.format)
    read_options = ReadOptions(images=options.images, ignore_value=options.ignore_value)
    source = chosen(exchange_format.read(options.source, read_options), options.list)
    if options.into:
        # Images are stored by their paths from the project's folder.
        with writing_project(Path(os.path.abspath(options.into))) as project:
            _into_project(options, source, project)
    else:
        _into_dataset(options, source)


def _into_dataset(options: argparse.Namespace, source: LabelSource) -> None:
    mapping = mapping_of(options, source, listed_classes(options.out))
    current = Run(options, mapping, options.out)
    records = mapping.apply(source).records
    if not options.overwrite:
        labels = options.out / "labels"
        current.kept = [r.name for r in records if (labels / f"{r.name}.png").exists()]
        records = tuple(r for r in records if r.name not in set(current.kept))
    records = current.sound(records, partial(check_image, options.out))
    if not records or not current.may_write():
        current.report(0)
        return
    counted, bar = current.progress(LabelSource(mapping.classes, records))
    with bar, writing(options.out, overwrite=options.overwrite) as target:
        DatasetFolder().write(counted, target, WriteOptions())
    current.report(len(records))


def _into_project(options: argparse.Namespace, source: LabelSource, project: OpenProject) -> None:
    view = _with_images_beside(view_of(project.file))
    plan = plan_import(source, view, renames_of(options))
    current = Run(options, plan.mapping, options.into)
    if not current.may_write():
        current.report(0)
        return
    with progress_bar(len(source.records), "image") as bar:
        changes = changes_of(
            plan,
            view,
            overwrite=options.overwrite,
            skip_broken=options.skip_broken,
            on_record=bar.update,
        )
    project.commit(_as_one_step(plan, changes, view, project))
    current.kept = changes.kept
    current.leave_out(changes.broken)
    current.report(len(changes.patches))


def _with_images_beside(view: ProjectView) -> ProjectView:
    """Return a project with the images in its folder that the window would show with it."""
    known = {found.path for found in view.images}
    beside = [path for path in images_in(view.path.parent) if path not in known]
    return replace(view, images=(*view.images, *(ProjectImage(path, "new") for path in beside)))


def _as_one_step(
    plan: ImportPlan, changes: ImportChanges, view: ProjectView, project: OpenProject
) -> list[Change]:
    images = [patch.image for patch in changes.patches]
    changed: list[Change] = []
    classes = None
    if project.file.classes() is None:
        changed.append(SaveClasses(plan.table, ()))
    elif plan.table != view.classes.table:
        classes = ClassChange(view.classes.table, plan.table)
    if images or classes:
        number, shown = project.next_step, next(iter(images), None)
        changed.append(Do(Step(number, IMPORT_TEXT, shown, tuple(changes.patches), classes)))
    unknown = [i for i in images if image_file(i).is_file() and not project.file.fingerprint(i)]
    return [*changed, *(SaveFingerprint(image, fingerprint_of(image)) for image in unknown)]
