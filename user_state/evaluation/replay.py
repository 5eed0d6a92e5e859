"""A log replayed: what records said of its users before each question, by the code that folds and reads in production.

Questions are answered by `user_state.reading.replay`: events are judged, folded, packed and read as a pipeline and a
ranking service do, without a store between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from user_state.embeddings.item_vectors import ItemVectors
from user_state.errors import InputError
from user_state.evaluation.interactions import F64, I64
from user_state.plan.plan import Plan
from user_state.reading.features import Finished
from user_state.reading.replay import Questions, Replay
from user_state.state.events import EventRow, Events
from user_state.state.outcome import Outcome

QUESTIONS_AT_ONCE = 20_000
"""What is answered in one go, unless one user has more: bounds memory."""


class Reading(NamedTuple):
    """Read a user's record at a time, the log's first `visible` events having arrived."""

    user: str
    at_us: int
    visible: int


class LogReplay:
    """Replays one log for one plan.

    Args:
        plan: what the records hold.
        rows: the log's event rows for that plan, by position.
        source: the log's name, for messages.
    """

    def __init__(self, plan: Plan, rows: Sequence[EventRow], source: str) -> None:
        self._plan = plan
        self._source = source
        self._events = Events.from_rows(plan, rows)
        self._code = {user: code for code, user in enumerate(self._events.users)}
        # Positions of each user's events, one user's after the other's.
        self._positions = np.argsort(self._events.user, kind="stable")
        counts = np.bincount(self._events.user, minlength=len(self._code))
        self._ends = np.cumsum(counts)
        self._begins = self._ends - counts
        self._replays: dict[tuple[str, ...], Replay] = {}

    def embeddings(
        self,
        readings: Sequence[Reading],
        names: Sequence[str],
        item_vectors: Mapping[str, ItemVectors] | None = None,
    ) -> F64:
        """Return (readings, names, ...) the named embeddings, which have the same shape.

        Args:
            readings: in any order.
            names: of embeddings.
            item_vectors: of the tables that embeddings are over.

        Raises:
            InputError: an event was refused by the spec's lateness or skew.
        """
        answers: F64 | None = None
        for chosen, finished in self.read(readings, names, item_vectors):
            found = np.stack([finished.embeddings[name] for name in names], axis=1)
            if answers is None:
                answers = np.zeros((len(readings), *found.shape[1:]))
            answers[chosen] = found
        return np.zeros((0, len(names))) if answers is None else answers

    def read(
        self, readings: Sequence[Reading], names: Sequence[str], item_vectors: Mapping[str, ItemVectors] | None = None
    ) -> Iterator[tuple[I64, Finished]]:
        """Yield (indices of some readings, the named outputs of their records), until all are answered.

        Raises:
            InputError: an event was refused by the spec's lateness or skew.
        """
        replay = self._replay(tuple(names))
        # Whoever is in no event is the user behind the last one.
        user = np.array([self._code.get(reading.user, len(self._code)) for reading in readings], np.int64)
        at_us = np.array([reading.at_us for reading in readings], np.int64)
        visible = np.array([reading.visible for reading in readings], np.int64)
        order = np.argsort(user, kind="stable")
        begin = 0
        while begin < len(order):
            end = min(begin + QUESTIONS_AT_ONCE, len(order))
            while end < len(order) and user[order[end]] == user[order[end - 1]]:
                end += 1
            chosen = order[begin:end]
            yield chosen, self._answer(replay, user[chosen], at_us[chosen], visible[chosen], item_vectors)
            begin = end

    def _answer(
        self, replay: Replay, user: I64, at_us: I64, visible: I64, item_vectors: Mapping[str, ItemVectors] | None
    ) -> Finished:
        who, place = np.unique(user, return_inverse=True)
        known = who[who < len(self._code)].tolist()
        parts = [self._positions[self._begins[code] : self._ends[code]] for code in known]
        positions = np.sort(np.concatenate([np.zeros(0, np.int64), *parts]))
        positions = positions[: np.searchsorted(positions, visible.max(initial=0))]
        events = self._events.take(positions)
        number = np.full(len(self._code) + 1, len(known), np.int64)
        number[known] = np.arange(len(known))
        users = [*(self._events.users[code] for code in known), ""]
        theirs = Events(
            users,
            number[events.user],
            events.id_hash,
            events.time_us,
            events.published_us,
            events.columns,
            events.pool,
        )
        questions = Questions(place.astype(np.int64), at_us, np.searchsorted(positions, visible).astype(np.int64))
        played = replay.play(theirs, questions)
        self._check(played.outcome)
        return played.finished(item_vectors)

    def _check(self, outcome: np.ndarray) -> None:
        refused = outcome != Outcome.APPLIED
        if refused.any():
            reason = Outcome(int(outcome[refused][0])).name.lower()
            raise InputError(
                f"expected every event of {self._source} to be folded, got {int(refused.sum())} of {len(outcome)}"
                f" {reason}; the log is in order of event time, so is allowed_lateness too short, or an id used twice?"
            )

    def _replay(self, names: tuple[str, ...]) -> Replay:
        if names not in self._replays:
            self._replays[names] = Replay(self._plan, names)
        return self._replays[names]
