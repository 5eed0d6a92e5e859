"""Vectors from co-occurrences, against loops over pairs and numpy's own eigenvectors."""

from __future__ import annotations

import numpy as np
import pytest

from tests.logs import random_log
from user_state.embeddings import cooccurrence
from user_state.embeddings.cooccurrence import Fit, fit_vectors, normalised_pairs, with_vectors
from user_state.errors import InputError


def expected_matrix(log: object, fit: Fit) -> np.ndarray:
    items = len(log.items)
    matrix, chosen = np.zeros((items, items)), np.zeros(items)
    for user in range(len(log.users)):
        mine = list(dict.fromkeys(log.item[log.user == user].tolist()))
        for i, one in enumerate(mine):
            chosen[one] += 1
            for j, other in enumerate(mine):
                steps = abs(i - j)
                if steps and (fit.reach == 0 or steps <= fit.reach):
                    matrix[one, other] += 1 if fit.reach == 0 else fit.fade ** (steps - 1)
    return matrix / np.sqrt(np.outer(chosen + 1, chosen + 1))


FITS = [Fit(4), Fit(4, reach=0), Fit(4, reach=2, fade=0.5), Fit(12, reach=1, fade=1.0)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fit", FITS)
def test_the_matrix_is_what_loops_over_pairs_give(seed: int, fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    log = random_log(seed, users=20)
    expected = expected_matrix(log, fit)
    pairs = normalised_pairs(log.user, log.item, len(log.items), fit)
    np.testing.assert_allclose(pairs.dense(), expected, rtol=1e-12)
    block = np.random.default_rng(seed).normal(size=(len(log.items), 3))
    np.testing.assert_allclose(pairs.times(block), expected @ block, rtol=1e-9, atol=1e-12)
    # The same, summed up and multiplied in small parts.
    monkeypatch.setattr(cooccurrence, "PAIRS_AT_ONCE", 50)
    again = normalised_pairs(log.user, log.item, len(log.items), fit)
    np.testing.assert_allclose(again.dense(), expected, rtol=1e-12)
    np.testing.assert_allclose(again.times(block), expected @ block, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("fit", FITS)
def test_inner_products_are_the_best_approximation_of_that_rank_from_above_zero(fit: Fit) -> None:
    log = random_log(3, users=20)
    vectors = fit_vectors(log.user, log.item, len(log.items), fit)
    values, directions = np.linalg.eigh(expected_matrix(log, fit))
    kept = np.maximum(values[::-1][: fit.dimensions], 0)
    leading = directions[:, ::-1][:, : fit.dimensions]
    np.testing.assert_allclose(vectors @ vectors.T, leading * kept @ leading.T, atol=1e-9)


def test_beyond_the_dense_limit_subspace_iteration_finds_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    log = random_log(4, events=4000, users=60, items=80)
    fit = Fit(8)
    exact = fit_vectors(log.user, log.item, len(log.items), fit)
    monkeypatch.setattr(cooccurrence, "DENSE_ITEMS", 10)
    monkeypatch.setattr(cooccurrence, "ITERATIONS", 100)
    found = fit_vectors(log.user, log.item, len(log.items), fit)
    np.testing.assert_allclose(found @ found.T, exact @ exact.T, atol=1e-3 * np.abs(exact @ exact.T).max())


def test_an_item_without_a_pair_has_no_vector() -> None:
    vectors = fit_vectors(np.array([0, 0, 1]), np.array([0, 1, 2]), 4, Fit(2))
    assert np.abs(vectors[[2, 3]]).max() < 1e-12
    assert np.abs(vectors[[0, 1]]).max() > 0.1


def test_an_item_outside_the_leading_dimensions_has_no_vector() -> None:
    """Rounding gave such items vectors of about 1e-9, and `nearest` ranked by them."""
    rng = np.random.default_rng(5)
    large = [np.sort(rng.choice(30, 4, replace=False)) for _ in range(200)]
    small = [np.array([30 + 2 * n, 31 + 2 * n]) for n in range(20)]
    item = np.concatenate([*large, *small])
    user = np.repeat(np.arange(len(large) + len(small)), [len(one) for one in (*large, *small)])
    vectors = fit_vectors(user, item, 70, Fit(1))
    values = np.linalg.eigvalsh(normalised_pairs(user, item, 70, Fit(1)).dense())
    assert values[-1] > 0.6  # so that the dimension is of the large part: a small one's is 0.5
    assert with_vectors(vectors).tolist() == list(range(30))
    assert with_vectors(np.zeros((3, 2))).tolist() == []


@pytest.mark.parametrize("fit", [Fit(0), Fit(3, reach=-1), Fit(3, fade=0.0), Fit(3, fade=1.1), Fit(3, fade=np.nan)])
def test_settings_that_make_no_sense_are_refused(fit: Fit) -> None:
    with pytest.raises(InputError, match="expected dimensions of at least 1"):
        fit_vectors(np.array([0, 0]), np.array([0, 1]), 3, fit)


def test_more_dimensions_than_items_are_refused() -> None:
    with pytest.raises(InputError, match="as many dimensions as items, 3, got 4"):
        fit_vectors(np.array([0, 0]), np.array([0, 1]), 3, Fit(4))
