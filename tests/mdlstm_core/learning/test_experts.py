"""The gradients of the live classifier that are spelt out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mdlstm_core.learning.experts import Experts, _Lesson

EXPERTS, STROKES, ROWS = 2, 3, 17


def loss_of(lesson: _Lesson, maps: Tensor, out: Tensor) -> Tensor:
    """The same loss, an expert and a half of the strokes at a time, for autograd."""
    classes, total = out.shape[2], maps.new_zeros(())
    for expert in range(EXPERTS):
        for strokes in range(STROKES):
            seen = maps[expert, strokes] * lesson.sees_E11D[expert, 0]
            mapped = seen @ lesson.inputs_DN
            added = mapped[:classes] + out[expert, strokes] @ mapped[classes:].clamp_min(0)
            log_probabilities = functional.log_softmax(lesson.start_KN + added, dim=0)
            total = total - (lesson.weight_SKN[strokes] * log_probabilities).sum()
            total = total + (lesson.pull_E1JD[expert, 0] * seen.square()).sum() / 2
            total = total + (lesson.pull_E111[expert] * out[expert, strokes].square()).sum() / 2
    return total


@pytest.mark.parametrize(("classes", "units", "size"), [(2, 1, 3), (3, 4, 6), (8, 24, 12)])
def test_slope_is_that_of_autograd(classes: int, units: int, size: int) -> None:
    generator = torch.Generator().manual_seed(classes)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    sees = torch.ones(EXPERTS, 1, 1, size, dtype=torch.float64)
    sees[1, ..., : size // 2] = 0
    lesson = _Lesson(
        drawn(size, ROWS),
        drawn(classes, ROWS),
        drawn(STROKES, classes, ROWS).abs(),
        sees,
        drawn(EXPERTS, 1, classes + units, size).abs(),
        drawn(EXPERTS, 1, 1, 1).abs(),
    )
    maps = (drawn(EXPERTS, STROKES, classes + units, size) * sees).requires_grad_()
    out = drawn(EXPERTS, STROKES, classes, units).requires_grad_()
    expected = torch.autograd.grad(loss_of(lesson, maps, out), (maps, out))

    slope = Experts(torch.empty_like(maps), torch.empty_like(out))
    with torch.no_grad():
        lesson.slope(Experts(maps, out), slope)

    torch.testing.assert_close(slope.maps_ESJD, expected[0], rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(slope.out_ESKU, expected[1], rtol=1e-9, atol=1e-10)
