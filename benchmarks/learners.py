"""What learns from strokes in `benchmarks.learning`: ours, and what people use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from mdlstm_core.checkpoint import Checkpoint, checkpoint_of, load_checkpoint, with_outputs
from mdlstm_core.config import DEFAULT_MODEL, IGNORE_INDEX, LabelClass
from mdlstm_core.learning.fine_tuning import LearningOptions
from mdlstm_core.learning.lessons import CorrectedImage
from mdlstm_core.learning.live_learner import LiveImage, LiveLearner
from mdlstm_core.network import build_network
from mdlstm_core.prediction import Prediction
from mdlstm_core.predictor import Predictor
from mdlstm_core.presets import preset

_Image = NDArray[np.uint8]


class Learner(Protocol):
    """Learns from the strokes on some images and labels all of them.

    Args of each implementation: images H×W×3, all of them; those that are labeled first.
    """

    def learn(self, strokes: Sequence[_Image]) -> None:
        """Learn from all strokes so far: class of each pixel H×W, `IGNORE_INDEX` elsewhere."""

    def predict(self, index: int) -> _Image:
        """Return the class of each pixel of image number `index`."""


class SureLearner(Learner, Protocol):
    """A learner that says how sure it is, too: ours."""

    def prediction(self, index: int) -> Prediction:
        """Return the class of each pixel of image number `index`, and how sure it is of it."""


class Live:
    """The shipped model, its last layer following the strokes, as the window does it."""

    def __init__(self, images: Sequence[_Image], classes: Sequence[LabelClass]) -> None:
        shipped = load_checkpoint(DEFAULT_MODEL)
        self._sources = _sources(shipped, classes)
        self._learner = LiveLearner(shipped.network(), most_bytes=4 << 30)
        self._images = images
        self._strokes: list[_Image] = []
        self._round = 0

    def learn(self, strokes: Sequence[_Image]) -> None:
        """See `Learner`."""
        self._round += 1
        self._strokes = [each.copy() for each in strokes]
        labeled = [self._live_image(index) for index in range(len(strokes))]
        self._learner.fit(labeled, self._sources, range(len(self._sources)))

    def predict(self, index: int) -> _Image:
        """See `Learner`."""
        return self.prediction(index).label_map

    def prediction(self, index: int) -> Prediction:
        """See `SureLearner`."""
        return self._learner.label(self._live_image(index))

    def _live_image(self, index: int) -> LiveImage:
        image = self._images[index]
        if index < len(self._strokes):
            strokes = self._strokes[index]
        else:
            strokes = np.full(image.shape[:2], IGNORE_INDEX, dtype=np.uint8)
        return LiveImage(index, self._round, lambda: image, lambda: strokes)


class Learn:
    """The whole network, fine-tuned on the strokes, as the button Learn does it.

    Args:
        images: see `Learner`.
        checkpoint: where each learning starts from.
        seconds: that it may take.
    """

    def __init__(self, images: Sequence[_Image], checkpoint: Checkpoint, seconds: float) -> None:
        self._images = images
        self._start = Predictor(checkpoint)
        self._now = self._start
        self._options = LearningOptions(seconds=seconds)

    def learn(self, strokes: Sequence[_Image]) -> None:
        """See `Learner`."""
        corrected = [
            CorrectedImage(image, labels)
            for image, labels in zip(self._images, strokes, strict=False)
        ]
        result = self._start.learn(lambda: corrected, self._options)
        self._now = Predictor(result.checkpoint)

    def predict(self, index: int) -> _Image:
        """See `Learner`."""
        return self.prediction(index).label_map

    def prediction(self, index: int) -> Prediction:
        """See `SureLearner`."""
        return self._now.predict(self._images[index])


class RandomForest:
    """scikit-learn's forest on scikit-image's multiscale features, both with their defaults.

    What `skimage.future.TrainableSegmenter` does. The features of each image are worked out
    once and kept in files.

    Args:
        images: see `Learner`.
        seed: of the forest.
        folder: for the files.
    """

    def __init__(self, images: Sequence[_Image], seed: int, folder: Path) -> None:
        self._images, self._seed, self._folder = images, seed, folder
        self._forest: RandomForestClassifier | None = None

    def learn(self, strokes: Sequence[_Image]) -> None:
        """See `Learner`."""
        rows, labels = [], []
        for index, of_image in enumerate(strokes):
            known = of_image != IGNORE_INDEX
            rows.append(self._features(index)[known])
            labels.append(of_image[known])
        forest = RandomForestClassifier(
            n_estimators=100, n_jobs=torch.get_num_threads(), random_state=self._seed
        )
        self._forest = forest.fit(np.concatenate(rows), np.concatenate(labels))

    def predict(self, index: int) -> _Image:
        """See `Learner`."""
        assert self._forest is not None
        features = self._features(index)
        flat = self._forest.predict(features.reshape(-1, features.shape[-1]))
        return flat.reshape(features.shape[:2]).astype(np.uint8)

    def _features(self, index: int) -> NDArray[np.float32]:
        from skimage.feature import multiscale_basic_features

        path = self._folder / f"{index}.npy"
        if not path.exists():
            np.save(path, multiscale_basic_features(self._images[index], channel_axis=-1))
        return np.load(path, mmap_mode="r")


def learners(
    images: Sequence[_Image],
    classes: Sequence[LabelClass],
    seconds: float,
    seed: int,
    folder: Path,
) -> dict[str, Callable[[], Learner]]:
    """Return how to make each learner, by its name in the rows; `folder` is for its files."""
    return sure_learners(images, classes, seconds) | {
        "learn-scratch": lambda: Learn(images, _scratch(classes, seed), seconds),
        "random-forest": lambda: RandomForest(images, seed, folder),
    }


def sure_learners(
    images: Sequence[_Image], classes: Sequence[LabelClass], seconds: float
) -> dict[str, Callable[[], SureLearner]]:
    """Return how to make the two that the window has, by their names in the rows."""
    shipped = load_checkpoint(DEFAULT_MODEL)
    start = with_outputs(shipped, _sources(shipped, classes), classes)
    return {"live": lambda: Live(images, classes), "learn": lambda: Learn(images, start, seconds)}


def _sources(shipped: Checkpoint, classes: Sequence[LabelClass]) -> list[int | None]:
    """Return the shipped model's class of each class, by name, as a project's list does."""
    known = {found.name: index for index, found in enumerate(shipped.classes)}
    return [known.get(wanted.name) for wanted in classes]


def _scratch(classes: Sequence[LabelClass], seed: int) -> Checkpoint:
    config = preset("scene", len(classes))
    torch.manual_seed(seed)
    return checkpoint_of(build_network(config), Checkpoint(config, tuple(classes), {}))
