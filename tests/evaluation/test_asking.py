"""Asking the store while it fills: what is read at given moments, and what a record that cannot be read does."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from user_state.answers import UserStateBatch
from user_state.errors import StoreError
from user_state.evaluation.asking import Answers, Reads, Watched, ask


class StandIn:
    """A client whose users all have a newest event at 100 us, and a scorer that prefers the first item."""

    def __init__(self, unreadable: Sequence[str] = ()) -> None:
        self._unreadable = unreadable

    def get_many(self, users: Sequence[str], at_us: int) -> UserStateBatch:
        n = len(users)
        errors = {user: "damaged" for user in users if user in self._unreadable}
        newest_us = np.full(n, 100)
        nothing: dict[str, Any] = {}
        values, present = np.zeros((n, 0), np.float32), np.ones(n, np.bool_)
        return UserStateBatch(
            tuple(users), (), values, present, at_us, newest_us, nothing, nothing, nothing, nothing, nothing, errors
        )

    def scores(self, batch: UserStateBatch) -> np.ndarray:
        return np.tile([3.0, 2.0, 1.0], (len(batch), 1))


def asked(stand_in: Any, users: list[str], watched: list[str]) -> Answers:
    now_s = time.time()
    reads = Reads(
        np.full(len(users), now_s), users, np.full(len(users), 2), np.full(len(users), 200), np.full(len(users), 100)
    )
    looked = Watched(np.full(len(watched), now_s), watched, np.full(len(watched), 100))
    return ask(stand_in, stand_in, reads, looked, lambda now_s: round(now_s * 1e6), lambda share: None)


def test_what_came_is_ranked_and_what_is_watched_is_seen():
    answers = asked(StandIn(), ["a", "b"], ["a"])
    assert answers.rank.tolist() == [3.0, 3.0]
    assert answers.behind.tolist() == [False, False]
    assert np.isfinite(answers.readable_s).all()


@pytest.mark.parametrize(("users", "watched"), [(["a", "b"], []), ([], ["a", "b"])])
def test_a_record_that_cannot_be_read_is_an_error_and_no_state_without_events(users, watched):
    with pytest.raises(StoreError, match="cannot read the records of 1 of 2 users: damaged"):
        asked(StandIn(unreadable=["b"]), users, watched)
