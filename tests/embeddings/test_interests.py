"""Interests of few users and of many, event by event and all at once, are those of brute force."""

import numpy as np
import pytest

from user_state.embeddings.composing import Composing
from user_state.embeddings.interests import FEW_USERS, USERS_AT_ONCE, find_interests
from user_state.embeddings.item_vectors import NoVectors
from user_state.oracle.composed import Part, interests
from user_state.plan.outputs import History, InterestsOutput

DIMENSIONS, S = 6, 1_000_000
HISTORY = History(0, 0, None, None, 50)


def _part(seed: int, users: int, most_events: int) -> Composing:
    """Users with none to `most_events` events, at times that repeat and that lie far apart, of every weight."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), rng.integers(most_events + 1, size=users))
    time_us = rng.choice([0, 1, S, 10 * S, 20_000 * S], len(user)) + rng.integers(2, size=len(user))
    time_us = time_us[np.lexsort((time_us, user))]
    vector = rng.normal(size=(9, DIMENSIONS))[rng.integers(9, size=len(user))]
    vector[rng.random(len(user)) < 0.05] = 0
    weight = rng.choice([1.0, 3.0, 1e3, 1e-3, -1.0], len(user))
    return Composing(user, time_us, weight, vector, np.zeros(users, np.int64), NoVectors(DIMENSIONS))


@pytest.mark.parametrize("users", [1, FEW_USERS, FEW_USERS + 1, 40, USERS_AT_ONCE + 5])
@pytest.mark.parametrize(("most", "threshold"), [(1, 0.2), (3, -1.0), (3, 0.4), (5, 0.9)])
def test_interests_of_any_number_of_users_are_those_of_brute_force(users: int, most: int, threshold: float) -> None:
    part = _part(users + most, users, 3 if users > USERS_AT_ONCE else 30)
    output = InterestsOutput("find", HISTORY, "shelf", DIMENSIONS, 5 * S, most, threshold)
    at_us = 20_005 * S

    found = find_interests(part, output, np.full(users, at_us))

    assert found.weights.any()
    for user in range(users):
        parts = [
            Part(int(part.time_us[row]), float(part.weight[row]), part.vector[row])
            for row in np.flatnonzero(part.user == user)
        ]
        vectors, weights = interests(parts, 5 * S, at_us, DIMENSIONS, most, threshold)
        np.testing.assert_allclose(found.vectors[user], vectors, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.weights[user], weights, rtol=1e-9, atol=1e-300)
