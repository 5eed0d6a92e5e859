"""The scorer of learned item vectors, from records, equals plain loops over the log at every question."""

from __future__ import annotations

import numpy as np
import pytest

from tests.learned_pairs import Act, item_sums, pairs_of
from tests.logs import random_log
from user_state.embeddings.hashed_vectors import hashed_vectors
from user_state.errors import InputError
from user_state.evaluation.interactions import Interactions
from user_state.evaluation.own_spec import own_rows
from user_state.evaluation.scorers.learned_items import LearnedItems

DIMENSIONS, REACH, LAST = 16, 3, 5


def by_hand(log: Interactions, ids: list[int], until: int, user: int) -> np.ndarray:
    """Return the scores that the first `until` interactions give."""
    # Ties come from the hash of the event id, which here is the row's own.
    lines: dict[int, list[tuple[int, int, int]]] = {}
    for at in range(until):
        lines.setdefault(int(log.user[at]), []).append((int(log.time_us[at]), ids[at] >> 32, int(log.item[at])))
    sums, weights = np.zeros((len(log.items), DIMENSIONS)), np.zeros(len(log.items))
    random = hashed_vectors(log.items, DIMENSIONS)
    for line in lines.values():
        line.sort()
        for at, (early_us, _, one) in enumerate(line):
            for late_us, _, other in line[at + 1 : at + 1 + REACH]:
                weight = 2.0 ** (-(late_us - early_us) / 60e6)
                if one != other and weight >= 2.0**-20:
                    sums[one] += weight * random[other]
                    sums[other] += weight * random[one]
                    weights[[one, other]] += weight
    unit = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-300)
    popular = (1 + weights) ** 0.1
    last = [item for _, _, item in lines.get(user, [])][::-1][:LAST]
    if not last:
        return popular
    return unit @ (0.8 ** np.arange(len(last)) @ unit[last]) * popular


@pytest.mark.parametrize("seed", range(2))
def test_equals_plain_loops_at_every_question(seed: int) -> None:
    log = random_log(seed, events=150, users=4)
    scorer = LearnedItems(log, dimensions=DIMENSIONS, reach=REACH, last=LAST)
    ids = [row[1] for row in own_rows(scorer._plan, log)]
    # Interactions of one second have an order of their own here; a question between two of them would see half.
    ends = np.flatnonzero(np.diff(log.time_us)).tolist()
    learnt = 0
    for end in ends:
        scorer.learn(learnt, end + 1)
        learnt = end + 1
        user = int(log.user[min(learnt, len(log) - 1)])
        found = scorer.scores(user, int(log.time_us[end]))
        np.testing.assert_allclose(found, by_hand(log, ids, learnt, user), rtol=1e-4, atol=1e-4)
    assert len(ends) > 50


def test_the_plain_loops_agree_with_those_that_the_item_stage_is_held_to() -> None:
    log = random_log(1, events=60, users=3)
    acts = [
        Act(f"{at}", log.users[u], log.items[i], int(t))
        for at, (u, i, t) in enumerate(zip(log.user.tolist(), log.item.tolist(), log.time_us.tolist(), strict=True))
    ]
    sums = item_sums(pairs_of(acts, 60_000_000), DIMENSIONS)
    scorer = LearnedItems(log, dimensions=DIMENSIONS, reach=100)
    scorer.learn(0, len(log))
    for item, total in sums.items():
        np.testing.assert_allclose(scorer._unit[scorer._code[item]], total / np.linalg.norm(total), atol=1e-4)


def test_a_half_life_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="expected a half-life such as 1m, got 'soon'"):
        LearnedItems(random_log(0), half_life="soon")
