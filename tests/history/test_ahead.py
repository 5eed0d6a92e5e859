"""What is taken ahead in a thread comes in its order, fails where it would have failed, and stops with who uses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from user_state.errors import InputError
from user_state.history.ahead import ELEMENTS, ahead
from user_state.history.arrival import stable_order


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "history-ahead"]


def test_all_elements_come_in_their_order_and_the_thread_ends():
    with ahead(iter(range(1000))) as given_:
        assert list(given_) == [*range(1000)]
    assert not threads()


def test_an_error_is_raised_after_the_elements_before_it():
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise InputError("damaged")

    with ahead(failing()) as given_:
        assert [next(given_), next(given_)] == [1, 2]
        with pytest.raises(InputError, match="damaged"):
            next(given_)
    assert not threads()


def test_who_stops_early_stops_the_reading_a_few_elements_later():
    made = []

    def endless() -> Iterator[int]:
        while True:
            made.append(len(made))
            yield made[-1]

    with ahead(endless()) as given_:
        assert next(given_) == 0
    assert not threads()
    # One was used, some waited, and one was being made; what was drained to end the thread made room for as many.
    assert len(made) <= 2 * (ELEMENTS + 2)


@given(st.lists(st.sampled_from([0, 1, 65_535, 65_536, 65_537, 2**32 - 1, 2**32, 2**32 + 1, 2**48, 2**62])))
def test_the_order_of_numbers_is_that_of_a_stable_sort(numbers: list[int]):
    array = np.array(numbers, np.int64)
    np.testing.assert_array_equal(stable_order(array), np.argsort(array, kind="stable"))
