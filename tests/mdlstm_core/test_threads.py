"""Who has how many threads of torch's, during and after a loop that is kept on one core."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mdlstm_core.kernels import MDLSTMWeights, wavefront
from mdlstm_core.kernels.threads import one_thread


@pytest.fixture(autouse=True)
def number_of_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def number_of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


@pytest.mark.parametrize("number", [1, 3, 5])
def test_number_that_was_set_is_there_again(number: int) -> None:
    torch.set_num_threads(number)
    shapes = ((2, 5, 4, 3), (4, 3, 15), (4, 3, 15), (4, 3, 15), (4, 15))
    image, *weights = (torch.ones(shape, requires_grad=True) for shape in shapes)

    wavefront.run(image, MDLSTMWeights(*weights)).sum().backward()

    assert torch.get_num_threads() == number
    assert number_of_a_new_thread() == number


def test_inside_there_is_one_also_after_an_inner_loop() -> None:
    torch.set_num_threads(3)

    with one_thread():
        assert torch.get_num_threads() == 1
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1

    assert torch.get_num_threads() == 3


def test_number_is_also_there_after_an_error() -> None:
    torch.set_num_threads(3)

    with pytest.raises(ZeroDivisionError), one_thread():
        raise ZeroDivisionError

    assert torch.get_num_threads() == 3


def test_threads_that_overlap_get_back_what_each_had() -> None:
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))

    def first() -> int:
        torch.set_num_threads(3)
        with one_thread():
            first_is_in.set()
            assert second_is_in.wait(60)
        first_is_out.set()
        return torch.get_num_threads()

    def second() -> tuple[int, int]:
        torch.set_num_threads(4)
        assert first_is_in.wait(60)
        with one_thread():
            second_is_in.set()
            assert first_is_out.wait(60)
            inside = torch.get_num_threads()
        return inside, torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        answers = pool.submit(first), pool.submit(second)
        assert answers[0].result() == 3
        assert answers[1].result() == (1, 4)


@pytest.mark.parametrize("while_the_other_is_kept", [True, False])
def test_thread_that_began_meanwhile_does_not_stay_on_one(while_the_other_is_kept: bool) -> None:
    torch.set_num_threads(3)

    def loop() -> int:
        with one_thread():
            pass
        return torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        with one_thread():
            assert pool.submit(torch.get_num_threads).result() == 1
            if while_the_other_is_kept:
                assert pool.submit(loop).result() == 3
        assert pool.submit(loop).result() == 3

    assert torch.get_num_threads() == 3


def test_thread_that_began_with_one_stays_with_it() -> None:
    torch.set_num_threads(1)

    def loop() -> int:
        with one_thread():
            pass
        return torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(loop).result() == 1
    assert number_of_a_new_thread() == 1
