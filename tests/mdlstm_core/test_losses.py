"""Class shares against counting, and the loss against torch's."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch.nn import functional

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.losses import balanced_weights, class_shares, pool_shares, soft_cross_entropy

CLASSES = 3
LABELS = st.sampled_from([0, 1, 2, IGNORE_INDEX])
LABEL_MAPS = arrays(
    np.uint8,
    st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9)),
    elements=LABELS,
)


@given(LABEL_MAPS, st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_shares_equal_counting(labels: NDArray[np.uint8], stride: int) -> None:
    shares, area = class_shares(torch.from_numpy(labels), CLASSES, stride)

    batch, height, width = labels.shape
    rows, columns = -(-height // stride), -(-width // stride)
    assert shares.shape == (batch, CLASSES, rows, columns)
    for b, r, c in np.ndindex(batch, rows, columns):
        cell = labels[b, r * stride : (r + 1) * stride, c * stride : (c + 1) * stride]
        counts = [int((cell == label).sum()) for label in range(CLASSES)]
        labeled = sum(counts)
        expected = [count / max(1, labeled) for count in counts]
        np.testing.assert_allclose(shares[b, :, r, c], expected, atol=1e-6)
        np.testing.assert_allclose(area[b, r, c], labeled / stride**2, atol=1e-6)


@given(LABEL_MAPS, st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_pooling_of_whole_pixels_gives_class_shares(labels: NDArray[np.uint8], stride: int) -> None:
    mass = np.stack([labels == label for label in range(CLASSES)], axis=1).astype(np.float32)

    pooled = pool_shares(torch.from_numpy(mass), stride)

    torch.testing.assert_close(pooled, class_shares(torch.from_numpy(labels), CLASSES, stride))


def test_pooling_weighs_pixels_by_their_mass() -> None:
    mass = torch.tensor([[[[0.5, 0.0]], [[0.25, 0.0]]]])

    shares, area = pool_shares(mass, 2)

    torch.testing.assert_close(shares.flatten(), torch.tensor([2 / 3, 1 / 3]))
    torch.testing.assert_close(area.flatten(), torch.tensor([0.75 / 4]))


def test_as_many_classes_as_fit_leave_the_ignore_index_alone() -> None:
    labels = torch.tensor([[[0, 254, IGNORE_INDEX]]], dtype=torch.uint8)

    shares, area = class_shares(labels, 255, 1)

    assert shares.sum(dim=1).tolist() == [[[1.0, 1.0, 0.0]]]
    assert shares[0, 254].tolist() == [[0.0, 1.0, 0.0]]
    assert area.tolist() == [[[1.0, 1.0, 0.0]]]


def test_loss_of_whole_pixels_is_cross_entropy() -> None:
    torch.manual_seed(0)
    labels = torch.randint(0, CLASSES, (2, 5, 7)).to(torch.uint8)
    labels[:, 2:4] = IGNORE_INDEX
    logits = torch.randn(2, CLASSES, 5, 7)

    loss = soft_cross_entropy(logits, *class_shares(labels, CLASSES, 1))

    expected = functional.cross_entropy(logits, labels.long(), ignore_index=IGNORE_INDEX)
    torch.testing.assert_close(loss, expected)


def test_loss_weighs_cells_by_their_labeled_area() -> None:
    logits = torch.tensor([[[[2.0, 0.0]], [[0.0, 0.0]]]])
    shares = torch.tensor([[[[1.0, 0.5]], [[0.0, 0.5]]]])
    weight = torch.tensor([[[1.0, 0.25]]])

    loss = soft_cross_entropy(logits, shares, weight)

    first, second = np.log1p(np.exp(-2.0)), np.log(2.0)
    np.testing.assert_allclose(loss, (first + 0.25 * second) / 1.25, rtol=1e-6)


def test_nothing_labeled_is_no_loss_and_no_gradient() -> None:
    labels = torch.full((1, 4, 4), IGNORE_INDEX, dtype=torch.uint8)
    logits = torch.randn(1, CLASSES, 2, 2, requires_grad=True)

    loss = soft_cross_entropy(logits, *class_shares(labels, CLASSES, 2))
    loss.backward()

    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_balanced_weights_let_classes_count_alike() -> None:
    labels = torch.full((2, 4, 8), IGNORE_INDEX, dtype=torch.uint8)
    labels[0] = 0
    labels[1, :2, :2] = 2
    shares, area = class_shares(labels, 3, 2)

    weights = balanced_weights(shares, area)

    torch.testing.assert_close(weights[0].sum(), torch.tensor(1.0))
    torch.testing.assert_close(weights[1].sum(), torch.tensor(1.0))
    assert weights[1, 0, 0] == 1
