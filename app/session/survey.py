"""What models say of images that are not shown, worked out while nothing else is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QThreadPool, QTimer, Signal, Slot

from app.document.document import ImageDocument
from app.document.regions.uncertain import UncertainRegion, labeled_colors, worth
from app.inference.messages import Prediction
from app.inference.model_client import ModelClient
from app.inference.survey_worker import Look, LookRequest, SurveyThread
from app.session.stored_project import StoredProject
from app.session.teacher import Teacher
from mdlstm_core.data.images import read_image
from mdlstm_core.freed_memory import give_back

Source = str | Path | bytes
"""A model: a shipped one's name, a file, or a checkpoint's bytes."""

_QUIET_MS = 700
"""How long nothing must have happened before images are looked at."""

_MOST_IMAGES = 40
"""Images that are looked at for where the model is unsure, from the one shown on."""

_MOST_BYTES = 64 << 20
"""Of the label maps, packed, that are kept for another comparison."""

_NO_COLORS = np.zeros((0, 3), dtype=np.float32)


class Survey(QObject):
    """Looks at the images after the one shown with the model that serves.

    After a training it looks at all of them with the model before, too, so that both can be
    compared. It waits while anything else is asked of a model, and while the user works.

    Attributes:
        pixels: how many of an image the models look at, None for as trained.

    Signals:
        looked(Look): a model has said something of an image.
    """

    looked = Signal(object)
    _packed = Signal(object)

    def __init__(self, stored: StoredProject, client: ModelClient, teacher: Teacher) -> None:
        super().__init__()
        self._stored, self._client, self._teacher = stored, client, teacher
        self._models: dict[Hashable, Source] = {}
        self._to_compare: set[Hashable] = set()
        self._compared: set[Path] = set()
        self.pixels: int | None = None
        self._looks: dict[tuple[Hashable, Path], Look] = {}
        self._failed: set[tuple[Hashable, Path]] = set()
        self._revisions: dict[tuple[Hashable, Path], Hashable] = {}
        self._document: ImageDocument | None = None
        self._is_resting = False
        self._held: list[Source] = []
        self._keys: dict[int, Hashable] = {}
        self._thread = SurveyThread()
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._packed.connect(self._on_packed)
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(_QUIET_MS)
        self._quiet.timeout.connect(self._look_on)
        self._thread.looked.connect(self._on_looked)
        self._thread.failed.connect(self._on_failed)
        client.predicted.connect(self._on_predicted)
        client.learning_failed.connect(self.wait)
        stored.project.changed.connect(self.wait)
        stored.project.images_changed.connect(self._forget_other_images)
        teacher.model_changed.connect(self.wait)

    def set_document(self, document: ImageDocument | None) -> None:
        """Go on from another image."""
        self._document = document
        self.wait()

    def set_models(self, *models: Source) -> None:
        """Look at all images with these models from now on, after the one that serves.

        What the ones before said is kept, once: it is told soon whether they are compared.
        """
        serving = self._teacher.settled_source
        wanted = [serving, *models] if serving is not None else list(models)
        before = self._models
        self.pixels = self._stored.pixels
        # By identity, as long as they are kept here: a checkpoint has megabytes to look at.
        self._held, self._keys = wanted, {id(m): (key_of(m), self.pixels) for m in wanted}
        self._models = {self._keys[id(model)]: model for model in wanted}
        self._to_compare = {self._keys[id(model)] for model in models}
        self._compared.clear()
        kept = self._models.keys() | before.keys()
        looks = self._looks.items()
        self._looks = {at: look for at, look in looks if at[0] in kept and look.packed}
        self._failed.clear()
        self.wait()

    def forget(self) -> None:
        """Forget all that was said: another project is open."""
        self._models, self._looks, self._revisions = {}, {}, {}
        self.set_models()

    def set_compared(self, image: Path) -> None:
        """Let go of what was said of an image, when there is no room for it any more."""
        self._compared.add(image)
        self._make_room()

    def look(self, model: Source, image: Path) -> Look | None:
        """Return what a model said of an image, None if it has not looked yet or was let go."""
        found = self._looks.get((self._key(model), image))
        return found if found is not None and found.packed else None

    def labeled_colors(self) -> NDArray[np.float32]:
        """Return colours that are labeled, as far as looked up, N×3 in CIE L*a*b*."""
        shown = self._document
        of_shown = labeled_colors(shown.image, shown.corrections.values) if shown else _NO_COLORS
        found = [look.colors for look in self._others() if look.colors is not None]
        return np.concatenate([of_shown, *found])

    def ranked(self, labeled_N3: NDArray[np.float32]) -> list[tuple[float, Path, UncertainRegion]]:
        """Return places on images that are not shown, most rewarding first (see `worth`)."""
        found = [
            (worth(region, labeled_N3), look.image_path, region)
            for look in self._others()
            for region in look.regions or ()
        ]
        return sorted(found, key=lambda place: -place[0])

    def _others(self) -> list[Look]:
        """Return what the model that serves said of the images that are not shown."""
        looks = [look for key in list(self._models)[:1] for look in self._of(key)]
        shown = self._document.path if self._document else None
        return [look for look in looks if look.image_path != shown]

    def has_looked(self, image: Path) -> bool:
        """Return whether it is known where the model that serves is unsure of an image."""
        serving = next(iter(self._models), None)
        look = self._looks.get((serving, image))
        return look is not None and look.regions is not None

    def looks(self, model: Source) -> list[Look]:
        """Return all that a model said, of any image, and that was not let go."""
        return [look for look in self._of(self._key(model)) if look.packed]

    def _key(self, model: Source) -> Hashable:
        known = self._keys.get(id(model))
        return (key_of(model), self.pixels) if known is None else known

    def _of(self, key: Hashable) -> list[Look]:
        return [look for at, look in self._looks.items() if at[0] == key]

    @property
    def is_resting(self) -> bool:
        """Whether there is nothing left to look at."""
        return self._is_resting

    @Slot()
    def wait(self) -> None:
        """Begin again when nothing has happened for a while."""
        self._is_resting = False
        self._quiet.start()

    def close(self) -> None:
        """End the thread."""
        self._quiet.stop()
        self._pool.waitForDone()
        self._thread.close()

    def _images(self) -> Iterable[Path]:
        """Return the image shown, the labeled ones, and those after the one shown: all."""
        images, shown = self._stored.project.images, self._document
        if shown is None or shown.path not in images:
            return []
        start = images.index(shown.path)
        around = [*images[start:], *images[:start]]
        labeled = [i for i in around if self._stored.project.status(i) != "new"]
        return list(dict.fromkeys([shown.path, *labeled, *around]))

    @Slot()
    def _look_on(self) -> None:
        """Look at the next image that a model has not seen, if nothing else is going on."""
        if self._thread.is_busy or self._quiet.isActive() or self._teacher.model is None:
            return
        if not self._client.is_idle:
            self.wait()
            return
        request = self._next_request()
        if request is not None:
            self._thread.send(request)
        elif not self._is_resting:
            self._is_resting = True
            self._pool.start(give_back)

    def _next_request(self) -> LookRequest | None:
        """Return the next look to ask for, None if there is nothing left."""
        for place, image in enumerate(self._images()):
            is_near = place < _MOST_IMAGES
            for key, model in self._models.items():
                if (key, image) not in self._failed and self._lacks(key, image, is_near=is_near):
                    return self._request(key, model, image)
        return None

    def _lacks(self, key: Hashable, image: Path, *, is_near: bool) -> bool:
        """Return whether a model has more to say of an image."""
        look, serving = self._looks.get((key, image)), next(iter(self._models))
        is_shown = self._document is not None and self._document.path == image
        if look is None:
            return is_near or key in self._to_compare
        if key != serving or is_shown or not is_near:
            return False
        is_past = self._revisions.get((key, image)) != self._stored.project.revision(image)
        return look.regions is None or is_past

    def _request(self, key: Hashable, model: Source, image: Path) -> LookRequest:
        shown, in_memory = self._document, self._stored.project.corrections(image)
        self._revisions[key, image] = self._stored.project.revision(image)
        picture: Callable[[], NDArray[np.uint8]] = partial(read_image, image)
        if shown is not None and shown.path == image:
            picture = partial(np.asarray, shown.image)
        labels = in_memory.frozen() if in_memory else self._stored.labels_call(image)
        asked = key, model, image, picture, labels, self._teacher.device, self.pixels
        return LookRequest(*asked)

    @Slot(object)
    def _on_looked(self, look: Look) -> None:
        if look.key in self._models:
            self._looks[look.key, look.image_path] = look
            self.looked.emit(look)
            self._make_room()
        self._look_on()

    def _make_room(self) -> None:
        """Let go of the oldest label maps that need not be compared, while all take too much."""
        excess = sum(len(look.packed) for look in self._looks.values()) - _MOST_BYTES
        shown = self._document.path if self._document else None
        for at, look in self._looks.items():
            if excess <= 0:
                return
            if at[1] != shown and (at[1] in self._compared or not self._to_compare):
                excess -= len(look.packed)
                self._looks[at] = dataclasses.replace(look, packed=b"")

    @Slot(object, str)
    def _on_failed(self, request: LookRequest, _reason: str) -> None:
        self._failed.add((request.key, request.image_path))  # the image says why when opened
        self._look_on()

    @Slot(object)
    def _on_predicted(self, prediction: Prediction) -> None:
        """Take what the model that serves said of the image shown."""
        model, source = self._teacher.model, self._teacher.settled_source
        if prediction.is_live or model is None or source is None:
            self.wait()
            return
        key, names = self._keys.get(id(source)), tuple(c.name for c in model.classes)
        if key in self._models:
            path, label_map = prediction.image_path, prediction.label_map
            self._pool.start(lambda: self._packed.emit(Look.of(key, path, names, label_map)))
        self.wait()

    @Slot(object)
    def _on_packed(self, look: Look) -> None:
        known = self._looks.get((look.key, look.image_path))
        if look.key in self._models and (known is None or known.regions is None):
            self._looks[look.key, look.image_path] = look
            self.looked.emit(look)
            self._make_room()

    @Slot()
    def _forget_other_images(self) -> None:
        images = set(self._stored.project.images)
        self._looks = {at: look for at, look in self._looks.items() if at[1] in images}


def key_of(model: Source) -> Hashable:
    """Return what stands for a model: its name, its file, or what it holds."""
    return blake2b(model, digest_size=16).digest() if isinstance(model, bytes) else str(model)
