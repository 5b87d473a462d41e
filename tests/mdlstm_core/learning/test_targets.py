"""What outputs stand for where a person merged classes: by hand."""

from __future__ import annotations

import numpy as np
import torch

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.learning.targets import OutputLabels


def test_without_merged_classes_nothing_changes() -> None:
    labels, logits = OutputLabels([7, 3, 5]), torch.randn(2, 3, 4, 5)
    assert labels.logits(logits) is logits
    assert labels.outputs == (0, 1, 2)
    assert labels.label_map(np.array([0, 1, 2, 255], np.uint8)).tolist() == [0, 1, 2, 255]


def test_a_label_is_as_probable_as_its_outputs_together() -> None:
    labels = OutputLabels([4, 9, 4, 6])
    assert (len(labels), labels.outputs) == (3, (1, 2, 3))
    logits = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    p = logits.softmax(dim=1)
    expected = torch.stack([p[:, 1], p[:, 0] + p[:, 2], p[:, 3]], dim=1)
    torch.testing.assert_close(labels.logits(logits).softmax(dim=1), expected)
    torch.testing.assert_close(labels.logits(logits[..., 0, 0]), labels.logits(logits)[..., 0, 0])


def test_any_output_of_a_label_says_it() -> None:
    labels = OutputLabels([4, 9, 4, 6])
    said = np.array([[0, 1], [2, 3], [IGNORE_INDEX, 0]], np.uint8)
    assert labels.label_map(said).tolist() == [[1, 0], [1, 2], [IGNORE_INDEX, 1]]
    assert labels.known(torch.tensor([True, False, False, False])).tolist() == [False, True, False]
