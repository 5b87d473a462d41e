"""Layouts of grids: how long they are kept. What is in them the kernels' tests show."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from mdlstm_core.kernels import diagonals
from mdlstm_core.kernels.diagonals import diagonal_layout

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    diagonals._kept.clear()
    yield
    diagonals._kept.clear()


def test_layouts_of_many_small_grids_are_kept() -> None:
    made = [diagonal_layout(rows, 9, CPU) for rows in range(1, 66)]

    assert all(diagonal_layout(rows, 9, CPU) is made[rows - 1] for rows in range(2, 66))
    assert diagonal_layout(1, 9, CPU) is not made[0]


def test_layouts_of_large_grids_are_kept_up_to_a_number_of_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = diagonal_layout(64, 48, CPU).nbytes
    assert size == 8 * 64 * 48 * (2 * 4 + 3)
    monkeypatch.setattr(diagonals, "MOST_BYTES", 3 * size)

    first, second, third = (diagonal_layout(64, 48, torch.device("cpu", n)) for n in range(3))
    assert diagonal_layout(64, 48, torch.device("cpu", 0)) is first
    fourth = diagonal_layout(48, 64, CPU)

    # What was asked for last stays.
    kept = list(diagonals._kept.values())
    assert all(a is b for a, b in zip(kept, (third, first, fourth), strict=True))
    assert diagonal_layout(64, 48, torch.device("cpu", 1)) is not second


def test_layout_that_has_no_room_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagonals, "MOST_BYTES", 1000)

    assert diagonal_layout(64, 48, CPU).slots > 64 * 48
    assert not diagonals._kept
