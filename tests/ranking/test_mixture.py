"""The online mixture against plain loops, over what a client would read."""

import numpy as np
import pytest

from tests.packed import features
from tests.trying import T0, H, M, S, event, plan_of, record_of
from user_state.answers import UserStateBatch
from user_state.errors import InputError
from user_state.ranking.mixture import (
    NO_CONTEXT,
    OnlineMixture,
    pause_contexts,
    recent_experts,
)

RECENT = {"kind": "recent_items", "of": "item_id", "half_life": ["1m", "1h"]}
OUTPUTS = ["recent_1m", "recent_1h"]


def batch_of(events, users, at_us):
    plan = plan_of(embeddings={"recent": RECENT})
    records = record_of(plan, events)
    finished = features(plan, records, at_us)
    return UserStateBatch(
        users=users,
        names=(),
        values=finished.values.astype(np.float32),
        present=np.ones(len(users), np.bool_),
        as_of_us=at_us,
        last_event_us=records.heads.last_event_us,
        arrays={},
        sequences=finished.sequences,
        embeddings={},
        item_versions={},
        missing_items={},
    )


def test_scores_and_weights_are_those_of_a_plain_loop():
    rng = np.random.default_rng(4)
    ranker = OnlineMixture(["a", "b", "c"], rate=0.05)
    weights = [[0.25] * 4 for _ in range(17)]
    for _ in range(200):
        experts = rng.dirichlet(np.ones(6), size=(2, 4))
        contexts = rng.integers(0, 17, 2)
        found = ranker.scores(experts, contexts)
        for user in range(2):
            mine = weights[contexts[user]]
            mixed = [sum(mine[m] * experts[user, m, j] for m in range(4)) for j in range(6)]
            np.testing.assert_allclose(found[user], mixed, rtol=1e-9)
        chosen = int(rng.integers(6))
        mine = weights[contexts[0]]
        total = sum(mine[m] * experts[0, m, chosen] for m in range(4))
        weights[contexts[0]] = [0.95 * mine[m] + 0.05 * mine[m] * experts[0, m, chosen] / total for m in range(4)]
        ranker.learn(experts[0, :, chosen], int(contexts[0]))
    np.testing.assert_allclose(ranker.weights, weights, rtol=1e-9)
    np.testing.assert_allclose(ranker.weights.sum(axis=1), 1.0, rtol=1e-9)


def test_the_expert_that_is_right_wins_in_its_context_alone():
    ranker = OnlineMixture(["right", "wrong"], rate=0.02)
    for _ in range(500):
        ranker.learn(np.array([0.9, 0.05, 0.1]), 3)
    assert ranker.weights[3, 0] > 0.9
    np.testing.assert_allclose(ranker.weights[4], 1 / 3)


def test_experts_are_the_shares_that_the_client_read():
    events = [
        event(T0, "u", item_id="a"),
        event(T0 + M, "u", item_id="b"),
        event(T0 + M, "v", item_id="c"),
        event(T0 + M, "v", item_id="x"),
    ]
    batch = batch_of(events, ("u", "v"), T0 + M + 5 * S)
    experts = recent_experts(batch, OUTPUTS, ["a", "b", "c", "d"])
    late = 0.5 ** (1 / 60)
    expected = [
        [[1 / 3, 2 / 3, 0, 0], [late / (1 + late), 1 / (1 + late), 0, 0], [0.25] * 4],
        [[0, 0, 0.5, 0], [0, 0, 0.5, 0], [0.25] * 4],
    ]
    np.testing.assert_allclose(experts, expected, rtol=1e-9)
    assert pause_contexts(batch).tolist() == [1, 1]
    scores = OnlineMixture(OUTPUTS).scores(experts, pause_contexts(batch))
    assert scores.argmax(axis=1).tolist() == [1, 2]


def test_users_without_events_have_a_context_of_their_own_and_get_chance():
    batch = batch_of([event(T0, "u", item_id=None, action="view")], ("u",), T0 + H)
    batch.last_event_us[0] = 0
    experts = recent_experts(batch, OUTPUTS, ["a", "b"])
    assert pause_contexts(batch).tolist() == [NO_CONTEXT]
    np.testing.assert_allclose(OnlineMixture(OUTPUTS).scores(experts, pause_contexts(batch)), [[1 / 6, 1 / 6]])


def test_weights_come_back_from_json():
    ranker = OnlineMixture(OUTPUTS)
    ranker.learn(np.array([0.5, 0.1, 0.1]), 2)
    again = OnlineMixture.from_json(ranker.to_json())
    assert (again.experts, again.rate) == (ranker.experts, ranker.rate)
    np.testing.assert_array_equal(again.weights, ranker.weights)


@pytest.mark.parametrize("text", ["", "{}", '{"experts": ["a"], "rate": 0.1, "weights": [[1]]}', "[1]"])
def test_what_is_no_mixture_is_refused(text):
    with pytest.raises(InputError, match="expected"):
        OnlineMixture.from_json(text)


@pytest.mark.parametrize(
    ("experts", "rate"), [([], 0.1), (["a", "a"], 0.1), (["chance"], 0.1), (["a"], 0.0), (["a"], 1.0)]
)
def test_settings_that_do_not_fit_are_refused(experts, rate):
    with pytest.raises(InputError, match="expected"):
        OnlineMixture(experts, rate=rate)


def test_wrong_outputs_candidates_and_probabilities_are_refused():
    batch = batch_of([event(T0, "u", item_id="a")], ("u",), T0)
    with pytest.raises(InputError, match="an output of recent_items"):
        recent_experts(batch, ["recent_2h"], ["a"])
    with pytest.raises(InputError, match="each candidate once"):
        recent_experts(batch, OUTPUTS, ["a", "a"])
    for wrong in ([0.1], [np.nan, 0.1, 0.1], [-0.1, 0.1, 0.1]):
        with pytest.raises(InputError, match="a probability for each of 3 experts"):
            OnlineMixture(OUTPUTS).learn(np.array(wrong), 0)
