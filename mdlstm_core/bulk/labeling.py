"""What every engine does with each image: `Labeler.label_image`, and nothing else."""

from __future__ import annotations

import logging
import time
from pathlib import Path, PurePath
from typing import NamedTuple

from mdlstm_core.bulk.locations import local_file
from mdlstm_core.bulk.rows import Row
from mdlstm_core.bulk.sources import ImageRecord
from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.data.images import read_image
from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder
from mdlstm_core.formats.indexed_png import save_indexed_png
from mdlstm_core.formats.names import safe_parts
from mdlstm_core.kernels import select_kernel
from mdlstm_core.predictor import Predictor

MASKS = "masks"
"""The folder of the label maps in the target."""

_log = logging.getLogger(__name__)


class LabelingJob(NamedTuple):
    """What a worker must know, in a few bytes.

    Attributes:
        model: the checkpoint's file.
        device: "auto", "cpu" or "cuda".
        source: what names the images; for sentences.
        target: the folder to write into.
    """

    model: str
    device: str
    source: str
    target: str


class Labeler:
    """A model, loaded once, that labels images one after the other.

    Raises:
        InputError: the model or the device cannot be used.
    """

    def __init__(self, job: LabelingJob) -> None:
        self._job = job
        self._predictor = Predictor(load_checkpoint(job.model), job.device)
        # All images through one kernel: the same call gives the same to the last bit.
        select_kernel(device=self._predictor.device.device, wait=True)

    def label_image(self, record: ImageRecord) -> Row:
        """Label an image and write its label map; whatever goes wrong stands in the row."""
        start = time.perf_counter()
        mask, message = None, None
        try:
            mask = self._write_mask(record)
        except InputError as error:
            message = str(error)
        except MemoryError:
            message = f"There is not enough memory to label {record.location}."
        # An image that we did not foresee must not end a run of a million others.
        except Exception as error:
            _log.exception("%s could not be labeled", record.location)
            message = f"{record.location} could not be labeled ({error!r})."
        return Row(record.id, record.location, mask, time.perf_counter() - start, message)

    def _write_mask(self, record: ImageRecord) -> str:
        safe_parts(record.id, Path(self._job.source))
        # Not joined of its parts: on Linux a\b.jpg is another image than a/b.jpg.
        mask = f"{MASKS}/{PurePath(record.id).as_posix()}.png"
        with local_file(record.folder, record.name) as path:
            image = read_image(path)
        # The files are kept: they must not depend on how much of the GPU's memory is free.
        label_map = self._predictor.predict(image, exact=True).label_map
        file = Path(self._job.target, mask)
        make_folder(file.parent)
        save_indexed_png(label_map, self._predictor.classes, file)
        return mask
