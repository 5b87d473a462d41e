"""What is done when memory does not suffice; all that runs a whole network goes through here.

On a GPU: once more in smaller pieces, then on the CPU, and the user is told. A 2D-LSTM
reaches from corner to corner, so an image cannot be cut into tiles: the smaller piece of an
image is a coarser look at it, of half as many pixels. A volume is cut into tiles or crops
anyway, and its smaller piece is half as large a one; that of a batch is fewer images. Nothing is
tried twice at one size, since torch has emptied its cache and asked again before it says that
memory is short.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import cv2
import torch

from mdlstm_core.errors import InputError

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

COARSER = (
    "The GPU has too little free memory, so the model looks at images more coarsely; "
    "close other programs that use the GPU."
)
SMALLER_PARTS = (
    "The GPU has too little free memory, so the model takes the volume in smaller parts; "
    "close other programs that use the GPU."
)
ON_CPU = (
    "The GPU has too little free memory, so the model works on the CPU; "
    "close other programs that use the GPU."
)
IN_PIECES = (
    "The GPU has too little free memory, so the model learns from fewer images at once; "
    "close other programs that use the GPU."
)

_GPU_WORDS = ("out of memory", "ALLOC_FAILED")
"""In what CUDA, cuBLAS, cuDNN and Triton say; torch's own type is for its allocator alone."""

_HOST_WORDS = ("can't allocate memory", "not enough memory", "Insufficient memory")
"""In what torch says on Linux and on Windows, and OpenCV."""


@dataclass(frozen=True)
class Attempt:
    """One way to get a result.

    Attributes:
        device: where to compute.
        share: how much to take at once, 0 to 1; for an image, of the pixels that the
            network usually looks at; for a volume, of the voxels.
        notice: why this is not the usual way, in one sentence for the user; empty if it is.
    """

    device: torch.device
    share: float = 1.0
    notice: str = ""


def first_that_fits(
    device: torch.device,
    work: Callable[[Attempt], _Result],
    smaller: str | None = COARSER,
) -> _Result:
    """Return what the first attempt returns for which the GPU's memory suffices.

    The log, at level INFO, gets each failure in full, with the notice of what follows.

    Args:
        device: where to compute if possible.
        work: does the work as the attempt says; called anew for each, from the start unless
            it keeps what it has done.
        smaller: the notice of work in smaller pieces; None for work that must not differ
            with the memory that happens to be free: it goes to the CPU at once.

    Raises:
        MemoryError: the computer's own memory does not suffice.
    """
    attempts = [Attempt(device), Attempt(torch.device("cpu"), notice=ON_CPU)]
    if smaller is not None:
        attempts.insert(1, Attempt(device, 0.5, smaller))
    with _one_memory_error():
        for attempt, following in pairwise(attempts):
            try:
                return work(attempt)
            except RuntimeError as error:
                if not _is_gpu_memory_short(error):
                    raise
                # No warning: where nothing is set up those go to the terminal, trace and all.
                _log.info(following.notice, exc_info=True)
            # Not in the handler: the error keeps alive what the attempt allocated.
            torch.cuda.empty_cache()
        return work(attempts[-1])


def halved_until_it_fits(at_once: int, work: Callable[[int], _Result]) -> tuple[int, _Result]:
    """Return the first of so many, half as many and so on that fit, and what work returns.

    For a training from scratch, which comes to the same however many images it learns from at
    once. It does not go to the CPU: what takes hours on a GPU would take days there, and
    nobody would have asked for that.

    The log, at level INFO, gets each failure in full, with `IN_PIECES`.

    Args:
        at_once: how many things to take at once if possible.
        work: does the whole work, so many things at a time; called anew, from the start.

    Raises:
        RuntimeError: what torch raised for the GPU's memory, if it does not suffice for one.
    """
    while True:
        try:
            return at_once, work(at_once)
        except RuntimeError as error:
            if at_once == 1 or not _is_gpu_memory_short(error):
                raise
            _log.info(IN_PIECES, exc_info=True)
        at_once = (at_once + 1) // 2
        # Not in the handler, as above.
        torch.cuda.empty_cache()


@contextmanager
def saying(mend: str) -> Iterator[None]:
    """Say how to mend it where memory does not suffice for work that has one size only.

    Raises:
        InputError: in place of what torch raises for the GPU's or the computer's memory.
    """
    try:
        with _one_memory_error():
            yield
    except MemoryError as error:
        raise InputError(f"There is not enough memory; {mend}.") from error
    except RuntimeError as error:
        if not _is_gpu_memory_short(error):
            raise
        raise InputError(f"The GPU has too little free memory; {mend}.") from error


def _is_gpu_memory_short(error: RuntimeError) -> bool:
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(word in said for word in _GPU_WORDS)


@contextmanager
def _one_memory_error() -> Iterator[None]:
    """Raise `MemoryError` where torch and OpenCV have errors of their own for it."""
    try:
        yield
    except (RuntimeError, cv2.error) as error:
        if not any(words in str(error) for words in _HOST_WORDS):
            raise
        raise MemoryError(str(error)) from error
