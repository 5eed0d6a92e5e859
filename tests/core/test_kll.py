"""KLL sketches taken apart are the library's, byte for byte, and keep to the stated rank error."""

from __future__ import annotations

import numpy as np
import pytest
from datasketches import kll_doubles_sketch

from user_state.core import kll
from user_state.core.kll import KS, capacity, k_for, rank_error, unite

NOTHING = np.empty(0)


def sketch_of(k: int, numbers: np.ndarray) -> kll.Kll:
    return unite(k, [], numbers)


@pytest.mark.parametrize("k", [16, 132, 300])
@pytest.mark.parametrize("count", [2, 15, 16, 17, 133, 1000, 100_000])
def test_a_sketch_taken_apart_and_put_together_is_the_same_bytes(k, count):
    theirs = kll_doubles_sketch(k)
    theirs.update(np.random.default_rng(count).normal(size=count))
    image = theirs.serialize()
    held = kll._taken_apart(image)
    assert kll._image(k, held) == image
    assert held.seen == count == theirs.n
    assert (held.least, held.greatest) == (theirs.get_min_value(), theirs.get_max_value())
    assert len(held.numbers) == theirs.num_retained <= capacity(k, len(held.sizes))
    assert held.weights.sum() == count


def test_the_size_of_a_sketch_does_not_depend_on_how_much_it_saw():
    sizes = []
    held = sketch_of(132, np.arange(1000.0))
    for _ in range(12):
        held = unite(132, [held, held], NOTHING)
        sizes.append(len(held.numbers))
    assert held.seen == 1000 * 2**12
    assert max(sizes) <= 3 * 132 + 8 * 20


@pytest.mark.parametrize("error", [0.1, 0.02, 0.01])
def test_the_rank_error_is_what_is_stated(error):
    """All ranks of 100 sketches of 40 merged parts: 99 of 100 keep to the error; 90 of 100 are certain to be seen."""
    k = k_for(error)
    rng = np.random.default_rng(7)
    worst = []
    for _ in range(100):
        numbers = rng.permutation(20_000).astype(float)
        held = unite(k, [sketch_of(k, part) for part in np.split(numbers, 40)], NOTHING)
        order = np.argsort(held.numbers)
        reached = np.cumsum(held.weights[order])
        # What is said to be the rank of each kept number, and what it is: the number itself, and those below it.
        worst.append(np.abs(reached - (held.numbers[order] + 1)).max() / 20_000)
    assert np.mean(np.array(worst) <= rank_error(k)) > 0.9
    assert max(worst) < 2.5 * rank_error(k)


@pytest.mark.parametrize(("error", "k"), [(0.1, 26), (0.02, 132), (0.01, 269)])
def test_as_small_as_the_error_allows(error, k):
    assert k_for(error) == k
    assert rank_error(k) <= error < rank_error(k - 1)
    assert k in KS


def test_the_stated_error_is_the_librarys():
    theirs = [kll_doubles_sketch.get_normalized_rank_error(k, False) for k in KS]
    assert [rank_error(k) for k in KS] == pytest.approx(theirs, rel=1e-12)


def test_the_sketches_united_stay_as_they_were():
    a, b = sketch_of(16, np.arange(100.0)), sketch_of(16, -np.arange(50.0))
    before = [(held.sizes, held.numbers.tolist()) for held in (a, b)]
    both = unite(16, [a, b], np.array([1000.0, -1000.0]))
    assert (both.seen, both.least, both.greatest) == (152, -1000.0, 1000.0)
    assert [(held.sizes, held.numbers.tolist()) for held in (a, b)] == before
