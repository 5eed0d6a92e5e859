"""KLL sketches of the DataSketches library as plain values: levels of numbers, each standing for 2^level of them.

The library merges and compacts; everything else (storing, reading, judging what storage gives back) is done with the
plain values here, so that bytes from outside never reach it: what it is handed was put together by `_image`. A sketch
holds at most about 3k numbers, whatever it has seen. Which half of a level a compaction keeps is drawn by lot, so two
sketches of the same numbers may differ, within the error that both are held to.

Source: Karnin, Lang, Liberty, "Optimal Quantile Approximation in Streams", FOCS 2016; DataSketches,
`kll_doubles_sketch`, whose rank errors hold for 99 of 100 sketches.
"""

from __future__ import annotations

KS = range(16, 301)
MAX_LEVELS = 50
_M = 8
"""The least that a level holds before it is compacted; the library's."""


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


def capacity(k: int, levels: int) -> int:
    """Return how many numbers fit a sketch of so many levels: each level two thirds of the one above, the top one k.

    >>> capacity(200, 1), capacity(200, 3)
    (200, 422)
    """
    # In the library's whole numbers, which go down in two steps beyond 30 levels; by then all are the least there is.
    return sum(max(_M, ((2 * k << depth) // int(3**depth) + 1) >> 1) for depth in range(levels))
