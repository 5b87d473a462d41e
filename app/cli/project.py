"""`mdlstm project`: make, fill, look into, check and repair project files."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from app.cli.common import (
    IncompleteError,
    add_command,
    add_json_option,
    print_result,
    progress_bar,
    raise_left_out,
)
from app.document.class_table import ClassTable
from app.exchange.project_access import writing_project
from app.storage.changes import Change, MarkDone, SaveClasses, SaveFingerprint
from app.storage.fingerprint import fingerprint_of
from app.storage.inspection import describe, faults_of
from app.storage.project_lock import ProjectLock
from app.storage.project_places import project_path_for
from app.storage.repair import salvage
from mdlstm_core.data.images import find_images, image_size
from mdlstm_core.errors import InputError
from mdlstm_core.formats.class_lists import read_class_list

_EXAMPLES = """examples:
  mdlstm project new photos --classes classes.txt
  mdlstm project add photos/photos.mdlp more/one.jpg more/two.jpg
  mdlstm project info photos/photos.mdlp --json
  mdlstm project check photos/photos.mdlp
  mdlstm project repair photos/photos.mdlp --out photos/rescued.mdlp
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the actions and their options."""
    parser = add_command(
        commands, "project", "make, fill, look into, check and repair projects", _EXAMPLES
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = add_command(
        actions, "new", "make a project of a folder of images", _examples("new", 1),
        "Make a project of images. It lies beside them, where the window looks for it.",
    )  # fmt: skip
    new.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="a folder, or images")
    new.add_argument(
        "--classes", type=Path, metavar="FILE", help="classes.txt or JSON (the model's classes)"
    )
    new.add_argument("--out", type=Path, metavar="PROJECT", help="the file (FOLDER/FOLDER.mdlp)")
    new.set_defaults(run=_new)
    add = add_command(actions, "add", "add images to a project", _examples("add", 2))
    add.add_argument("project", type=Path, help="the project (.mdlp)")
    add.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="images or folders")
    add.set_defaults(run=_add)
    info = add_command(actions, "info", "say what is in a project", _examples("info", 3))
    info.add_argument("project", type=Path, help="the project (.mdlp)")
    info.set_defaults(run=_info)
    check = add_command(
        actions, "check", "look whether a project is sound", _examples("check", 4),
        "Look whether a project is sound and its images are there; exit code 1 if not.",
    )  # fmt: skip
    check.add_argument("project", type=Path, help="the project (.mdlp)")
    check.set_defaults(run=_check)
    repair = add_command(
        actions, "repair", "write what can be read of a project into a new one",
        _examples("repair", 5), "Write what can be read of a damaged project into a new file.",
    )  # fmt: skip
    repair.add_argument("project", type=Path, help="the damaged project, which stays as it is")
    repair.add_argument(
        "--out", type=Path, metavar="PROJECT", help="the new file (NAME-repaired.mdlp beside it)"
    )
    repair.set_defaults(run=_repair)
    for action in (new, add, info, check, repair):
        add_json_option(action)


def _examples(_action: str, line: int) -> str:
    return f"examples:\n{_EXAMPLES.splitlines()[line]}\n"


def _new(options: argparse.Namespace) -> None:
    """Make a project.

    Raises:
        InputError: there is one already, or an image or the list of classes cannot be used.
    """
    images = _absolute(find_images(options.paths))
    path = options.out or project_path_for(images[0])
    if path.suffix != ".mdlp":
        raise InputError(f"{path} is no name of a project; let it end in .mdlp.")
    first: list[Change] = []
    if options.classes is not None:
        table = ClassTable().take_list(read_class_list(options.classes))
        first.append(SaveClasses(table, ()))
    with writing_project(Path(os.path.abspath(path)), make=True) as project:
        found, failures = _described(images)
        if not found:
            raise failures[0]
        project.commit([*first, *found])
    values = {"project": str(path), "images": len(images) - len(failures)}
    print_result(options, values, f"{path}: {values['images']} images.")
    raise_left_out(failures)


def _add(options: argparse.Namespace) -> None:
    """Add images; those that are there already stay as they are.

    Raises:
        InputError: there is no such project, or none of the images can be used.
    """
    images = _absolute(find_images(options.paths))
    with writing_project(Path(os.path.abspath(options.project))) as project:
        known = {found.path for found in project.file.images()}
        new = [image for image in images if image not in known]
        found, failures = _described(new)
        project.commit(found)
    added = len(new) - len(failures)
    values = {"project": str(options.project), "added": added, "known": len(images) - len(new)}
    text = f"{options.project}: {added} images added, {values['known']} were there already."
    print_result(options, values, text)
    raise_left_out(failures)


def _described(images: list[Path]) -> tuple[list[Change], list[InputError]]:
    """Return what stores images nobody labeled yet, and which of them cannot be read."""
    changes: list[Change] = []
    failures: list[InputError] = []
    with progress_bar(len(images), "image") as bar:
        for image in images:
            try:
                height, width = image_size(image)
                fingerprint = fingerprint_of(image)
            except InputError as error:
                failures.append(error)
            else:
                changes.append(MarkDone(image, height, width, done=False))
                changes.append(SaveFingerprint(image, fingerprint))
            bar.update()
    return changes, failures


def _info(options: argparse.Namespace) -> None:
    """Say what is in a project.

    Raises:
        InputError: it cannot be read.
    """
    _assert_there(options.project)
    found = describe(options.project)
    print_result(options, found, _info_text(found))


def _info_text(found: dict[str, Any]) -> str:
    statuses = ", ".join(f"{count} {status}" for status, count in found["status"].items())
    models = found["model_bytes"]
    lines = {
        "project": f"{found['project']}, {_size(found['bytes'])}, version {found['version']}",
        "images": f"{found['images']} ({statuses}), {len(found['missing_images'])} missing",
        "classes": ", ".join(f"{c['label']} {c['name']}" for c in found["classes"]) or "none yet",
        "labels": _size(found["label_bytes"]),
        "history": f"{found['steps']} steps, {found['undone_steps']} undone, "
        f"{_size(found['history_bytes'])}",
        "models": ", ".join(f"{role} {_size(size)}" for role, size in models.items()) or "none",
    }
    return "\n".join(f"{name:<8} {value}" for name, value in lines.items())


def _check(options: argparse.Namespace) -> None:
    """Look whether a project is sound.

    Raises:
        IncompleteError: it is not.
    """
    _assert_there(options.project)
    faults = list(faults_of(options.project))
    values = {"project": str(options.project), "faults": [fault._asdict() for fault in faults]}
    text = "\n".join(fault.what for fault in faults)
    print_result(options, values, text or f"{options.project} is sound.")
    if faults:
        gone = all(fault.kind in ("missing", "image") for fault in faults)
        mend = "put the images back" if gone else "mdlstm project repair salvages what it can"
        raise IncompleteError(f"{options.project} has {len(faults)} faults; {mend}.")


def _repair(options: argparse.Namespace) -> None:
    """Write what can be read into a new file, and say what could not.

    Raises:
        InputError: nothing can be read, or the new file cannot be written.
        IncompleteError: something was lost.
    """
    path: Path = options.project
    _assert_there(path)
    out = options.out or path.with_name(f"{path.stem}-repaired.mdlp")
    if out.absolute().parent != path.absolute().parent:
        raise InputError(f"{out} must lie beside {path}, where its images are found from.")
    lock = ProjectLock(path)
    if not lock.acquire():
        raise InputError(f"{path} is open in a window or another command; close it there first.")
    try:
        found = salvage(path, out)
    finally:
        lock.release()
    values = {"project": str(path), "out": str(out), "kept": found.kept, "lost": found.lost}
    kept = ", ".join(f"{count} {table}" for table, count in found.kept.items() if count)
    print_result(options, values, f"{out}: {kept or 'nothing'}.")
    raise_left_out([InputError(text) for text in found.lost])


def _assert_there(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"There is no project {path}.")


def _absolute(paths: list[Path]) -> list[Path]:
    # Not resolve(): a link's name is the name the user knows.
    return [Path(os.path.abspath(path)) for path in paths]


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
