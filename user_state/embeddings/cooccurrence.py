"""Item vectors from who chose what: the leading eigenvectors of a normalised co-occurrence matrix.

    C_ij = sum over users, over pairs of an i and a j at most `reach` steps apart in the user's order, of fade^(d-1)
    M_ij = C_ij / sqrt((n_i + 1) (n_j + 1))          n_i how many users chose i; M_ii = 0
    M ~ E L E^T, the `dimensions` largest eigenvalues;  z_i = E_i sqrt(L)

z_i . z_j is M_ij with its noise left out, so a user's sum of z_j scores items as item-item cosine does, from one vector
of fixed size. reach 0 pairs all of a user's items alike, which is the cosine of Deshpande and Karypis.

Up to DENSE_ITEMS items the eigenvectors are exact; beyond, by subspace iteration on the pairs that are there.

Sources: Levy, Goldberg, "Neural word embedding as implicit matrix factorization", NeurIPS 2014 (section 3.3, symmetric
factors); Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 2011, algorithm 4.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from user_state.errors import InputError

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

NOISE = 1e-6
"""A vector whose components are all below this part of the largest of any vector is what rounding leaves of zeros."""
DENSE_ITEMS = 4_000
PAIRS_AT_ONCE = 2_000_000
ITERATIONS = 12
OVERSAMPLED = 16


@dataclass(frozen=True)
class Fit:
    """How to fit.

    Attributes:
        dimensions: of a vector.
        reach: how many steps apart two items of a user may stand; 0 for any number, all weighing the same.
        fade: what one step further apart multiplies a pair's weight with.
        seed: of the subspace iteration's start; exact eigenvectors need none.
    """

    dimensions: int = 64
    reach: int = 30
    fade: float = 0.9
    seed: int = 1

    def check(self) -> None:
        """Raise InputError if the settings make no sense."""
        if self.dimensions < 1 or self.reach < 0 or not 0 < self.fade <= 1:
            raise InputError(
                f"expected dimensions of at least 1, reach of at least 0 and fade above 0 and up to 1, got {self}"
            )


@dataclass(frozen=True)
class Pairs:
    """A symmetric matrix (items, items) without its diagonal: `value` at each (row, column), sorted by row."""

    items: int
    row: I64
    column: I64
    value: F64

    def dense(self) -> F64:
        """Return the whole matrix."""
        matrix = np.zeros((self.items, self.items))
        matrix[self.row, self.column] = self.value
        return matrix

    def times(self, block: F64) -> F64:
        """Return the matrix product with (items, k)."""
        product = np.zeros_like(block)
        step = max(PAIRS_AT_ONCE // block.shape[1], 1)
        for at in range(0, len(self.row), step):
            row = self.row[at : at + step]
            heads = np.flatnonzero(np.concatenate(([True], row[1:] != row[:-1])))
            parts = self.value[at : at + step, None] * block[self.column[at : at + step]]
            product[row[heads]] += np.add.reduceat(parts, heads, axis=0)
        return product


def fit_vectors(user: I64, item: I64, items: int, fit: Fit, advance: Callable[[int], object] = bool) -> F64:
    """Return (items, dimensions) vectors; zeros for items that are in no pair.

    Args:
        user: (m,) codes of the interactions' users, in order of time.
        item: (m,) codes of their items; repeats of a pair count once, at the first.
        items: how many there are.
        fit: how.
        advance: called with how many further steps of `steps_of` are done, for progress.

    Raises:
        InputError: settings that make no sense, or more dimensions than items.
    """
    fit.check()
    if fit.dimensions > items:
        raise InputError(f"expected at most as many dimensions as items, {items}, got {fit.dimensions}")
    pairs = normalised_pairs(user, item, items, fit, advance)
    values, vectors = _leading(pairs, fit, advance)
    scaled: F64 = vectors * np.sqrt(np.maximum(values, 0))
    return scaled


def with_vectors(vectors: F64) -> I64:
    """Return which items have a vector: not those in no pair, nor those that the leading dimensions leave out.

    >>> with_vectors(np.array([[1.0, 0.5], [1e-9, -1e-10], [0.0, 0.0], [0.0, 0.01]])).tolist()
    [0, 3]
    """
    size = np.abs(vectors).max(axis=1)
    return np.flatnonzero(size > NOISE * size.max(initial=0))


def steps_of(user: I64, item: I64, items: int, fit: Fit) -> int:
    """Return of how many steps `fit_vectors` consists: distances between items, then iterations."""
    distinct = np.unique(user * items + item) // items
    longest = int(np.bincount(distinct).max(initial=0)) if len(distinct) else 0
    return max(_furthest(longest, fit), 0) + (1 if items <= DENSE_ITEMS else ITERATIONS)


def _furthest(longest: int, fit: Fit) -> int:
    """Return the largest distance between two items of a user, the longest history having so many."""
    return longest - 1 if fit.reach == 0 else min(fit.reach, longest - 1)


def normalised_pairs(user: I64, item: I64, items: int, fit: Fit, advance: Callable[[int], object] = bool) -> Pairs:
    """Return M, the normalised co-occurrences of the interactions; arguments as `fit_vectors`."""
    _, first = np.unique(user * items + item, return_index=True)
    first = np.sort(first)
    user, item = user[first], item[first]
    order = np.argsort(user, kind="stable")
    user, item = user[order], item[order]
    chosen = np.bincount(item, minlength=items).astype(np.float64)
    longest = int(np.bincount(user).max(initial=0)) if len(user) else 0
    furthest = _furthest(longest, fit)
    codes, weights = np.zeros(0, np.int64), np.zeros(0)
    held_codes, held_weights = [codes], [weights]
    held = 0
    for step in range(1, furthest + 1):
        together = np.flatnonzero(user[step:] == user[:-step])
        earlier, later = item[together], item[together + step]
        weight = 1.0 if fit.reach == 0 else fit.fade ** (step - 1)
        held_codes.append(np.minimum(earlier, later) * items + np.maximum(earlier, later))
        held_weights.append(np.full(len(together), weight))
        held += len(together)
        if held > PAIRS_AT_ONCE or step == furthest:
            codes, weights = _summed(np.concatenate(held_codes), np.concatenate(held_weights))
            held_codes, held_weights, held = [codes], [weights], 0
        advance(1)
    low, high = np.divmod(codes, items)
    row, column = np.concatenate((low, high)), np.concatenate((high, low))
    value = np.tile(weights, 2) / np.sqrt((chosen[row] + 1) * (chosen[column] + 1))
    by_row = np.lexsort((column, row))
    return Pairs(items, row[by_row], column[by_row], value[by_row])


def _summed(codes: I64, weights: F64) -> tuple[I64, F64]:
    """Return each code once, with the sum of its weights."""
    distinct, place = np.unique(codes, return_inverse=True)
    return distinct, np.bincount(place, weights, len(distinct)).astype(np.float64)


def _leading(pairs: Pairs, fit: Fit, advance: Callable[[int], object] = bool) -> tuple[F64, F64]:
    """Return the largest eigenvalues, descending, and their eigenvectors as columns."""
    if pairs.items <= DENSE_ITEMS:
        values, vectors = np.linalg.eigh(pairs.dense())
        advance(1)
    else:
        width = min(fit.dimensions + OVERSAMPLED, pairs.items)
        block = np.random.default_rng(fit.seed).normal(size=(pairs.items, width))
        for _ in range(ITERATIONS):
            # Shifted, so that M's negative eigenvalues, hardly any below -1/fade, are not the largest in size.
            block, _ = np.linalg.qr(pairs.times(block) + block / fit.fade)
            advance(1)
        values, turned = np.linalg.eigh(block.T @ pairs.times(block))
        vectors = block @ turned
    descending = np.argsort(values)[::-1][: fit.dimensions]
    return values[descending], vectors[:, descending]
