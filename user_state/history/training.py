"""Training rows: what serving would have answered at each label. docs/history.md says what a label may know.

    publish    an event is seen if it was published more than `arrival_delay_us` before the label
    event      an event is seen if its event time lies before the label; what is admitted is what the stream admits,
               judged in order of arrival, and the user's clock follows the event time

Both are strict: labels usually are events themselves, and a row must not know its own. Events are judged and folded by
the code that folds in the pipeline; outputs are finished by the code that the client reads with.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from user_state.history.arrival import in_order_of_arrival, in_order_of_event_time, stable_order
from user_state.history.item_periods import ItemPeriods
from user_state.history.labels import Labels
from user_state.plan.plan import Plan
from user_state.reading.features import Finished
from user_state.reading.replay import Questions, Replay
from user_state.state.events import I64, U64, Events
from user_state.state.outcome import Outcome

AsOf = Literal["publish", "event"]
LABELS_AT_ONCE = 20_000
"""How many labels are answered in one go, unless one user has more: bounds memory."""
EVENTS_AT_ONCE = 2_000_000
"""How many events are copied in one go for labels that must not know one of theirs, unless one user has more."""


@dataclass
class Counts:
    """What became of the events and of the labels.

    Attributes:
        events: by outcome, of users with labels.
        labels: how many were answered.
        without_events: of those, how many found nothing of their user.
        errors: of those, how many have no answer.
        held_back: of those, how many would have known their own event.
    """

    events: dict[str, int] = field(default_factory=dict)
    labels: int = 0
    without_events: int = 0
    errors: int = 0
    held_back: int = 0

    def add_events(self, outcome: str, number: int) -> None:
        """Count events."""
        if number:
            self.events[outcome] = self.events.get(outcome, 0) + number

    def add(self, other: Counts) -> None:
        """Count what another has counted."""
        for outcome, number in other.events.items():
            self.add_events(outcome, number)
        self.labels += other.labels
        self.without_events += other.without_events
        self.errors += other.errors
        self.held_back += other.held_back

    def add_outcomes(self, outcome: npt.NDArray[np.int8]) -> None:
        """Count an `Outcome` an event."""
        for which, number in zip(*np.unique(outcome, return_counts=True), strict=True):
            self.add_events(Outcome(int(which)).name.lower(), int(number))


@dataclass(frozen=True)
class Answered:
    """Some labels and their outputs: `rows` (r,) says which labels they are."""

    rows: I64
    finished: Finished


class TrainingRows:
    """Answers labels of one plan.

    Args:
        plan: what records hold.
        select: names of the outputs to answer with, None for all.
        as_of: which events a label sees.
        arrival_delay_us: how long an event takes from being published to being served, microseconds; 0 in order of
            event time.
        items: the item tables that outputs are composed of, by the time of the label.
        threads: how many answer at a time, each some users; says nothing of the rows.

    Raises:
        InputError: the plan has no such output.
    """

    def __init__(
        self,
        plan: Plan,
        select: Collection[str] | None = None,
        as_of: AsOf = "publish",
        arrival_delay_us: int = 0,
        items: ItemPeriods | None = None,
        threads: int = 1,
    ) -> None:
        self._plan = plan
        self._replay = Replay(plan, select)
        self._by_event_time = as_of == "event"
        self._delay_us = 0 if self._by_event_time else arrival_delay_us
        self._items = items
        self._threads = threads
        self.counts = Counts()

    def answer(self, events: Events, labels: Labels) -> Iterator[Answered]:
        """Yield the outputs of all labels, some users at a time, whose labels are in the order in which they came.

        Args:
            events: all relevant events of the labels' users, in any order; those of others are left out.
            labels: the labels.
        """
        events = self._in_order(self._of_users(events, labels.users))
        by_user = stable_order(events.user)
        ends = np.cumsum(np.bincount(events.user, minlength=len(labels.users)))
        order = stable_order(labels.user)
        chunks = (np.sort(order[chosen]) for chosen in _chunks(labels.user[order], LABELS_AT_ONCE))

        def answered(asked: I64) -> tuple[list[Answered], Counts]:
            counts = Counts()
            users, number = np.unique(labels.user[asked], return_inverse=True)
            own = _own_events(events, by_user, ends, users)
            return list(self._of_some(own, labels, asked, number, counts)), counts

        for some, counts in _in_turn(answered, chunks, self._threads):
            self.counts.add(counts)
            yield from some

    def _of_some(self, own: Events, labels: Labels, asked: I64, number: I64, counts: Counts) -> Iterator[Answered]:
        """Yield the outputs of labels of a few users; `own` has their events, `number` is (q,) whose."""
        held_back = self._knows_its_own(own, labels, asked, number)
        counts.held_back += int(held_back.sum())
        # Also if none is left: what becomes of the events is counted here.
        finished = self._played(own, number[~held_back], labels.at_us[asked[~held_back]], counts)
        if not held_back.all():
            yield Answered(asked[~held_back], finished)
        yield from self._without_their_own(own, labels, asked[held_back], number[held_back], counts)

    def _of_users(self, events: Events, users: tuple[str, ...]) -> Events:
        """Return the events of these users, who are numbered as here."""
        number_of = {user: number for number, user in enumerate(users)}
        number = np.array([number_of.get(user, -1) for user in events.users], np.int64)
        user = number[events.user] if len(number) else np.zeros(0, np.int64)
        known = user >= 0
        own = events if known.all() else events.take(known)
        return replace(own, users=list(users), user=user[known])

    def _in_order(self, events: Events) -> Events:
        """Return events in order of arrival, without those that are too old as they arrive."""
        expired = events.time_us <= events.published_us + self._delay_us - self._plan.retention_us
        if expired.any():
            self.counts.add_events("expired", int(expired.sum()))
            events = events.take(~expired)
        return in_order_of_arrival(events, self._plan.kinds)

    def _knows_its_own(self, events: Events, labels: Labels, asked: I64, user: I64) -> npt.NDArray[np.bool_]:
        """Return which of the labels would see their own event; `user` are their users as the events have them."""
        if labels.own_event is None or not len(events) or not labels.has_own_event[asked].any():
            return np.zeros(len(asked), np.bool_)
        seen_us = events.time_us if self._by_event_time else events.published_us
        keys = _mixed(events.id_hash, events.user)
        order = np.lexsort((seen_us, keys))  # of copies, the first that is seen comes first
        own = labels.own_event[asked]
        row = order[np.minimum(np.searchsorted(keys, _mixed(own, user), sorter=order), len(keys) - 1)]
        is_there = (events.id_hash[row] == own) & (events.user[row] == user)
        return np.asarray(
            is_there & (seen_us[row] < labels.at_us[asked] - self._delay_us) & labels.has_own_event[asked], np.bool_
        )

    def _without_their_own(
        self, events: Events, labels: Labels, asked: I64, user: I64, counts: Counts
    ) -> Iterator[Answered]:
        """Yield the outputs of labels as if their own events had never been: each has a copy of the user's others."""
        if labels.own_event is None or not len(asked):
            return
        by_user = stable_order(events.user)
        begins = np.searchsorted(events.user, user, side="left", sorter=by_user)
        ends = np.searchsorted(events.user, user, side="right", sorter=by_user)
        for chosen in _chunks(np.cumsum(ends - begins) // EVENTS_AT_ONCE, 1):
            rows, label = asked[chosen], np.repeat(np.arange(len(asked[chosen])), (ends - begins)[chosen])
            copied = events.take(by_user[_ranges(begins[chosen], ends[chosen])])
            others = copied.id_hash != labels.own_event[rows][label]
            copied = copied.take(others)
            each = replace(copied, users=[events.users[of] for of in user[chosen].tolist()], user=label[others])
            finished = self._played(each, np.arange(len(rows)), labels.at_us[rows], counts, counts_events=False)
            yield Answered(rows, finished)

    def _played(self, events: Events, user: I64, at_us: I64, counts: Counts, *, counts_events: bool = True) -> Finished:
        """Return the outputs of labels; the events of each user are in order of arrival."""
        outcome = judged = None
        if self._by_event_time:
            outcome = self._replay.play(events, Questions(*(np.zeros(0, np.int64) for _ in range(3)))).outcome
            events = in_order_of_event_time(events.take(outcome == Outcome.APPLIED))
            judged = np.full(len(events), Outcome.APPLIED, np.int8)
        elif (np.diff(events.published_us) < 0).any():
            events = events.take(np.argsort(events.published_us, kind="stable"))
        visible = np.searchsorted(events.published_us, at_us - self._delay_us, side="left").astype(np.int64)
        questions = Questions(user.astype(np.int64), at_us, visible)
        replayed = self._replay.play(events, questions, delay_us=self._delay_us, judged=judged)
        finished = replayed.finished(None if self._items is None else self._items.vectors(at_us))
        if counts_events:
            counts.add_outcomes(replayed.outcome if outcome is None else outcome)
        counts.labels += len(user)
        counts.errors += len(finished.errors)
        counts.without_events += int((~finished.present).sum()) - len(finished.errors)
        return finished


def _in_turn(
    answer: Callable[[I64], tuple[list[Answered], Counts]], chunks: Iterator[I64], threads: int
) -> Iterator[tuple[list[Answered], Counts]]:
    """Yield what is answered of each of the chunks, in their order; so many of them are in memory at a time."""
    if threads == 1:
        yield from map(answer, chunks)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[tuple[list[Answered], Counts]]] = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(answer, chunk))
                if len(waiting) == threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


