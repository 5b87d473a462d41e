"""Where projects lie: beside their images, or in the user's data folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from hashlib import sha256
from itertools import islice
from pathlib import Path

import platformdirs

from app.storage.fingerprint import find_moved, may_be_moved
from app.storage.project_file import ProjectFile
from mdlstm_core.data.pages import image_file
from mdlstm_core.errors import InputError

_MOST_BYTES = 64 << 20
"""Read to find a project's images, for the window waits: a tenth of a second."""

_log = logging.getLogger(__name__)


def project_path_for(image: Path) -> Path:
    """Return where the project of an image lies: beside it, or in the user's data folder.

    The latter if the image's folder cannot be written into.
    """
    folder = Path(os.path.abspath(image)).parent
    beside = folder / f"{folder.name or 'images'}.mdlp"
    if beside.exists() or os.access(folder, os.W_OK | os.X_OK):
        return beside
    digest = sha256(str(folder).encode()).hexdigest()[:12]
    return _data_folder() / f"{folder.name}-{digest}.mdlp"


def image_folders(project: Path, images: Iterable[Path]) -> list[Path]:
    """Return the folders whose images belong to a project, where that is known.

    Args:
        project: its file; the images lie beside it, or it is in the user's data folder.
        images: those of the project that are known.
    """
    if project.parent != _data_folder():
        return [project.parent]
    return list(dict.fromkeys(image.parent for image in images))


def project_from_elsewhere(images: Sequence[Path]) -> Path | None:
    """Return the project in the user's data folder that these images belong to, if any.

    It lists one of them; or its own images are gone, and one of these is a missing one by
    its content: their folder was moved, which a project outside it cannot notice.
    """
    for path in sorted(_data_folder().glob("*.mdlp")):
        try:
            if _knows(path, images):
                return path
        except InputError as error:
            _log.warning("looking for the project of moved images: %s", error)
    return None


def _knows(project: Path, images: Sequence[Path]) -> bool:
    with closing(ProjectFile(project)) as file:
        stored = file.images()
    if not {image.path for image in stored}.isdisjoint(images):
        return True
    gone = (i for i in stored if i.fingerprint and not image_file(i.path).exists())
    missing = {i.path: i.fingerprint for i in islice(gone, 1) if i.fingerprint}
    most = sum(_MOST_BYTES // max(1, known.size) for known in missing.values())
    return bool(find_moved(missing, may_be_moved(missing, images)[:most]))


def _data_folder() -> Path:
    return platformdirs.user_data_path("mdlstm-labeler", appauthor=False) / "projects"
