"""What the user opens: which project it belongs to, and which images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from app.storage.project_places import image_folders, project_from_elsewhere, project_path_for
from mdlstm_core.data.images import find_images, images_in
from mdlstm_core.errors import InputError


def projects_and_images(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the project files among `paths`, and the images, also those in folders.

    Of files with several pages, only the first is given.

    Raises:
        InputError: a path does not exist, or a folder has no images.
    """
    # Not resolve(): a link's name is the name the user knows.
    given = [Path(os.path.abspath(path)) for path in paths]
    projects = [path for path in given if path.suffix == ".mdlp"]
    return projects, find_images([p for p in given if p not in projects], pages=False)


def images_beside(project: Path, known: Sequence[Path]) -> list[Path]:
    """Return all images of the folders that a project is about, without further pages.

    Args:
        project: its file.
        known: those of its images that are known.

    Raises:
        InputError: a folder cannot be read.
    """
    folders = [folder for folder in image_folders(project, known) if folder.is_dir()]
    return [image for folder in folders for image in images_in(folder)]


def project_of(projects: list[Path], images: list[Path]) -> Path:
    """Return the one project file that the given projects and images belong to.

    Raises:
        InputError: there is no such project, or they belong to several.
    """
    wanted = dict.fromkeys([*projects, *(project_path_for(image) for image in images)])
    if len(wanted) > 1:
        folders = ", ".join(str(path.parent) for path in wanted)
        raise InputError(f"Open one folder at a time; these lie in several: {folders}.")
    (project,) = wanted
    if projects and not project.is_file():
        raise InputError(f"There is no project {project}.")
    if not project.is_file():
        return project_from_elsewhere(images) or project
    return project
