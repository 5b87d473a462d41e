"""Finds the exchange formats: ours, and those that other packages declare.

A package adds a format by an entry point of the group `mdlstm_labeler.formats` that names
a class derived from `ExchangeFormat`.
"""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import ExchangeFormat

GROUP = "mdlstm_labeler.formats"

# Also for a checkout that is not installed, which has no entry points.
BUILT_IN = {
    "areas-csv": "mdlstm_core.formats.areas:AreasCsv",
    "areas-json": "mdlstm_core.formats.areas:AreasJson",
    "camvid": "mdlstm_core.formats.camvid:CamVid",
    "cityscapes": "mdlstm_core.formats.cityscapes:Cityscapes",
    "coco": "mdlstm_core.formats.coco_instances:CocoInstances",
    "coco-panoptic": "mdlstm_core.formats.coco_panoptic:CocoPanoptic",
    "dataset": "mdlstm_core.formats.dataset_folder:DatasetFolder",
    "id-png": "mdlstm_core.formats.id_png:IdPng",
    "id-png-16": "mdlstm_core.formats.id_png:IdPng16",
    "indexed-png": "mdlstm_core.formats.indexed_png:IndexedPng",
    "labelme": "mdlstm_core.formats.labelme:Labelme",
    "npy": "mdlstm_core.formats.npy:Npy",
    "overlay": "mdlstm_core.formats.overlay_png:OverlayPng",
    "voc": "mdlstm_core.formats.voc:PascalVoc",
    "yolo-seg": "mdlstm_core.formats.yolo_seg:YoloSeg",
}
"""Module and class of each format of this package, by name."""

_log = logging.getLogger(__name__)


def format_names() -> list[str]:
    """Return the names of all formats, sorted; none of them is loaded."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def load_format(name: str) -> ExchangeFormat:
    """Return a format by its name.

    Raises:
        InputError: there is no such format, or the package that adds it is broken.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return getattr(import_module(module), attribute)()
    for point in entry_points(group=GROUP):
        if point.name == name:
            return _load_foreign(point)
    raise InputError(f"There is no format {name!r}; there are {', '.join(format_names())}.")


def _load_foreign(point: EntryPoint) -> ExchangeFormat:
    package = point.dist.name if point.dist else point.module
    try:
        loaded = point.load()
        if not (isinstance(loaded, type) and issubclass(loaded, ExchangeFormat)):
            raise TypeError(f"{point.value} is not derived from ExchangeFormat")
        return loaded()
    # Another package's code: whatever it raises concerns its format alone.
    except Exception as error:
        _log.exception("the format %s of %s is broken", point.name, package)
        raise InputError(
            f"The format {point.name} of the package {package} is broken ({error}); "
            "update or remove that package."
        ) from error
