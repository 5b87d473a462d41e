"""The gradients of the live classifier that are spelt out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mdlstm_core.learning.experts import Experts, _Half, _Lesson

STROKES, EXPERTS = 3, 2
ROWS = 17, 12
"""Of each half."""


def loss_of(lesson: _Lesson, maps: Tensor, out: Tensor) -> Tensor:
    """The same loss, an expert and its strokes at a time, for autograd."""
    classes, total = out.shape[2], maps.new_zeros(())
    for expert in range(EXPERTS):
        for strokes in range(STROKES):
            seen = maps[strokes, expert] * lesson.sees_E1D[expert]
            total = total + (lesson.pull_EJD[expert] * seen.square()).sum() / 2
            total = total + (lesson.pull_E11[expert] * out[strokes, expert].square()).sum() / 2
        for number, half in enumerate(lesson.halves):
            for place, strokes in enumerate((number, number + 1)):
                seen = maps[strokes, expert] * lesson.sees_E1D[expert]
                mapped = seen @ half.inputs_DN
                added = mapped[:classes] + out[strokes, expert] @ mapped[classes:].clamp_min(0)
                log_probabilities = functional.log_softmax(half.start_KN + added, dim=0)
                total = total - (half.weight_T1KN[place, 0] * log_probabilities).sum()
    return total


@pytest.mark.parametrize("rows", [ROWS, (ROWS[0], 0)])
@pytest.mark.parametrize(("classes", "units", "size"), [(2, 1, 3), (3, 4, 6), (8, 24, 12)])
def test_slope_is_that_of_autograd(
    classes: int, units: int, size: int, rows: tuple[int, int]
) -> None:
    generator = torch.Generator().manual_seed(classes)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def half(count: int) -> _Half:
        weights = drawn(2, 1, classes, count).abs()
        return _Half(drawn(size, count), drawn(classes, count), weights)

    sees = torch.ones(EXPERTS, 1, size, dtype=torch.float64)
    sees[1, ..., : size // 2] = 0
    lesson = _Lesson(
        (half(rows[0]), half(rows[1])),
        sees,
        drawn(EXPERTS, classes + units, size).abs(),
        drawn(EXPERTS, 1, 1).abs(),
    )
    maps = (drawn(STROKES, EXPERTS, classes + units, size) * sees).requires_grad_()
    out = drawn(STROKES, EXPERTS, classes, units).requires_grad_()
    expected = torch.autograd.grad(loss_of(lesson, maps, out), (maps, out))

    slope = Experts(torch.empty_like(maps), torch.empty_like(out))
    with torch.no_grad():
        lesson.slope(Experts(maps, out), slope)

    torch.testing.assert_close(slope.maps_SEJD, expected[0], rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(slope.out_SEKU, expected[1], rtol=1e-9, atol=1e-10)
