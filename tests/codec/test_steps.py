"""Numbers in steps of their row's largest: near, the same again unchanged, and right on average."""

import numpy as np
import pytest

from user_state.codec.steps import LIMIT, from_steps, to_steps


def seeds(count):
    return np.random.default_rng(3).integers(0, 2**63, count).astype(np.uint64)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("scale", [1e-250, 1e-9, 1.0, 1e30])
def test_numbers_come_back_to_less_than_a_step_and_the_largest_exactly(size, scale):
    numbers = np.random.default_rng(1).normal(size=(20, 65)) * scale
    largest, steps = to_steps(numbers, seeds(20), size)
    back = from_steps(largest, steps, size)
    assert steps.dtype.itemsize == size
    assert (np.abs(back - numbers) < 1.01 * largest / LIMIT[size]).all()
    np.testing.assert_array_equal(np.abs(back).max(axis=1), np.abs(numbers).max(axis=1))


@pytest.mark.parametrize("size", [2, 4])
def test_what_was_decoded_is_encoded_the_same_whatever_the_seed(size):
    largest, steps = to_steps(np.random.default_rng(2).normal(size=(50, 64)), seeds(50), size)
    again_largest, again_steps = to_steps(from_steps(largest, steps, size), seeds(50)[::-1], size)
    np.testing.assert_array_equal(again_steps, steps)
    np.testing.assert_array_equal(again_largest, largest)


def test_zeros_stay_zeros():
    largest, steps = to_steps(np.zeros((2, 3)), seeds(2), 2)
    assert not largest.any()
    assert not from_steps(largest, steps, 2).any()


def test_half_steps_go_up_as_often_as_down():
    step = 1 / LIMIT[2]
    numbers = np.tile([1.0, 100.25 * step, -7.5 * step], (40_000, 1))
    largest, steps = to_steps(numbers, seeds(40_000), 2)
    mean = from_steps(largest, steps, 2).mean(axis=0) / step
    np.testing.assert_allclose(mean[1:], [100.25, -7.5], atol=5 * 0.5 / 200)
