"""The platform's own dialogs, to choose what is opened and where something is written."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from mdlstm_core.data.images import IMAGE_SUFFIXES


def ask_images(parent: QWidget) -> list[Path]:
    """Let the user choose images or a project; empty if none."""
    patterns = " ".join(f"*{suffix}" for suffix in IMAGE_SUFFIXES)
    kinds = f"Images and projects ({patterns} *.mdlp)"
    names, _ = QFileDialog.getOpenFileNames(parent, "Open images", "", kinds)
    return [Path(name) for name in names]


def ask_folder(parent: QWidget) -> list[Path]:
    """Let the user choose a folder of images; empty if none."""
    name = QFileDialog.getExistingDirectory(parent, "Open a folder of images")
    return [Path(name)] if name else []


def ask_export(parent: QWidget, image: Path) -> Path | None:
    """Let the user choose where the mask of an image is written; None if nowhere."""
    # In a folder of its own: beside the photographs it would be opened as one of them.
    folder = image.parent / "masks"
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
    proposed = folder / f"{image.stem}.png"
    path = ask_file_to_write(parent, "Export mask", proposed, "PNG (*.png)")
    if path is not None:
        return path
    with suppress(OSError):
        folder.rmdir()  # only if it is empty
    return None


def ask_file_to_write(parent: QWidget, title: str, proposed: Path, kinds: str) -> Path | None:
    """Let the user choose where a file is written; None if nowhere.

    A name without the suffix of `proposed` gets it. If there is such a file, the dialog comes
    again with that name: it warns of what would be replaced, but only of the name it shows.
    """
    suffix = proposed.suffix
    while True:
        name, _ = QFileDialog.getSaveFileName(parent, title, str(proposed), kinds)
        if not name:
            return None
        if Path(name).suffix.lower() == suffix:
            return Path(name)
        proposed = Path(f"{name}{suffix}")
        if not proposed.exists():
            return proposed


def ask_target_folder(parent: QWidget) -> Path | None:
    """Ask for a folder to write into; None if the user thinks better of it."""
    folder = QFileDialog.getExistingDirectory(parent, "Save into a folder")
    return Path(folder) if folder else None
