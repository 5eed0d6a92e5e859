"""Training rows: what serving would have answered at each label, from the events that had been published by then.

An event is seen by a label if it was published more than `arrival_delay_us` before it, strictly: labels usually are
events themselves, and a row must not know its own. Events are judged and folded as the stream does, in order of
(publish time, event time, id hash), by the code that folds in the pipeline; outputs are finished by the code that the
client reads with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from user_state.embeddings.item_vectors import ItemVectors
from user_state.history.labels import Labels
from user_state.plan.plan import Plan
from user_state.reading.features import Finished
from user_state.reading.replay import Questions, Replay
from user_state.state.events import I64, Events
from user_state.state.outcome import Outcome
from user_state.state.relevant import relevant

LABELS_AT_ONCE = 20_000
"""How many labels are answered in one go, unless one user has more: bounds memory."""


@dataclass
class Counts:
    """What became of the events and of the labels."""

    events: dict[str, int] = field(default_factory=dict)
    labels: int = 0
    without_events: int = 0
    errors: int = 0

    def add_outcomes(self, outcome: np.ndarray) -> None:
        """Count an `Outcome` an event."""
        for which, number in zip(*np.unique(outcome, return_counts=True), strict=True):
            name = Outcome(int(which)).name.lower()
            self.events[name] = self.events.get(name, 0) + int(number)


@dataclass(frozen=True)
class Answered:
    """Some labels and their outputs: `rows` (r,) says which labels they are, ascending."""

    rows: I64
    finished: Finished


class TrainingRows:
    """Answers labels of one plan.

    Args:
        plan: what records hold.
        select: names of the outputs to answer with, None for all.
        arrival_delay_us: how long an event takes from being published to being served, microseconds.
        item_vectors: by table, the vectors that outputs are composed of.

    Raises:
        InputError: the plan has no such output.
    """

    def __init__(
        self,
        plan: Plan,
        select: Collection[str] | None = None,
        arrival_delay_us: int = 0,
        item_vectors: Mapping[str, ItemVectors] | None = None,
    ) -> None:
        self._plan = plan
        self._replay = Replay(plan, select)
        self._delay_us = arrival_delay_us
        self._item_vectors = item_vectors
        self.counts = Counts()

    def answer(self, events: Events, labels: Labels) -> Iterator[Answered]:
        """Yield the outputs of all labels, some users at a time.

        Args:
            events: all events of the labels' users, in any order.
            labels: the labels.
        """
        events = in_order_of_arrival(events.take(relevant(self._plan, events)))
        code_of = {user: code for code, user in enumerate(events.users)}
        users = [*events.users, *(user for user in labels.users if user not in code_of)]
        number = {user: code for code, user in enumerate(users)}
        user = np.array([number[user] for user in labels.users], np.int64)[labels.user]
        order = np.argsort(user, kind="stable")
        rows = np.argsort(events.user, kind="stable")
        for chosen in _chunks(user[order]):
            asked = np.sort(order[chosen])
            yield Answered(asked, self._answer(events, rows, users, user[asked], labels.at_us[asked]))

    def _answer(self, events: Events, rows: I64, users: list[str], user: I64, at_us: I64) -> Finished:
        """Return the outputs of labels; `rows` are those of `events` by user, and then in order of arrival."""
        asked = np.unique(user)
        begins = np.searchsorted(events.user, asked, side="left", sorter=rows)
        ends = np.searchsorted(events.user, asked, side="right", sorter=rows)
        own = np.sort(rows[np.concatenate([np.arange(b, e) for b, e in zip(begins, ends, strict=True)])])
        taken = events.take(own)
        of_these = Events(
            [users[code] for code in asked.tolist()],
            np.searchsorted(asked, taken.user),
            taken.id_hash,
            taken.time_us,
            taken.published_us,
            taken.columns,
            taken.pool,
        )
        visible = np.searchsorted(taken.published_us, at_us - self._delay_us, side="left")
        questions = Questions(np.searchsorted(asked, user), at_us, visible.astype(np.int64))
        replayed = self._replay.play(of_these, questions)
        finished = replayed.finished(self._item_vectors)
        self.counts.add_outcomes(replayed.outcome)
        self.counts.labels += len(user)
        self.counts.errors += len(finished.errors)
        self.counts.without_events += int((~finished.present).sum()) - len(finished.errors)
        return finished


def in_order_of_arrival(events: Events) -> Events:
    """Return events in order of (publish time, event time, id hash)."""
    return events.take(np.lexsort((events.id_hash, events.time_us, events.published_us)))


def _chunks(user: I64) -> Iterator[slice]:
    """Yield slices of ascending `user`, each of whole users and of about LABELS_AT_ONCE."""
    begin = 0
    while begin < len(user):
        end = min(begin + LABELS_AT_ONCE, len(user))
        if end < len(user):
            before = int(np.searchsorted(user, user[end], side="left"))
            end = before if before > begin else int(np.searchsorted(user, user[end], side="right"))
        yield slice(begin, end)
        begin = end
