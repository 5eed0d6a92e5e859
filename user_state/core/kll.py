"""KLL sketches of the DataSketches library as plain values: levels of numbers, each standing for 2^level of them.

The library merges and compacts; everything else (storing, reading, judging what storage gives back) is done with the
plain values here, so that bytes from outside never reach it: what it is handed was put together by `_image`. A sketch
holds at most about 3k numbers, whatever it has seen. Which half of a level a compaction keeps is drawn by lot, so two
sketches of the same numbers may differ, within the error that both are held to.

Source: Karnin, Lang, Liberty, "Optimal Quantile Approximation in Streams", FOCS 2016; DataSketches,
`kll_doubles_sketch`, whose rank errors hold for 99 of 100 sketches.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt
from datasketches import kll_doubles_sketch

from user_state.core.ragged import begins_of, elements_of

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
KS = range(16, 301)
MAX_LEVELS = 50
MAX_SEEN = 1 << MAX_LEVELS
"""More than any sketch has seen, and few enough for sums over a record's sketches."""
_M = 8
"""The least that a level holds before it is compacted; the library's."""
_HEAD = struct.Struct("<4BH2BQH2B")


def rank_error(k: int) -> float:
    """Return how far a quantile's rank may be off, as a share of all values, in 99 of 100 cases.

    Source: DataSketches, `get_normalized_rank_error`, measured there over many sketches of each k.

    >>> round(rank_error(200), 4)
    0.0133
    """
    return 2.296 / float(k**0.9723)


def k_for(error: float) -> int:
    """Return the least k whose rank error is at most this, or the greatest there is."""
    return next((k for k in KS if rank_error(k) <= error), KS[-1])


@dataclass(frozen=True)
class Kll:
    """What a sketch holds.

    Attributes:
        sizes: how many numbers each level has, level 0 first.
        least, greatest: of all it has seen, exactly.
        numbers: the levels' numbers one after the other; ascending within a level, but for level 0.
    """

    sizes: tuple[int, ...]
    least: float
    greatest: float
    numbers: F64

    @property
    def seen(self) -> int:
        """How many numbers the sketch has seen."""
        return sum(size << level for level, size in enumerate(self.sizes))

    @property
    def weights(self) -> I64:
        """How many each of `numbers` stands for."""
        return np.repeat(np.int64(1) << np.arange(len(self.sizes), dtype=np.int64), self.sizes)


@dataclass(frozen=True)
class Klls:
    """Several sketches as columns.

    Attributes:
        levels: (d,) how many levels each has.
        sizes: (sum of levels,) how many numbers each level has, sketch by sketch, level 0 first.
        least, greatest: (d,).
        numbers: (sum of sizes,) level by level.
    """

    levels: I64
    sizes: I64
    least: F64
    greatest: F64
    numbers: F64

    def __len__(self) -> int:
        return len(self.levels)

    @classmethod
    def of(cls, sketches: Sequence[Kll]) -> Klls:
        """Return sketches side by side."""
        nothing = np.empty(0)
        return cls(
            np.array([len(held.sizes) for held in sketches], np.int64),
            np.array([size for held in sketches for size in held.sizes], np.int64),
            np.array([held.least for held in sketches]),
            np.array([held.greatest for held in sketches]),
            np.concatenate([nothing, *(held.numbers for held in sketches)]),
        )

    @property
    def counts(self) -> I64:
        """(d,) how many numbers each keeps."""
        if len(self) == 0:
            return self.levels
        return np.asarray(np.add.reduceat(self.sizes, begins_of(self.levels)), np.int64)

    @property
    def level_of_size(self) -> I64:
        """(sum of levels,) which level each of `sizes` is of."""
        return np.arange(len(self.sizes)) - np.repeat(begins_of(self.levels), self.levels)

    @property
    def weights(self) -> I64:
        """(sum of sizes,) how many each of `numbers` stands for."""
        return np.repeat(np.int64(1) << self.level_of_size, self.sizes)

    def __getitem__(self, index: int) -> Kll:
        """Return one of them."""
        return self.listed([index])[0]

    def listed(self, rows: Sequence[int]) -> list[Kll]:
        """Return the chosen ones, one by one."""
        level_at, number_at = begins_of(self.levels), begins_of(self.counts)
        found = []
        for row in rows:
            at, begin = int(level_at[row]), int(number_at[row])
            sizes = tuple(self.sizes[at : at + int(self.levels[row])].tolist())
            numbers = self.numbers[begin : begin + sum(sizes)]
            found.append(Kll(sizes, float(self.least[row]), float(self.greatest[row]), numbers))
        return found

    def take(self, rows: I64) -> Klls:
        """Return the chosen ones, by index."""
        counts, levels = self.counts, self.levels[rows]
        return Klls(
            levels,
            self.sizes[elements_of(begins_of(self.levels)[rows], levels)],
            self.least[rows],
            self.greatest[rows],
            self.numbers[elements_of(begins_of(counts)[rows], counts[rows])],
        )

    def beside(self, other: Klls) -> Klls:
        """Return these and the others after them."""
        columns = ("levels", "sizes", "least", "greatest", "numbers")
        return Klls(*(np.concatenate((getattr(self, name), getattr(other, name))) for name in columns))


def unite(k: int, sketches: Sequence[Kll], numbers: F64) -> Kll:
    """Return the sketch of everything that sketches (of the same k) and numbers have seen.

    Numbers that one sketch has room for it takes in as it is: into level 0, the last one first.
    """
    united, *others = [kll_doubles_sketch.deserialize(_image(k, held)) for held in sketches] or [kll_doubles_sketch(k)]
    for other in others:
        united.merge(other)
    if len(numbers):
        united.update(numbers)
    return _taken_apart(united.serialize())


@lru_cache(maxsize=1024)
def capacity(k: int, levels: int) -> int:
    """Return how many numbers fit a sketch of so many levels: each level two thirds of the one above, the top one k.

    >>> capacity(200, 1), capacity(200, 3)
    (200, 422)
    """
    # In the library's whole numbers, which go down in two steps beyond 30 levels; by then all are the least there is.
    return sum(max(_M, ((2 * k << depth) // int(3**depth) + 1) >> 1) for depth in range(levels))


def _image(k: int, held: Kll) -> bytes:
    """Return the library's bytes of a sketch."""
    levels = len(held.sizes)
    begins = list(accumulate(held.sizes[:-1], initial=capacity(k, levels) - sum(held.sizes)))
    head = _HEAD.pack(5, 1, 15, 0, k, _M, 0, held.seen, k, levels, 0)
    return b"".join((head, struct.pack(f"<{levels}I2d", *begins, held.least, held.greatest), held.numbers.tobytes()))


def _taken_apart(image: bytes) -> Kll:
    """Return what the library's bytes of a sketch of at least two numbers hold."""
    levels = _HEAD.unpack_from(image)[-2]
    *begins, least, greatest = struct.unpack_from(f"<{levels}I2d", image, _HEAD.size)
    numbers = np.frombuffer(image, "<f8", -1, _HEAD.size + 4 * levels + 16)
    sizes = tuple(end - begin for begin, end in pairwise((*begins, begins[0] + len(numbers))))
    return Kll(sizes, least, greatest, numbers)
