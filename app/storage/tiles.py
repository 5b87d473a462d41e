"""Label maps in tiles: compressed, each a row; a tile without labels has none."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.document.patch import Patch
from app.document.stroke import Box
from app.storage.schema import TILE
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.errors import InputError


@dataclass(frozen=True)
class StoredLabels:
    """A label map as it is stored: its size and its compressed tiles (row, column, labels)."""

    height: int
    width: int
    tiles: tuple[tuple[int, int, bytes], ...]

    def decode(self) -> NDArray[np.uint8]:
        """Return the label map H×W.

        Raises:
            InputError: a tile is damaged.
        """
        values = np.full((self.height, self.width), IGNORE_INDEX, dtype=np.uint8)
        for row, column, labels in self.tiles:
            tile = values[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
            tile[:] = decoded(labels, tile.shape)
        return values


class TiledLabels:
    """A stored label map that is changed inside a transaction, tile by tile."""

    def __init__(self, database: sqlite3.Connection, image: int, size: tuple[int, int]) -> None:
        """Take an image's number and its label map's height and width."""
        self._database, self._image, self._size = database, image, size
        self._tiles: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def write(self, patches: Iterable[Patch], *, forward: bool) -> None:
        """Set what patches set, or what stood there before; `save` stores it."""
        for patch in patches:
            values = patch.after if forward else patch.before
            first = 0
            # The mask's pixels come row by row; rows of tiles are as much as is looked at.
            for row in range(patch.box.top // TILE, -(-patch.box.bottom // TILE)):
                top = max(row * TILE, patch.box.top)
                bottom = min((row + 1) * TILE, patch.box.bottom)
                mask = patch.mask[top - patch.box.top : bottom - patch.box.top]
                count = int(np.count_nonzero(mask))
                band = values if isinstance(values, int) else values[first : first + count]
                first += count
                if count:
                    self._write_band(Box(top, patch.box.left, bottom, patch.box.right), mask, band)

    def relabel(self, source: int, target: int) -> list[Patch]:
        """Give a class's pixels another label; return the changes, one a tile.

        What was written before must be saved.
        """
        patches = []
        for row, column, labels in self._database.execute(
            "SELECT row, column, labels FROM tiles WHERE image = ?", (self._image,)
        ).fetchall():
            tile = decoded(labels, self._shape(row, column)).copy()
            mask = tile == source
            if mask.any():
                top, left = row * TILE, column * TILE
                box = Box(top, left, top + tile.shape[0], left + tile.shape[1])
                patches.append(Patch(box, mask, tile[mask], target))
                tile[mask] = target
                self._tiles[row, column] = tile
        return patches

    def save(self) -> None:
        """Store the tiles that were changed."""
        for (row, column), tile in self._tiles.items():
            key = (self._image, row, column)
            if (tile == IGNORE_INDEX).all():
                self._database.execute(
                    "DELETE FROM tiles WHERE image = ? AND row = ? AND column = ?", key
                )
            else:
                labels = zlib.compress(tile.data, level=1)
                self._database.execute(
                    "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?)", (*key, labels)
                )
        self._tiles.clear()

    def _write_band(
        self, box: Box, mask: NDArray[np.bool_], values: int | NDArray[np.uint8]
    ) -> None:
        """Write the part of a patch that lies in one row of tiles."""
        row = box.top // TILE
        above = row * TILE
        band: NDArray[np.uint8] | None = None
        if not isinstance(values, int):
            band = np.empty(mask.shape, np.uint8)
            band[mask] = values
        for column in range(box.left // TILE, -(-box.right // TILE)):
            left = max(column * TILE, box.left)
            right = min((column + 1) * TILE, box.right)
            columns = slice(left - box.left, right - box.left)
            part = mask[:, columns]
            if part.any():
                tile = self._tile(row, column)
                place = tile[
                    box.top - above : box.bottom - above,
                    left - column * TILE : right - column * TILE,
                ]
                place[part] = values if band is None else band[:, columns][part]

    def _tile(self, row: int, column: int) -> NDArray[np.uint8]:
        found = self._tiles.get((row, column))
        if found is None:
            found = self._tiles[row, column] = self._load(row, column)
        return found

    def _load(self, row: int, column: int) -> NDArray[np.uint8]:
        shape = self._shape(row, column)
        for (labels,) in self._database.execute(
            "SELECT labels FROM tiles WHERE image = ? AND row = ? AND column = ?",
            (self._image, row, column),
        ):
            return decoded(labels, shape).copy()
        return np.full(shape, IGNORE_INDEX, dtype=np.uint8)

    def _shape(self, row: int, column: int) -> tuple[int, int]:
        height, width = self._size
        return min(TILE, height - row * TILE), min(TILE, width - column * TILE)


def decoded(labels: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return a tile's labels.

    Raises:
        InputError: they are damaged, or of another size.
    """
    try:
        return np.frombuffer(zlib.decompress(labels), np.uint8).reshape(shape)
    except (zlib.error, ValueError) as error:
        raise InputError(f"A stored label map is damaged: {error}.") from error
