"""How much rows count, and which of them are learned from, by hand."""

from __future__ import annotations

import torch
from torch import Tensor

from mdlstm_core.learning.rows import AllRows, halves, lessons_and_tests, row_weights, with_one


def rows_of(
    label_N: list[int], area_N: list[float], image_N: list[int], stroke_N: list[int]
) -> AllRows:
    nothing = torch.zeros(len(label_N), 0)
    shares = torch.nn.functional.one_hot(torch.tensor(label_N), 3).float()
    strokes, images = torch.tensor(stroke_N), torch.tensor(image_N)
    return AllRows(
        nothing, nothing, shares, torch.tensor(area_N), strokes, nothing, nothing, images
    )


def places(kept_N: Tensor) -> list[int]:
    return kept_N.nonzero().flatten().tolist()


def test_a_class_counts_as_the_root_of_its_area() -> None:
    rows = rows_of([0, 2, 2], [1.0, 1.0, 3.0], [0, 0, 0], [0, 1, 1])
    expected = torch.tensor([[1 / 3, 0, 0], [0, 0, 2 / 3 / 4], [0, 0, 2 / 3 * 3 / 4]])
    torch.testing.assert_close(row_weights(rows), expected)


def test_only_what_is_kept_counts() -> None:
    rows = rows_of([0, 2, 2], [1.0, 1.0, 3.0], [0, 0, 0], [0, 1, 1])
    some = row_weights(rows, torch.tensor([True, True, False]))
    torch.testing.assert_close(some, torch.tensor([[0.5, 0, 0], [0, 0, 0.5], [0, 0, 0]]))
    assert not row_weights(rows, torch.zeros(3, dtype=torch.bool)).any()


def test_a_row_of_two_classes_counts_for_both() -> None:
    rows = rows_of([0, 0], [1.0, 1.0], [0, 0], [0, 0])
    rows.shares_NK[1] = torch.tensor([0.0, 0.5, 0.5])
    roots = torch.tensor([1.0, 0.5**0.5, 0.5**0.5])
    expected = torch.tensor([[1.0, 0, 0], [0, 1, 1]]) * roots / roots.sum()
    torch.testing.assert_close(row_weights(rows), expected)


def test_of_several_images_every_other_one_is_a_half() -> None:
    rows = rows_of([0, 1, 0, 1, 0, 1], [1.0] * 6, [2, 2, 5, 5, 9, 9], [0, 1, 0, 1, 0, 1])
    one, other = halves(rows)
    assert places(one) == [0, 1, 4, 5]
    assert places(other) == [2, 3]


def test_of_one_image_every_other_stroke_of_each_class_is_a_half() -> None:
    strokes = [0, 0, 1, 2, 3, 3, 4]
    rows = rows_of([0, 0, 1, 0, 1, 1, 0], [1.0] * 7, [4] * 7, strokes)
    one, other = halves(rows)
    assert {strokes[n] for n in places(one)} == {0, 1, 4}
    assert {strokes[n] for n in places(other)} == {2, 3}
    assert (one ^ other).all()


def test_each_half_is_tested_with_the_other_but_for_classes_it_did_not_learn() -> None:
    rows = rows_of([0, 1, 0, 2], [1.0, 1.0, 4.0, 4.0], [0, 0, 7, 7], [0, 1, 0, 1])
    (first, first_test), (second, second_test) = lessons_and_tests(rows)
    expected = torch.zeros(4, 4, 3)  # first half, its test, second half, its test
    expected[0, [0, 1], [0, 1]] = 0.5
    expected[1, 2, 0] = 0.5
    expected[2, [2, 3], [0, 2]] = 0.5
    expected[3, 0, 0] = 0.5
    torch.testing.assert_close(torch.stack([first, first_test, second, second_test]), expected)


def test_inputs_have_a_one_at_their_end() -> None:
    inputs_NC = torch.arange(6.0).view(3, 2)
    assert with_one(inputs_NC).tolist() == [[0, 2, 4], [1, 3, 5], [1, 1, 1]]
