"""Where two models call the pixels of an image differently, kept small."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.inference.survey_worker import Look
from mdlstm_core.config import IGNORE_INDEX

Names = tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """What is left of two looks: classes of the same name have the same label, whatever comes.

    Attributes:
        names: the classes of the models before and after.
        shape: height and width.
        packed: the label maps with the models' own classes, `IGNORE_INDEX` in both where these
            have the same name, compressed.
    """

    names: tuple[Names, Names]
    shape: tuple[int, int]
    packed: bytes

    @classmethod
    def of(cls, before: Look, after: Look) -> Difference:
        """Compare two looks at an image."""
        looks = before, after
        maps_2HW = np.stack([look.label_map(tuple(range(len(look.names)))) for look in looks])
        names = [np.array(look.names, dtype=object) for look in looks]
        is_same = np.zeros((256, 256), dtype=bool)
        is_same[: len(names[0]), : len(names[1])] = names[0][:, np.newaxis] == names[1]
        maps_2HW[:, is_same[maps_2HW[0], maps_2HW[1]]] = IGNORE_INDEX
        packed = zlib.compress(maps_2HW.data, level=1)
        return cls((before.names, after.names), before.shape, packed)

    def maps(self, labels: Sequence[tuple[int, ...]]) -> list[NDArray[np.uint8]]:
        """Return the label maps H×W before and after, without a label where they are the same.

        Args:
            labels: of the classes of each model.
        """
        maps_2HW = np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(2, *self.shape)
        found = []
        for map_HW, given in zip(maps_2HW, labels, strict=True):
            table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
            table[: len(given)] = given
            found.append(table[map_HW])
        return found
