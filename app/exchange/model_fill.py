"""A model's labels where a person set none: the same that the window shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.document.class_table import ClassTable
from app.document.project_classes import ProjectClasses
from mdlstm_core.config import DEFAULT_MODEL, IGNORE_INDEX
from mdlstm_core.data.images import read_image
from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import LabelMap

if TYPE_CHECKING:
    from app.storage.project_file import ProjectFile
    from mdlstm_core.checkpoint import Checkpoint


class ModelFill:
    """Labels images with a model, by the labels that its classes stand for.

    Attributes:
        classes: the model's classes.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str,
        labels: Sequence[int],
        on_notice: Callable[[str], None] = lambda _notice: None,
    ) -> None:
        """Put the model on its device.

        Args:
            checkpoint: the model.
            device: "auto", "cpu" or "cuda".
            labels: what each class of the model stands for; `IGNORE_INDEX` for nothing.
            on_notice: called with what the user should know of an answer.

        Raises:
            InputError: the device cannot be used, or the weights do not fit.
        """
        from mdlstm_core.kernels import select_kernel
        from mdlstm_core.predictor import Predictor

        self._predictor = Predictor(checkpoint, device)
        # All images through one kernel: the same call gives the same to the last bit.
        select_kernel(device=self._predictor.device.device, wait=True)
        self._table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
        self._table[: len(labels)] = labels
        self._on_notice = on_notice
        on_notice(self._predictor.notice)

    def __call__(self, image: Path) -> LabelMap:
        """Return the model's label map of an image file.

        Raises:
            InputError: it cannot be read.
        """
        # The files are kept: they must not depend on how much of the GPU's memory is free.
        found = self._predictor.predict(read_image(image), exact=True)
        self._on_notice(found.notice)
        return self._table[found.label_map]


def project_model(
    file: ProjectFile, given: str | Path | None = None, fallback: str | Path = DEFAULT_MODEL
) -> Checkpoint:
    """Return the model of a project: what it learned, what it began with, or `fallback`.

    It looks as closely as the project says.

    Args:
        file: the project.
        given: a model to take instead: a shipped one's name, or a file.
        fallback: for a project that has no model of its own.

    Raises:
        InputError: it cannot be read.
    """
    from mdlstm_core.checkpoint import checkpoint_from_bytes, load_checkpoint

    stored = None if given else file.load_model("learned") or file.load_model("base")
    if stored is not None:
        found = checkpoint_from_bytes(stored, f"The model in {file.path}")
    else:
        found = load_checkpoint(given or fallback)
    return found.looking_at(file.pixels())


def with_model(classes: ProjectClasses, checkpoint: Checkpoint) -> ProjectClasses:
    """Return a project's classes, or the model's if it has none yet.

    Raises:
        InputError: the model knows none of them.
    """
    names = tuple(c.name for c in checkpoint.classes)
    if not classes.table.classes:
        return ProjectClasses(ClassTable.of(checkpoint.classes), names)
    if set(classes.labels_of(names)) == {IGNORE_INDEX}:
        own = ", ".join(c.name for c in classes.table.classes)
        raise InputError(
            f"The model knows none of the project's classes {own}; it has {', '.join(names)}."
        )
    return classes
