"""What a training changed, to be accepted or refused; see `app.document.changes`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QThreadPool, Signal, Slot

from app.document.changes import ChangedRegion, Pair, all_refused, count_changes, refused
from app.document.class_table import ClassTable
from app.document.document import ImageDocument
from app.document.edit import Edit
from app.document.packed_change import changes_to_json
from app.document.stroke import Box
from app.inference.survey_worker import Look
from app.session.difference import Difference, Names
from app.session.reviewed_image import Labels, ReviewedImage, corrections_of, reviewed
from app.session.stored_project import StoredProject
from app.session.survey import Source, Survey
from mdlstm_core.errors import InputError

_log = logging.getLogger(__name__)


class ChangeReview(QObject):
    """Compares what two models say of the project's images, off the window's thread.

    A region is settled when it was accepted, or when a person set all of it: so undoing a
    refusal opens it again. A pixel is counted while no person set it, accepted or not.
    Of each image what the models say differently is kept, and its regions, compressed; the
    regions of the one shown are unpacked.

    Attributes:
        models: the model before and the one after; None while there is nothing to compare.

    Signals:
        changed: what changed on an image is known now, or a region was settled or opened.
        counted: other pixels are counted than before.
        current_changed(object): the `ChangedRegion` of the image shown to look at, or None.
        said(str): something the user may want to know.
        warned(str): an image could not be compared, and why.
    """

    changed = Signal()
    counted = Signal()
    current_changed = Signal(object)
    said = Signal(str)
    warned = Signal(str)
    _compared = Signal(object, object, object)
    _recounted = Signal(object, object, object, object)
    _unpacked = Signal(object, object)

    def __init__(
        self, stored: StoredProject, survey: Survey, edit: Callable[[Path, Edit], object]
    ) -> None:
        super().__init__()
        self.models: tuple[Source, Source] | None = None
        self._stored, self._survey, self._edit = stored, survey, edit
        self._document: ImageDocument | None = None
        self._differences: dict[Path, Difference] = {}
        self._found: dict[Path, ReviewedImage] = {}
        self._waiting: set[Path] = set()
        self._total: Counter[Pair] = Counter()
        self._run = object()
        self._labels_seen: object = None
        self._current: int | None = None
        self._pool = QThreadPool(self, maxThreadCount=1)
        survey.looked.connect(self._on_looked)
        self._compared.connect(self._on_compared)
        self._recounted.connect(self._on_recounted)
        self._unpacked.connect(self._on_unpacked)
        stored.project.corrections_changed.connect(self._on_corrections)
        stored.project.changed.connect(self._count)
        stored.project.classes_changed.connect(self._on_classes)

    def compare(self, before: Source, after: Source) -> None:
        """Compare two models; what they said already is taken, the rest is worked out."""
        self.models = before, after
        self._forget()
        self._survey.set_models(after, before)
        for look in self._survey.looks(after):
            self._on_looked(look)

    def clear(self) -> None:
        """Compare nothing: another project is open."""
        self.models = None
        self._forget()

    def set_document(self, document: ImageDocument | None) -> None:
        """Step through the regions of another image."""
        before, self._document = self._reviewed(), document
        if before is not None:
            before.hide()
        found = self._reviewed()
        if found is not None:
            self._unpack(found)
        elif document is not None and document.path in self._differences:
            self._compare_again(document.path)  # before the others that wait
        self._go_to(None)
        self._count()

    def images(self) -> list[tuple[Path, int]]:
        """Return the images on which something changed with the pixels, most first."""
        found = [(image, r.changes.pixels) for image, r in self._found.items() if r.changes.pixels]
        return sorted(found, key=lambda pair: -pair[1])

    @property
    def compared(self) -> int:
        """How many images were compared."""
        return len(self._found)

    def counts(self) -> Mapping[Pair, int]:
        """Return the pixels of all images by label before and after, most first."""
        return dict((+self._total).most_common())

    def regions(self) -> list[ChangedRegion]:
        """Return the regions of the image shown that are not settled, the largest first."""
        return [region for _, region in self._open()]

    @property
    def current(self) -> ChangedRegion | None:
        """The region to look at."""
        found = self._reviewed()
        return found.changes.regions[self._current] if found and self._current is not None else None

    @property
    def place(self) -> int:
        """The place of the current region among the open ones, from 0; -1 without one."""
        return next((n for n, (at, _) in enumerate(self._open()) if at == self._current), -1)

    def step(self, by: int) -> None:
        """Look at the next open region (1) or the one before (-1), around the end."""
        places = [at for at, _ in self._open()]
        if not places:
            self._go_to(None)
            self.said.emit(self._nothing_left())
            return
        if self._current in places:
            self._go_to(places[(places.index(self._current) + by) % len(places)])
        else:
            self._go_to(places[0 if by > 0 else -1])

    def leave(self) -> None:
        """Look at no region any more."""
        self._go_to(None)

    def accept(self) -> None:
        """Leave the current region as the model labels it now, and go on."""
        self._settle(self._accept)

    def refuse(self) -> None:
        """Give the current region its label before, as the person's own, and go on."""
        self._settle(lambda found, at: self._refuse(found.changes.regions[at]))

    def accept_all(self) -> None:
        """Leave all that is open on the image shown as it is now."""
        found = self._reviewed()
        if found is not None:
            found.accept_all()
            self._store(found)
            self._go_to(None)
            self.changed.emit()

    def refuse_all(self) -> None:
        """Set all that is open on the image shown back, as the person's own; one step."""
        found, document = self._reviewed(), self._document
        if found is None or document is None:
            return
        labels = self._labels_of(found.difference.names)
        self._apply(all_refused(*found.open_changes(labels, document.corrections.values)))
        self._go_to(None)

    def close(self) -> None:
        """Wait for what is being compared."""
        self._pool.clear()
        self._pool.waitForDone()

    def _open(self) -> list[tuple[int, ChangedRegion]]:
        found = self._reviewed()
        return found.open if found else []

    def _reviewed(self) -> ReviewedImage | None:
        return self._found.get(self._document.path) if self._document else None

    def _settle(self, settle: Callable[[ReviewedImage, int], object]) -> None:
        found, at = self._reviewed(), self._current
        if found is None or at is None:
            self.said.emit("Choose a changed region first.")
            return
        settle(found, at)
        left = [place for place, _ in self._open()]
        self._go_to(next((p for p in left if p > at), left[0] if left else None))
        self.changed.emit()
        if not left:
            self.said.emit(self._nothing_left())

    def _accept(self, found: ReviewedImage, at: int) -> None:
        found.accept(at)
        self._store(found)

    def _store(self, found: ReviewedImage) -> None:
        """Keep what was accepted on the image shown."""
        assert self._document is not None
        self._stored.keep_accepted(self._document.path, changes_to_json(found.kept))

    def _refuse(self, region: ChangedRegion) -> None:
        assert self._document is not None
        self._apply(refused(region, self._document.corrections.values))

    def _apply(self, edit: Edit | None) -> None:
        assert self._document is not None
        steps = self._stored.project.undo_stack.count(), self._stored.project.undo_stack.index()
        if edit is not None:
            self._edit(self._document.path, edit)
        stack = self._stored.project.undo_stack
        if (stack.count(), stack.index()) == steps:
            self.said.emit(
                "Nothing was set back: the model before had no label there, or its class is "
                "locked or not painted on."
            )

    def _nothing_left(self) -> str:
        found, shown = self._reviewed(), self._document.path if self._document else None
        if shown in self._waiting or (found is not None and found.open_places):
            return "What changed on this image is being worked out; try again in a moment."
        others = [i for i, _ in self.images() if i != shown and self._found[i].open_places]
        more = f" {others[0].name} has more." if others else ""
        return f"Nothing that changed is left to look at on this image.{more}"

    def _go_to(self, at: int | None) -> None:
        self._current = at
        self.current_changed.emit(self.current)

    @Slot(object)
    def _on_classes(self, classes: ClassTable) -> None:
        """Begin anew if labels stand for other classes: some were merged, say."""
        labels = classes.removed, {(c.label, c.name) for c in classes.classes}
        if labels != self._labels_seen:
            self._labels_seen = labels
            self._begin()
            for image in self._differences:
                self._compare_again(image)
            for look in self._survey.looks(self.models[1]) if self.models else ():
                self._on_looked(look)

    def _forget(self) -> None:
        """Begin with other models."""
        self._differences.clear()
        self._begin()

    def _begin(self) -> None:
        """Let go of what was found, and of what is being worked out."""
        self._run = object()
        self._found.clear()
        self._waiting.clear()
        self._total.clear()
        self._go_to(None)
        self.changed.emit()

    @Slot(object)
    def _on_looked(self, look: Look) -> None:
        """Compare what both models said of an image."""
        image = look.image_path
        if self.models is None or image in self._differences or image in self._waiting:
            return
        before, after = (self._survey.look(model, image) for model in self.models)
        if before is not None and after is not None and before.shape == after.shape:
            names = before.names, after.names
            self._compare(image, names, partial(Difference.of, before, after))

    def _compare(
        self, image: Path, names: tuple[Names, Names], difference: Callable[[], Difference]
    ) -> None:
        """Find what changed on an image, the one shown first."""
        run, labels = self._run, self._labels_of(names)
        revision, corrections = self._stored.project.revision(image), self._corrections(image)
        accepted = self._stored.accepted.get(image, "")
        removed = dict(self._stored.project.classes.removed)
        self._waiting.add(image)

        def work() -> None:
            if run is self._run:
                found = reviewed(difference(), labels, corrections, accepted, removed, revision)
                self._compared.emit(image, (run, labels), found)

        is_shown = self._document is not None and self._document.path == image
        self._start(work, priority=int(is_shown))

    def _compare_again(self, image: Path) -> None:
        """Find what changed on an image of which the difference is known."""
        difference = self._differences[image]
        self._compare(image, difference.names, lambda: difference)

    def _corrections(self, image: Path) -> Callable[[], NDArray[np.uint8]]:
        """Return a call, for any thread, that gives what a person set."""
        in_memory = self._stored.project.corrections(image)
        return in_memory.frozen() if in_memory else self._stored.labels_call(image)

    def _labels_of(self, names: tuple[Names, Names]) -> Labels:
        return [self._stored.classes_of_models.labels_of(each) for each in names]

    @Slot(object, object, object)
    def _on_compared(self, image: Path, by: tuple[object, object], found: ReviewedImage) -> None:
        run, labels = by
        if run is not self._run or image in self._found:
            return
        self._waiting.discard(image)
        difference = self._differences[image] = found.difference
        self._survey.set_compared(image)
        if labels != self._labels_of(difference.names):  # the classes are others since
            self._compare_again(image)
            return
        self._found[image] = found
        self._total.update(found.changes.counts)
        document = self._document
        if document is not None and document.path == image:  # it may be painted on since
            found.show(found.changes.regions, document.corrections)
            self.changed.emit()
        else:
            found.hide()
            self.counted.emit()
        self._count()

    def _unpack(self, found: ReviewedImage) -> None:
        """Have the regions of the image shown unpacked."""

        def work() -> None:
            self._unpacked.emit(found, tuple(packed.unpack() for packed in found.packed))

        self._start(work, priority=1)

    @Slot(object, object)
    def _on_unpacked(self, found: ReviewedImage, regions: tuple[ChangedRegion, ...]) -> None:
        document = self._document
        if document is not None and found is self._reviewed():
            found.show(regions, document.corrections)
            self.changed.emit()

    @Slot(object, object)
    def _on_corrections(self, image: Path, box: Box) -> None:
        found, document = self._found.get(image), self._document
        if found is None or document is None or document.path != image:
            return
        if found.refresh(document.corrections, box):
            self.changed.emit()

    @Slot()
    def _count(self) -> None:
        """Count anew where a person set other pixels since."""
        for image, found in self._found.items():
            revision = self._stored.project.revision(image)
            if revision != found.revision:
                found.revision = revision
                self._start(self._counting(image, found))

    def _counting(self, image: Path, found: ReviewedImage) -> Callable[[], None]:
        revision, difference = found.revision, found.difference
        labels = self._labels_of(difference.names)
        in_memory = self._stored.project.corrections(image)
        stored = self._stored.labels_call(image)
        # No copy at each stroke: what changes meanwhile is counted again, and this is let go.
        corrections = stored if in_memory is None else lambda: in_memory.values

        def work() -> None:
            if found.revision == revision:  # else a later one is waiting
                before, after = difference.maps(labels)
                counts = count_changes(before, after, corrections_of(difference, corrections))
                self._recounted.emit(image, found, revision, counts)

        return work

    def _start(self, work: Callable[[], None], priority: int = 0) -> None:
        self._pool.start(partial(self._try, work), priority)

    def _try(self, work: Callable[[], None]) -> None:
        """Do work in the pool's thread; say what is wrong."""
        try:
            work()
        except InputError as error:
            self.warned.emit(str(error))
        except Exception as error:
            _log.exception("comparing what two models say")
            self.warned.emit(f"What changed cannot be told ({type(error).__name__}); see the log.")

    @Slot(object, object, object, object)
    def _on_recounted(
        self, image: Path, found: ReviewedImage, revision: object, counts: Mapping[Pair, int]
    ) -> None:
        is_latest = self._found.get(image) is found and found.revision == revision
        if is_latest and counts != found.changes.counts:
            self._total.subtract(found.changes.counts)
            self._total.update(counts)
            found.changes = found.changes._replace(counts=counts)
            self.counted.emit()
