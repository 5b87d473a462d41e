"""What every exchange format reads and writes: labeled images, one at a time.

A format is a class derived from `ExchangeFormat`. `registry` finds those of this package
and those that other packages declare as entry points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import IGNORE_INDEX, MAX_CLASSES, LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.formats.target import Target

LabelMap = NDArray[np.uint8]

Regions = Literal["polygons", "masks"]


class Record(NamedTuple):
    """A labeled image that is read when it is asked for.

    Attributes:
        name: its name in the target, without folder and suffix; see `names.safe_name`.
        image: the image's file, None if it is not known.
        load: reads its label map H×W, `IGNORE_INDEX` where there is no label. Raises
            `InputError`, which concerns this record alone.
    """

    name: str
    image: Path | None
    load: Callable[[], LabelMap]


@dataclass(frozen=True)
class LabelSource:
    """Labeled images and their classes.

    Attributes:
        classes: the classes in the order of their ids.
        records: the images. Nothing of them is in memory before it is loaded.
    """

    classes: tuple[LabelClass, ...]
    records: tuple[Record, ...]

    def __post_init__(self) -> None:
        """Check what no format can write.

        Raises:
            InputError: there are no records, too many classes, or a name is there twice.
        """
        if not self.records:
            raise InputError("There are no labeled images in the source.")
        if len(self.classes) > MAX_CLASSES:
            raise InputError(f"There are {len(self.classes)} classes; at most {MAX_CLASSES} fit.")
        names: set[str] = set()
        for label_class in self.classes:
            if label_class.name in names:
                raise InputError(f"Two classes are called {label_class.name!r}; rename one.")
            names.add(label_class.name)
        seen: set[str] = set()
        for record in self.records:
            # Some file systems take Road.png and road.png for one file.
            if record.name.casefold() in seen:
                raise InputError(f"Two images are called {record.name}; rename one of them.")
            seen.add(record.name.casefold())


@dataclass(frozen=True)
class ReadOptions:
    """How to read.

    Attributes:
        images: folder with the images, where the format does not say where they are.
        ignore_value: value of pixels without a label in files that store class ids.
    """

    images: Path | None = None
    ignore_value: int = IGNORE_INDEX


@dataclass(frozen=True)
class WriteOptions:
    """How to write; each format looks at those that concern it.

    Attributes:
        ignore_value: value of pixels without a label in files that store class ids.
        images: write the images as well, where the format has a place for them.
        regions: how a region is stored where the format has both; None is its usual way.
        void_border: pixels without a label around each region (Pascal VOC).
        opacity: of the colours in an overlay, 0 to 1.
        outlines: draw only the borders between classes in an overlay.
    """

    ignore_value: int = IGNORE_INDEX
    images: bool = True
    regions: Regions | None = None
    void_border: int = 0
    opacity: float = 0.5
    outlines: bool = False

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a value is outside its range.
        """
        if not 0 <= self.opacity <= 1:
            raise InputError(f"The opacity is from 0 to 1, not {self.opacity}.")
        if self.void_border < 0:
            raise InputError(f"The void border is 0 or more pixels, not {self.void_border}.")


class ExchangeFormat:
    """A format that labeled images are read from, written to, or both.

    Attributes:
        name: what the user calls it: lower case, hyphens.
        summary: half a sentence for the list of formats.
        needs_images: whether it writes or shows the images: "asked" as `WriteOptions.images`
            says.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    needs_images: ClassVar[Literal["never", "asked", "always"]] = "never"

    def read(self, source: Path, options: ReadOptions) -> LabelSource:
        """Return what lies in `source`; label maps are read when they are asked for.

        A fault that concerns one image is raised by its record, not here: the user may want
        the others. `found.FoundRecords` helps with that.

        Raises:
            InputError: the source as a whole cannot be used; the sentence names the file.
        """
        raise InputError(f"The format {self.name} can only be written, {source} cannot be read.")

    def check(self, classes: tuple[LabelClass, ...]) -> None:
        """Look whether the format can hold these classes, before anything is written.

        Raises:
            InputError: it cannot; the sentence names the class and the mend.
        """

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write all records. Nothing is visible in the target before all is written.

        Args:
            source: what to write; a record is loaded once, and not kept.
            target: takes the files.
            options: how to write.

        Raises:
            InputError: a record cannot be loaded, or the format cannot hold it.
        """
        raise InputError(f"The format {self.name} can only be read, not written.")
