"""KLL sketches united natively: no weight is lost, and ranks are within the bound that the library states.

Many random streams, in any order, one number at a time, in batches, as trees of merges; beside DataSketches' own
sketches of the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from datasketches import kll_doubles_sketch

from user_state import _native

NOTHING = np.empty(0)
Sketch = tuple[tuple[int, ...], float, float, np.ndarray]
"""Sizes of the levels, least, greatest, numbers level by level."""


def united(k: int, sketches: list[Sketch], numbers: np.ndarray = NOTHING) -> Sketch:
    return _native.unite_klls(k, sketches, numbers)


def weights(sketch: Sketch) -> np.ndarray:
    return np.repeat(1 << np.arange(len(sketch[0])), sketch[0])


def seen(sketch: Sketch) -> int:
    return int(weights(sketch).sum())


def same(a: Sketch, b: Sketch) -> bool:
    return a[:3] == b[:3] and np.array_equal(a[3], b[3])


def rank_error(sketch: Sketch, numbers: np.ndarray) -> float:
    """Return how far the rank of any number kept is off, as a share of all."""
    kept, order = sketch[3], np.argsort(sketch[3], kind="stable")
    reached = np.cumsum(weights(sketch)[order])
    below, upto = (np.searchsorted(np.sort(numbers), kept[order], side) for side in ("left", "right"))
    # Of equal numbers, any place among them is right.
    off = np.maximum(reached - upto, 0) + np.maximum(below + 1 - reached, 0)
    return float(off.max()) / len(numbers)


def one_by_one(k: int, numbers: np.ndarray) -> Sketch:
    sketch = united(k, [], numbers[: k + 1])
    for number in numbers[k + 1 :, None]:
        sketch = united(k, [sketch], number)
    return sketch


def at_once(k: int, numbers: np.ndarray) -> Sketch:
    return united(k, [], numbers)


def in_a_chain(k: int, numbers: np.ndarray) -> Sketch:
    sketch = united(k, [], NOTHING)
    for part in np.array_split(numbers, 40):
        sketch = united(k, [sketch, united(k, [], part)])
    return sketch


def in_pairs(k: int, numbers: np.ndarray) -> Sketch:
    sketches = [united(k, [], part) for part in np.array_split(numbers, 64)]
    while len(sketches) > 1:
        sketches = [united(k, pair) for pair in zip(sketches[::2], sketches[1::2], strict=True)]
    return sketches[0]


def all_together(k: int, numbers: np.ndarray) -> Sketch:
    return united(k, [united(k, [], part) for part in np.array_split(numbers, 50)], numbers[:0])


HOW = [one_by_one, at_once, in_a_chain, in_pairs, all_together]


def random_order(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.permutation(count).astype(float)


def ascending(_rng: np.random.Generator, count: int) -> np.ndarray:
    return np.arange(count, dtype=float)


def repeating(rng: np.random.Generator, count: int) -> np.ndarray:
    """A short stream over and over: what coins that hash the numbers alone would err on in one direction."""
    return np.resize(rng.normal(size=64), count)


def inwards(_rng: np.random.Generator, count: int) -> np.ndarray:
    """From both ends in turns."""
    half = np.arange(count // 2)
    return np.stack((half, count - 1 - half), axis=1).ravel().astype(float)


def with_ties(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.floor(rng.exponential(20, count))


STREAMS = [random_order, ascending, repeating, inwards, with_ties]


@pytest.mark.slow
@pytest.mark.parametrize("stream", STREAMS, ids=lambda of: of.__name__)
@pytest.mark.parametrize("build", HOW, ids=lambda of: of.__name__)
@pytest.mark.parametrize("k", [16, 132, 300])
def test_ranks_are_within_the_bound_of_the_library(
    k: int,
    build: Callable[[int, np.ndarray], Sketch],
    stream: Callable[[np.random.Generator, int], np.ndarray],
) -> None:
    """99 in 100 sketches keep to the bound: to see three of 20 that do not would be one chance in 1000."""
    bound = kll_doubles_sketch.get_normalized_rank_error(k, False)
    rng, tries = np.random.default_rng(k), 20
    worst = []
    for _ in range(tries):
        numbers = stream(rng, 2000 + 2 * int(rng.integers(1000)))
        # A stream that knows no chance starts somewhere else each time.
        numbers = numbers + rng.normal()
        sketch = build(k, numbers)
        assert seen(sketch) == len(numbers)
        assert sketch[1:3] == (numbers.min(), numbers.max())
        worst.append(rank_error(sketch, numbers))
    assert sum(error > bound for error in worst) <= 2, (bound, sorted(worst)[-4:])


@pytest.mark.slow
def test_ranks_are_no_worse_than_the_librarys() -> None:
    """The mean over 200 streams of the worst rank error, beside that of the library's sketches of the same numbers."""
    k, ours, theirs, rng = 64, [], [], np.random.default_rng(3)
    for _ in range(200):
        numbers = rng.normal(size=5000)
        ours.append(rank_error(one_by_one(k, numbers), numbers))
        sketch = kll_doubles_sketch(k)
        sketch.update(numbers)
        pairs = [(number, weight.bit_length() - 1) for number, weight in sketch]
        levels = [[number for number, of in pairs if of == level] for level in range(max(of for _, of in pairs) + 1)]
        flat = np.array([number for level in levels for number in level])
        theirs.append(rank_error((tuple(map(len, levels)), numbers.min(), numbers.max(), flat), numbers))
    assert 0 < np.mean(ours) < 1.1 * np.mean(theirs), (np.mean(ours), np.mean(theirs))


