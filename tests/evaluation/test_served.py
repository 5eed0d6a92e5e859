"""Scores from what the serving client returns are those of the scorers of records."""

from __future__ import annotations

import numpy as np
import pytest

from tests.logs import random_log
from tests.servers.redis import Valkey
from user_state.client import UserStateClient
from user_state.evaluation.catalogue import Choice
from user_state.evaluation.own_spec import own_rows, own_spec
from user_state.evaluation.served import served_scorer
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.store.redis_store import RedisStateStore


@pytest.mark.parametrize(
    "text", ["sketch", "sketch:dimensions=32,half_lives=1m+2h", "recent:popular=false,records=true,keep=20"]
)
def test_equals_the_scorer_of_records(text: str, valkey: Valkey) -> None:
    log, choice = random_log(2, events=200, users=5), Choice.parse(text)
    served = served_scorer(choice, log.items)
    spec = own_spec({"embeddings": dict(served.embeddings)})
    plan = compile_plan(spec)
    store = RedisStateStore(valkey.url, plan.name)
    try:
        folder = Folder(plan, store)
        folder.start()
        folder.fold(own_rows(plan, log))
    finally:
        store.close()
    at_us = int(log.time_us[-1])
    with UserStateClient.from_url(valkey.url, spec, timeout_s=5) as client:
        found = served.scores(client.get_many([*log.users, "nobody"], at_us))
    for user in range(len(log.users)):
        scorer = choice.make(log)
        scorer.learn(0, len(log))
        np.testing.assert_allclose(found[user], scorer.scores(user, at_us), rtol=1e-4, atol=1e-5)
        assert np.abs(found[user]).max() > 0.1
    assert (found[-1] == 0).all()
