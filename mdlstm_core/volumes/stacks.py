"""Volumes as TIFF stacks and as the network takes them.

tifffile reads them: it knows the layouts of ImageJ, OME and plain pages, and compression.
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdlstm_core.errors import InputError
from mdlstm_core.files import write_whole

MAX_VOXELS = 400_000_000
"""Larger stacks are refused: they would not fit into a laptop's memory."""

# What it says of odd metadata: the stack is read, or the error below says more.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def read_stack(path: Path) -> NDArray[np.generic]:
    """Read a TIFF stack as D×H×W×C, of its own number type; one page is a stack of one.

    Raises:
        InputError: the file is missing, damaged, too large or no stack of equal pages.
    """
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series
            if len(series) != 1:
                sizes = sorted({page.shape for page in file.pages})
                raise InputError(
                    f"{path} has pages of different sizes or types ({_listed(sizes)}); "
                    "save one stack of equal pages."
                )
            axes, size = series[0].axes, series[0].size
            if size > MAX_VOXELS:
                raise InputError(f"{path} has {size} values; at most {MAX_VOXELS} can be opened.")
            values = series[0].asarray()
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}.") from error
    # Its decoders let through whatever a damaged file makes them stumble over.
    except Exception as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise InputError(f"{path} is not a TIFF stack that can be read ({reason}).") from error
    return _arranged(values, axes, path)


def read_label_stack(path: Path) -> NDArray[np.uint8]:
    """Read a TIFF stack of class indices, D×H×W; 255 is no label.

    Raises:
        InputError: it cannot be read (see `read_stack`), or is not one channel of 8 bits.
    """
    values = read_stack(path)
    if values.dtype != np.uint8 or values.shape[3] != 1:
        raise InputError(
            f"{path} has {values.shape[3]} channels of {values.dtype}; "
            "save class indices as one channel of 8 bits."
        )
    return np.ascontiguousarray(values[..., 0]).astype(np.uint8)


def save_label_stack(labels_DHW: NDArray[np.uint8], path: Path) -> None:
    """Write class indices as a compressed TIFF stack, a page a slice.

    Raises:
        InputError: the file cannot be written.
    """
    content = io.BytesIO()
    # Named, since a stack of three slices would be taken for red, green and blue.
    tifffile.imwrite(content, labels_DHW, photometric="minisblack", compression="zlib")
    write_whole(path, content.getvalue())


def volume_input(volume_DHWC: NDArray[np.generic], name: str = "The volume") -> Tensor:
    """Return a volume as the network looks at it: 1×C×D×H×W, each channel standardised.

    Args:
        volume_DHWC: of any number type.
        name: of the volume, for the sentences of what cannot be used.

    Raises:
        InputError: it is not D×H×W×C, is empty, or has a value that is not finite.
    """
    if volume_DHWC.ndim != 4 or 0 in volume_DHWC.shape:
        raise InputError(f"{name} must be slices×rows×columns×channels, not {volume_DHWC.shape}.")
    values = volume_DHWC.astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{name} has values that are not finite numbers; replace them.")
    # In double precision: the sums run over millions of voxels.
    mean = values.mean(axis=(0, 1, 2), dtype=np.float64)
    deviation = np.maximum(values.std(axis=(0, 1, 2), dtype=np.float64), 1e-6)
    values = ((values - mean) / deviation).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(3, 0, 1, 2))).unsqueeze(0)


def piece_size(
    whole: Sequence[int], most: Sequence[int], share: float = 1.0
) -> tuple[int, int, int]:
    """Return slices, rows and columns of the pieces that a volume is taken in.

    Args:
        whole: slices, rows and columns of the volume.
        most: of a piece.
        share: of a piece's voxels, 0 to 1. All slices stay, since there are few of them.
    """
    slices, rows, columns = (min(pair) for pair in zip(whole, most, strict=True))
    side = math.sqrt(share)
    return slices, max(1, round(rows * side)), max(1, round(columns * side))


def _arranged(values: NDArray[np.generic], axes: str, path: Path) -> NDArray[np.generic]:
    """Bring what tifffile read, with a letter an axis, into the order D×H×W×C."""
    channels = next((axes.index(name) for name in "SC" if name in axes), None)
    if channels is None:
        values, axes = values[..., np.newaxis], axes + "S"
        channels = len(axes) - 1
    values = np.moveaxis(values, channels, -1)
    leading = values.shape[:-3]
    if values.ndim < 3 or sum(size > 1 for size in leading) > 1 or not values.size:
        raise InputError(f"{path} has the axes {axes}, {values.shape}; save a stack of slices.")
    if values.dtype.kind not in "uifb":
        raise InputError(f"{path} has values of the type {values.dtype}; save grey values.")
    return values.reshape(-1, *values.shape[-3:])


def _listed(sizes: list[tuple[int, ...]]) -> str:
    return ", ".join("×".join(map(str, size)) for size in sizes[:3])
