"""A patch compressed: kilobytes where its arrays are megabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.document.patch import Patch
from app.document.stroke import Box
from mdlstm_core.errors import InputError


@dataclass(frozen=True, eq=False)
class PackedPatch:
    """What a patch holds, as it is stored.

    Attributes:
        box: around all pixels that change.
        mask: a bit a pixel of the box, compressed.
        before: the labels before, compressed.
        after: the label of all pixels afterwards, or of each, compressed.
    """

    box: Box
    mask: bytes
    before: bytes
    after: int | bytes

    @classmethod
    def of(cls, patch: Patch) -> PackedPatch:
        """Compress a patch."""
        mask = pack_mask(patch.mask)
        before = zlib.compress(patch.before.data, level=1)
        after = patch.after
        packed = after if isinstance(after, int) else zlib.compress(after.data, level=1)
        return cls(patch.box, mask, before, packed)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes, in memory or on disk."""
        after = 0 if isinstance(self.after, int) else len(self.after)
        return len(self.mask) + len(self.before) + after

    def unpack(self) -> Patch:
        """Return the patch.

        Raises:
            InputError: it is damaged.
        """
        try:
            flags = unpack_mask(self.mask, self.box.shape)
            before = _numbers(self.before)
            after = self.after
            labels = (
                after if isinstance(after, int) else np.frombuffer(zlib.decompress(after), "u1")
            )
        except (zlib.error, ValueError) as error:
            raise InputError(f"A stored step of the history is damaged: {error}.") from error
        return Patch(self.box, flags, before, labels)


def pack_mask(mask_HW: NDArray[np.bool_]) -> bytes:
    """Return a mask as a bit a pixel, compressed."""
    return _deflate(np.packbits(rows) for rows in _bands(mask_HW))


def unpack_mask(packed: bytes, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask of this height and width that `pack_mask` packed.

    Raises:
        ValueError, zlib.error: it is damaged.
    """
    bits = _numbers(packed)
    flags = np.empty(shape, bool)
    first = 0
    for rows in _bands(flags):
        length = -(-rows.size // 8)
        part = np.unpackbits(bits[first : first + length], count=rows.size)
        rows[:] = part.reshape(rows.shape)
        first += length
    return flags


def _numbers(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(zlib.decompress(content), np.uint8)


def _bands(mask: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """Return a mask in parts, so that no single call keeps the window waiting."""
    rows = max(1, (1 << 20) // max(mask.shape[1], 1))
    for top in range(0, mask.shape[0], rows):
        yield mask[top : top + rows]


def _deflate(parts: Iterable[NDArray[np.uint8]]) -> bytes:
    deflate = zlib.compressobj(level=1)
    return b"".join([*(deflate.compress(part.data) for part in parts), deflate.flush()])
