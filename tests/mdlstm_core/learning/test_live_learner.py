"""Following strokes: whose cells count, what is kept, and what stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from mdlstm_core.config import IGNORE_INDEX, NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.learning import pixel_classifier
from mdlstm_core.learning.experts import ClassifierOptions
from mdlstm_core.learning.grain import weight_of_grain
from mdlstm_core.learning.live_learner import LiveImage, LiveLearner
from mdlstm_core.learning.local_features import FILTERS
from mdlstm_core.learning.rows import AllRows
from mdlstm_core.network import LabelingNetwork, build_network
from mdlstm_core.prediction import predict

SAME = ((0, 1, 2), (0, 1, 2))
"""Sources and labels of a project with the network's own classes."""


@pytest.fixture
def network(scene_config: NetworkConfig) -> LabelingNetwork:
    torch.manual_seed(2)
    return build_network(scene_config).eval()


class Photo:
    """Half red, half blue; counts how often its pixels are asked for."""

    def __init__(self, name: str, height: int = 60, width: int = 80) -> None:
        self.name, self.asked = name, 0
        self.pixels = np.zeros((height, width, 3), np.uint8)
        self.pixels[:, : width // 2, 0] = self.pixels[:, width // 2 :, 2] = 220
        self.pixels += np.random.default_rng(3).integers(0, 30, self.pixels.shape, np.uint8)
        self.corrections = np.full((height, width), IGNORE_INDEX, np.uint8)

    def image(self) -> np.ndarray:
        self.asked += 1
        return self.pixels

    def at(self, revision: Hashable) -> LiveImage:
        labels = self.corrections.copy()
        return LiveImage(self.name, revision, self.image, lambda: labels)


def test_without_strokes_it_says_what_the_network_says(network: LabelingNetwork) -> None:
    photo = Photo("a")
    found = LiveLearner(network).predict(photo.at(0), [], *SAME)
    plain = predict(network, photo.pixels)
    np.testing.assert_array_equal(found.label_map, plain.label_map)
    np.testing.assert_array_equal(found.confidence, plain.confidence)


def test_strokes_of_all_images_are_followed_and_can_be_taken_back(
    network: LabelingNetwork,
) -> None:
    shown, other = Photo("a"), Photo("b")
    learner = LiveLearner(network, ClassifierOptions(hold=1e-5))
    before = learner.predict(shown.at(0), [other.at(0)], *SAME).label_map
    other.corrections[20:40, 5:30], other.corrections[20:40, 50:75] = 2, 1

    after = learner.predict(shown.at(0), [other.at(1)], *SAME).label_map

    assert (after[:, :30] == 2).mean() > 0.9
    assert (after[:, 50:] == 1).mean() > 0.9
    other.corrections[:] = IGNORE_INDEX
    again = learner.predict(shown.at(0), [other.at(2)], *SAME).label_map
    np.testing.assert_array_equal(again, before)


def test_a_class_that_is_new_and_labels_that_differ(network: LabelingNetwork) -> None:
    photo = Photo("a")
    photo.corrections[20:40, 5:30], photo.corrections[20:40, 50:75] = 40, 7
    photo.corrections[2:5, 2:5] = 99  # of no output
    outputs = (0, 1, None), (7, 3, 40)

    found = LiveLearner(network, ClassifierOptions(hold=1e-5)).predict(photo.at(0), [], *outputs)

    assert set(np.unique(found.label_map)) <= {7, 3, 40}
    assert (found.label_map[20:40, 5:30] == 40).mean() > 0.95
    assert (found.label_map[20:40, 50:75] == 7).mean() > 0.95


def test_grain_counts_as_much_as_strokes_say(
    network: LabelingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sequence[int]] = []

    def weigh(local_NG: torch.Tensor, rows: AllRows, grain: Sequence[int]) -> float:
        asked.append(grain)
        return weight_of_grain(local_NG, rows, grain)

    monkeypatch.setattr(pixel_classifier, "weight_of_grain", weigh)
    photo = Photo("a")
    photo.corrections[20:40, 5:30], photo.corrections[20:40, 50:75] = 2, 1
    LiveLearner(network).predict(photo.at(0), [], *SAME)
    assert asked == [list(FILTERS.grain)]


def test_only_what_changed_is_worked_out_and_memory_is_bounded(network: LabelingNetwork) -> None:
    runs: list[object] = []
    original: Callable[..., Any] = network.features

    def counted(image: torch.Tensor) -> Any:
        runs.append(image)
        return original(image)

    network.features = counted  # type: ignore[method-assign]
    shown, other = Photo("a"), Photo("b")
    other.corrections[5:9, 5:9] = 1
    learner = LiveLearner(network, most_bytes=1)
    learner.predict(other.at(0), [], *SAME)
    learner.predict(shown.at(0), [other.at(0)], *SAME)
    one_look = learner.nbytes
    for revision in range(1, 4):
        shown.corrections[revision, :9] = 0
        learner.predict(shown.at(revision), [other.at(0)], *SAME)
    assert len(runs) == 2  # each image once: of the other one, its rows are kept
    assert other.asked == 2  # for its features, and for its label map when it was shown
    learner.predict(other.at(0), [shown.at(3)], *SAME)
    assert len(runs) == 3
    assert learner.nbytes == one_look


def test_others_are_read_one_at_least_at_a_time(network: LabelingNetwork) -> None:
    shown, *others = (Photo(name) for name in "abcd")
    for other in others:
        other.corrections[20:40, 5:30], other.corrections[20:40, 50:75] = 2, 1
    learner = LiveLearner(network, ClassifierOptions(hold=1e-5))
    images = [photo.at(0) for photo in (shown, *others)]
    assert [learner.read(images, seconds) for seconds in (0, *[1e-9] * 4)] == [3, 2, 1, 0, 0]
    found = learner.predict(images[0], images[1:], *SAME)
    at_once = LiveLearner(network, ClassifierOptions(hold=1e-5))
    expected = at_once.predict(shown.at(0), [o.at(0) for o in others], *SAME)
    np.testing.assert_array_equal(found.label_map, expected.label_map)
    assert [o.asked for o in others] == [2, 2, 2]  # once by either


def test_another_that_cannot_be_read_is_left_out_and_not_tried_again(
    network: LabelingNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    shown, small, gone = Photo("a"), Photo("small", 30, 40), Photo("gone")
    shown.corrections[20:40, 5:30] = 2
    tried: list[None] = []

    def read() -> np.ndarray:
        tried.append(None)
        raise InputError("gone is not there.")

    def too_large() -> np.ndarray:
        raise MemoryError

    labels = np.ones((60, 80), np.uint8)
    others = [
        LiveImage("large", 0, too_large, lambda: labels),
        LiveImage("gone", 0, read, lambda: labels),
        LiveImage("small", 0, small.image, lambda: labels),
        LiveImage("unlabeled", 0, read, lambda: gone.corrections),
    ]
    learner = LiveLearner(network)
    found = [learner.predict(shown.at(0), others, *SAME) for _ in range(2)]
    alone = LiveLearner(network).predict(shown.at(0), [], *SAME)
    for each in found:
        np.testing.assert_array_equal(each.label_map, alone.label_map)
    assert len(tried) == 1
    assert "gone is not there" in caplog.text
    assert "another size than its strokes" in caplog.text


def test_the_network_stays_as_it_is(network: LabelingNetwork) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    photo = Photo("a")
    photo.corrections[5:30, 5:9] = 1
    LiveLearner(network).predict(photo.at(0), [], *SAME)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize("strokes", ["one pixel", "one class", "all classes on one place"])
def test_poor_strokes_do_no_harm(network: LabelingNetwork, strokes: str) -> None:
    photo = Photo("a")
    if strokes == "one pixel":
        photo.corrections[30, 10] = 1
    elif strokes == "one class":
        photo.corrections[20:40, 5:30] = 1
    else:
        photo.corrections[20:40:2, 5:30], photo.corrections[21:40:2, 5:30] = 1, 2
    found = LiveLearner(network).predict(photo.at(0), [], *SAME)
    assert found.label_map.shape == photo.corrections.shape
    assert (found.label_map[20:40, 5:30] != 0).mean() > 0.9 or strokes == "one pixel"