@pytest.mark.parametrize("k", [16, 47, 132, 300])
def test_levels_keep_to_their_room_and_their_order(k: int) -> None:
    sketch, numbers = united(k, []), np.random.default_rng(k).normal(size=20_000)
    for begin in range(0, len(numbers), 500):
        sketch = united(k, [sketch], numbers[begin : begin + 500])
        assert seen(sketch) == begin + 500
        assert len(sketch[3]) <= room(k, len(sketch[0]))
        assert sketch[0][-1] > 0
        for level in np.split(sketch[3], np.cumsum(sketch[0])[:-1]):
            assert (np.diff(level) >= 0).all()


def room(k: int, levels: int) -> int:
    """Return how many numbers fit so many levels, in plain fractions: each two thirds of the one above, 8 at least."""
    return sum(max(8, round(k * (2 / 3) ** depth)) for depth in range(levels))


def test_levels_that_are_full_but_for_one_number_stay_as_they_are() -> None:
    """The k-th number fits, the one after it does not."""
    assert united(16, [], np.arange(16.0))[0] == (16,)
    assert united(16, [], np.arange(17.0))[0] == (1, 8)


def test_of_an_odd_number_the_least_stays_where_it_is() -> None:
    sizes, least, _, numbers = united(16, [], np.arange(17.0))
    assert (sizes, least, numbers[0]) == ((1, 8), 0.0, 0.0)
    assert numbers[1:].tolist() in ([1.0 + 2 * at for at in range(8)], [2.0 + 2 * at for at in range(8)])


def test_the_same_input_makes_the_same_sketch_in_whatever_order() -> None:
    rng = np.random.default_rng(9)
    parts = [united(24, [], rng.normal(size=size)) for size in (30, 700, 95, 12, 4000)]
    more = rng.normal(size=50)
    expected = united(24, parts, more)
    for _ in range(10):
        order = rng.permutation(len(parts))
        assert same(united(24, [parts[at] for at in order], rng.permutation(more)), expected)
    golden = united(16, [], np.arange(50.0) * np.arange(50.0) % 97)
    assert golden[0] == GOLDEN_SIZES
    assert golden[3].tolist() == GOLDEN_NUMBERS


GOLDEN_SIZES = (0, 25)
GOLDEN_NUMBERS = [1, 3, 6, 9, 12, 18, 24, 27, 32, 35, 43, 47, 49, 53, 61, 64, 66, 72, 73, 79, 85, 88, 91, 94, 96]
"""As on any machine: a record is the same wherever it was made."""


def test_coins_fall_on_both_sides() -> None:
    """Of 400 sketches, between 150 and 250 keep the numbers in odd places; 5 standard deviations."""
    rng = np.random.default_rng(1)
    odd = 0
    for _ in range(400):
        numbers = np.sort(rng.normal(size=18))
        odd += united(16, [], numbers)[3][0] == numbers[1]
    assert 150 < odd < 250


def test_repeated_numbers_do_not_have_the_same_coin_over_and_over() -> None:
    """Sixteen numbers again and again: both coins are seen, since the number of those seen before counts too."""
    numbers = np.arange(17.0)
    sketch, kept = united(16, [], NOTHING), set()
    for _ in range(40):
        sketch = united(16, [sketch], numbers)
        kept.add(float(sketch[3][sketch[0][0]]))
    assert len(kept) > 1


def test_what_is_united_with_nothing_stays_as_it_is() -> None:
    sketch = united(16, [], np.random.default_rng(0).normal(size=1000))
    assert same(united(16, [sketch, united(16, [])]), sketch)


def test_more_than_there_is_is_refused() -> None:
    huge: Sketch = ((0,) * 49 + (1,), 0.0, 0.0, np.zeros(1))
    assert seen(united(16, [huge])) == 2**49
    with pytest.raises(NotImplementedError):
        united(16, [huge, huge])
