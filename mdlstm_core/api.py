"""The library in a few calls: load a model, train one, read and write labeled images.

Each example below runs as a test, in an empty folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.checkpoint import Checkpoint, load_checkpoint
from mdlstm_core.config import DEFAULT_MODEL, IGNORE_INDEX, LabelClass
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.devices import select_device
from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder
from mdlstm_core.formats.exchange import LabelSource, ReadOptions, Record, WriteOptions
from mdlstm_core.formats.registry import load_format
from mdlstm_core.formats.target import writing
from mdlstm_core.predictor import Predictor
from mdlstm_core.presets import preset as preset_of
from mdlstm_core.training.options import TrainingOptions
from mdlstm_core.training.sources import Source
from mdlstm_core.training.trainer import Trainer

__all__ = ["label_source", "load_model", "read_dataset", "train", "write_dataset"]


def load_model(name_or_path: str | Path = DEFAULT_MODEL, device: str = "auto") -> Predictor:
    """Load a model onto a device.

    Args:
        name_or_path: a shipped model's name, or a checkpoint file.
        device: "auto" (the GPU if there is one), "cpu" or "cuda".

    Raises:
        InputError: there is no such model, or the device cannot be used.

    Examples:
        >>> model = load_model("scene", device="cpu")
        >>> [c.name for c in model.classes][:3]
        ['sky', 'tree', 'road']
    """
    return Predictor(load_checkpoint(name_or_path), device)


def train(
    dataset: Path | str,
    out: Path | str,
    preset: str = "scene",
    options: TrainingOptions | None = None,
    device: str = "auto",
    on_progress: Callable[[dict[str, Any]], None] = lambda _line: None,
    on_notice: Callable[[str], None] = lambda _notice: None,
) -> Checkpoint:
    """Train a network from scratch on a dataset folder and return the best checkpoint.

    Args:
        dataset: folder with `images/`, `labels/`, `classes.json`, `train.txt` and `val.txt`.
        out: the checkpoint to write; a log and a state to resume from lie beside it.
        preset: which architecture, see `mdlstm_core.presets.PRESET_NAMES`.
        options: how to train.
        device: "auto", "cpu" or "cuda".
        on_progress: called with figures after each step and epoch, on the calling thread.
        on_notice: called with what the user should know of the GPU's memory; with an empty
            sentence of an image that was measured as usual.

    Raises:
        InputError: the dataset cannot be used, or the checkpoint cannot be written.
    """
    folder, out = Path(dataset), Path(out)
    images, measured = (LabeledFolder(folder, folder / f"{n}.txt") for n in ("train", "val"))
    make_folder(out.absolute().parent)
    trainer = Trainer(
        preset_of(preset, len(images.classes)),
        [Source(images, measured, out)],
        options or TrainingOptions(),
        select_device(device).device,
    )
    trainer.run(on_progress, on_notice=on_notice)
    return load_checkpoint(out)


def read_dataset(
    source: Path | str,
    format: str = "dataset",  # noqa: A002 - what the command line calls it
    *,
    images: Path | str | None = None,
    ignore_value: int = IGNORE_INDEX,
) -> LabelSource:
    """Return labeled images in any exchange format; label maps are read when asked for.

    Args:
        source: file or folder.
        format: the format's name, see `mdlstm_core.formats.registry.format_names`.
        images: folder with the images, where the format does not say where they are.
        ignore_value: of pixels without a label in files of class ids.

    Raises:
        InputError: it cannot be read; `Record.load` raises it for one image.
    """
    options = ReadOptions(None if images is None else Path(images), ignore_value)
    return load_format(format).read(Path(source), options)


def write_dataset(
    source: LabelSource,
    folder: Path | str,
    format: str = "dataset",  # noqa: A002 - what the command line calls it
    options: WriteOptions | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write labeled images in any exchange format: all files appear, or none.

    Args:
        source: what `read_dataset` or `label_source` returned.
        folder: where to write.
        format: the format's name.
        options: how to write.
        overwrite: replace files that are there.

    Raises:
        InputError: the format cannot hold it, or a file cannot be written.

    Examples:
        >>> classes = [LabelClass("sky", (90, 150, 230)), LabelClass("road", (90, 90, 90))]
        >>> labels = np.array([[0, 0, 255], [1, 1, 255]], np.uint8)
        >>> found = label_source(classes, {"a": labels})
        >>> write_dataset(found, "masks", "indexed-png")
        >>> read_dataset("masks", "indexed-png").records[0].load().tolist()
        [[0, 0, 255], [1, 1, 255]]
    """
    with writing(Path(folder), overwrite=overwrite) as target:
        exchange_format = load_format(format)
        exchange_format.check(source.classes)
        exchange_format.write(source, target, options or WriteOptions())


def label_source(
    classes: Sequence[LabelClass],
    label_maps: Mapping[str, NDArray[np.uint8]],
    images: Mapping[str, Path] | None = None,
) -> LabelSource:
    """Return label maps in memory as what `write_dataset` writes.

    Args:
        classes: in the order of the label maps' values.
        label_maps: H×W of class indices by name, `IGNORE_INDEX` where there is no label.
        images: the images' files by name, for formats that store them.

    Raises:
        InputError: a label map is none, or has a class that there is not.

    Examples:
        >>> label_source([LabelClass("sky", (0, 0, 255))], {"a": np.array([[1]], np.uint8)})
        Traceback (most recent call last):
        mdlstm_core.errors.InputError: The label map a has the class 1, but there are 1 classes.
    """
    files = images or {}
    for name, label_map in label_maps.items():
        if label_map.dtype != np.uint8 or label_map.ndim != 2:
            raise InputError(f"The label map {name} is not H×W of uint8.")
        used = label_map[label_map != IGNORE_INDEX]
        if used.size and used.max() >= len(classes):
            raise InputError(
                f"The label map {name} has the class {used.max()}, "
                f"but there are {len(classes)} classes."
            )
    records = (
        Record(name, files.get(name), partial(np.asarray, label_map))
        for name, label_map in label_maps.items()
    )
    return LabelSource(tuple(classes), tuple(records))