def _own_events(events: Events, by_user: I64, ends: I64, users: I64) -> Events:
    """Return the events of these users, ascending, numbered as here.

    Args:
        events: of all users.
        by_user: all rows by user.
        ends: where the rows of each user end there.
        users: whose.
    """
    begins = np.where(users > 0, ends[users - 1], 0)
    own = events.take(np.sort(by_user[_ranges(begins, ends[users])]))
    number = np.zeros(len(events.users), np.int64)
    number[users] = np.arange(len(users))
    return replace(own, users=[events.users[of] for of in users.tolist()], user=number[own.user])


def _mixed(id_hash: U64, user: I64) -> U64:
    """Return a number for each pair, equal for equal ones."""
    return np.asarray(id_hash ^ (user.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)), np.uint64)


def _ranges(begins: I64, ends: I64) -> I64:
    """Return all numbers from each beginning to its end, one range after the other."""
    sizes = ends - begins
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return np.asarray(np.arange(starts[-1]) + np.repeat(begins - starts[:-1], sizes), np.int64)


def _chunks(group: I64, at_once: int) -> Iterator[slice]:
    """Yield slices of ascending `group`, each of whole groups and of about `at_once` rows."""
    begin = 0
    while begin < len(group):
        end = min(begin + at_once, len(group))
        if end < len(group):
            before = int(np.searchsorted(group, group[end], side="left"))
            end = before if before > begin else int(np.searchsorted(group, group[end], side="right"))
        yield slice(begin, end)
        begin = end
