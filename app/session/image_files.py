"""Which files the images of a project are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from app.storage.changes import Fingerprint, SaveFingerprint
from app.storage.disk_worker import LoadedImage
from app.storage.fingerprint import other_picture
from app.storage.journal import Journal
from app.storage.project_file import StoredImage
from mdlstm_core.data.pages import image_file
from mdlstm_core.errors import InputError


class ImageFiles:
    """Knows images by what their files hold, so that no other picture takes a labeled one's place.

    Attributes:
        missing: images that were labeled and are not where they were, by what they hold.
        refused: images whose files are not what was labeled; see `accept`.
    """

    def __init__(self, journal: Journal) -> None:
        self.missing: dict[Path, Fingerprint] = {}
        self.refused: set[Path] = set()
        self._journal = journal
        self._known: dict[Path, Fingerprint] = {}
        self._loaded: dict[Path, Fingerprint] = {}

    def load(self, images: Sequence[StoredImage]) -> None:
        """Take what a project that was opened knows."""
        self._known = {i.path: i.fingerprint for i in images if i.fingerprint}
        self._loaded, self.refused = {}, set()
        self.missing = {p: f for p, f in self._known.items() if not image_file(p).is_file()}

    def known(self, image: Path) -> Fingerprint | None:
        """Return what file was labeled, None if nobody knows."""
        return self._known.get(image)

    def fingerprint(self, image: Path) -> Fingerprint | None:
        """Return what file it was when it was read last, or labeled; None if nobody knows."""
        return self._loaded.get(image) or self._known.get(image)

    def unknown_of(self, images: Iterable[Path]) -> list[Path]:
        """Return those of the images of which it is not known yet what file they are."""
        return [image for image in images if image not in self._known]

    def check(self, loaded: LoadedImage) -> None:
        """Refuse a picture in the place of the one that was labeled.

        Raises:
            InputError: the file is another one, or of another size.
        """
        self._loaded[loaded.path] = loaded.fingerprint
        given = loaded.picture.rgb.shape[:2]
        if loaded.labels is not None and loaded.labels.shape != given:
            height, width = loaded.labels.shape
            raise InputError(
                f"{loaded.path} is {given[1]}×{given[0]} pixels, but was labeled at "
                f"{width}×{height}; put the image back that was labeled."
            )
        known = self._known.get(loaded.path)
        if known is not None and known != loaded.fingerprint:
            self.refused.add(loaded.path)
            raise other_picture(loaded.path)
        self.refused.discard(loaded.path)
        if loaded.labels is not None and not self._journal.is_read_only:
            self.save(loaded.path)

    def note(self, files: Mapping[Path, Fingerprint]) -> None:
        """Take what files images are; it is stored with their first labels."""
        self._loaded |= files

    def accept(self, image: Path) -> None:
        """Take a file that `check` refused for the picture that was labeled."""
        self.refused.discard(image)
        self._known.pop(image, None)
        self.save(image)

    def save(self, image: Path) -> None:
        """Store what file an image is, unless that is known."""
        if image not in self._known and image in self._loaded:
            self._known[image] = self._loaded[image]
            self._journal.record(SaveFingerprint(image, self._loaded[image]))

    def move(self, old: Path, new: Path) -> None:
        """Note that a missing image was found."""
        self._known[new] = self._known.pop(old)
        del self.missing[old]
