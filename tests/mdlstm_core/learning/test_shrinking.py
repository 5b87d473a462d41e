"""How near to the weights before the learned ones end."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdlstm_core.config import IGNORE_INDEX, NetworkConfig
from mdlstm_core.learning.lessons import CorrectedImage, Lesson, Preparation
from mdlstm_core.learning.shrinking import shrink
from mdlstm_core.learning.targets import OutputLabels
from mdlstm_core.network import LabelingNetwork, build_network

TAUGHT = 1


@pytest.fixture
def network(scene_config: NetworkConfig) -> LabelingNetwork:
    torch.manual_seed(1)
    return build_network(scene_config).eval()


def lesson(
    network: LabelingNetwork, strokes: int, label: int, outputs: OutputLabels | None = None
) -> Lesson:
    """So many strokes of one class."""
    image = np.random.default_rng(0).integers(0, 255, (96, 96, 3)).astype(np.uint8)
    labels = np.full((96, 96), IGNORE_INDEX, np.uint8)
    for number in range(strokes):
        labels[8 * number + 2 : 8 * number + 5, 10:40] = label
    preparation = Preparation(network, 1.0, outputs)
    preparation.add(CorrectedImage(image, labels))
    return preparation.lessons()[0]


def taught(network: LabelingNetwork, bias: float) -> dict[str, torch.Tensor]:
    """Make a class so much more probable, and return the weights before that."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        network.class_layers[0].bias[TAUGHT] += bias
    return before


def way(network: LabelingNetwork, before: dict[str, torch.Tensor], bias: float) -> float:
    """Return how far the bias has gone."""
    after = dict(network.state_dict())
    moved = [name for name in after if not torch.equal(after[name], before[name])]
    assert len(moved) == 1
    return float((after[moved[0]] - before[moved[0]])[TAUGHT]) / bias


def share_right(network: LabelingNetwork, seen: Lesson) -> float:
    size = seen.image_13HW.shape[2:]
    with torch.no_grad():
        said = network.enlarge(network(seen.image_13HW), *size)[0].argmax(dim=0).numpy()
    return float((said == TAUGHT)[seen.split.learned == TAUGHT].mean())


@pytest.mark.parametrize("strokes", [1, 5])
def test_goes_as_far_as_the_strokes_ask_and_little_further(
    network: LabelingNetwork, strokes: int
) -> None:
    seen, bias = lesson(network, strokes, TAUGHT), 16.0
    with torch.no_grad():
        network.class_layers[0].bias[TAUGHT] -= bias / 2  # before, nothing is of the class
    before = taught(network, bias)
    shrink(network, before, [seen], lambda _: True)
    far = way(network, before, bias)
    least = strokes / (strokes + 15)
    assert least < far < 1
    assert share_right(network, seen) >= 0.6
    with torch.no_grad():
        network.class_layers[0].bias[TAUGHT] -= bias * (1 - least) / 16 + 1e-4
    assert share_right(network, seen) < 0.6


@pytest.mark.parametrize("has_time", [True, False])
def test_what_is_right_anyway_moves_the_more_the_more_strokes_there_are(
    network: LabelingNetwork, has_time: bool
) -> None:
    found = []
    with torch.no_grad():
        network.class_layers[0].bias[TAUGHT] += 50
    for strokes in (1, 5, 10):
        seen, before = lesson(network, strokes, TAUGHT), taught(network, 1.0)
        shrink(network, before, [seen], lambda _: has_time)
        found.append(way(network, before, 1.0))
    assert found == pytest.approx([1 / 16, 5 / 20, 10 / 25], abs=1e-5)


def test_another_output_of_the_class_is_as_right(network: LabelingNetwork) -> None:
    """It says the one, the stroke is of the other, and a person has merged both."""
    labels = OutputLabels([TAUGHT, TAUGHT, 2])
    with torch.no_grad():
        network.class_layers[0].bias[0] += 50
    before = taught(network, 1.0)
    shrink(network, before, [lesson(network, 5, TAUGHT, labels)], lambda _: True)
    assert way(network, before, 1.0) == pytest.approx(5 / 20, abs=1e-5)


def test_what_was_not_learned_is_left_as_it_is(network: LabelingNetwork) -> None:
    """Where going back would help nothing, all of the way is gone."""
    seen = lesson(network, 1, TAUGHT)
    with torch.no_grad():
        network.class_layers[0].bias[TAUGHT] -= 100
    before = taught(network, 1.0)
    shrink(network, before, [seen], lambda _: True)
    assert way(network, before, 1.0) == pytest.approx(1.0, abs=1e-4)
