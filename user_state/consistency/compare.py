"""Sorts every difference between a logged answer and history into equal, in flight and unexplained.

    equal          history, of the events published before the answer, gives the same
    in flight      the record's clock, last event and number of applied events are those that history has without events
                   which were published less than `within_us` before the answer, and without them it gives the same
    unexplained    anything else

Which events are left out is looked for in two ways: the latest of the user's events, any number of them; or one or two
of them, where others were folded out of turn.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from user_state.answers.columns import APPLIED, AT, CLOCK, LAST_EVENT, USER
from user_state.consistency.heads import NOTHING, Head, Timeline, timelines
from user_state.consistency.served import Served
from user_state.embeddings.item_vectors import ItemVectors
from user_state.history.arrival import in_order_of_arrival
from user_state.history.rows import ERROR, RowWriter
from user_state.plan.plan import Plan
from user_state.reading.replay import Questions, Replay
from user_state.state.events import I64, Events

EQUAL, IN_FLIGHT, UNEXPLAINED = "equal", "in flight", "unexplained"
RECORD = "the record's events"
"""Stands among the outputs for the fields that say which events a record was made of."""
MOST_MISSING, MOST_CANDIDATES = 2, 12
"""How many events are looked for that were folded out of turn, and among how many of the latest ones."""
RELATIVE, ABSOLUTE = 1e-5, 1e-6
"""How far two numbers may lie apart: the order of additions differs."""
MOST_SAMPLES = 1_000


@dataclass(frozen=True)
class Difference:
    """One output of one answer that differs and that nothing explains."""

    user: str
    at_us: int
    output: str
    served: str
    recomputed: str
    reason: str


@dataclass
class Report:
    """What was found.

    Attributes:
        outputs: (output, kind) -> how many.
        answers: by kind, each answer being of its worst output's.
        left_out: answers that are not compared, by reason.
        samples: some of what nothing explains.
        waited_us: of answers in flight, how long before the answer the oldest event left out was published.
    """

    outputs: Counter[tuple[str, str]] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    samples: list[Difference] = field(default_factory=list)
    waited_us: list[int] = field(default_factory=list)


@dataclass
class _Tried:
    """One way in which an answer may have come about: places of events left out, or the first ones alone."""

    row: int
    visible: int
    without: tuple[int, ...] = ()
    why_not: str = ""


class Comparison:
    """Compares answers of one selection of outputs, users some at a time.

    Args:
        plan: with all outputs.
        served: what was answered.
        within_us: how long an event may be in flight.
        delay_us: as for a training set.
        newest_us: publish time of the newest event of all history.
        item_vectors: by table, for outputs that are composed of them.
        report: gets what is found.
    """

    def __init__(
        self,
        plan: Plan,
        served: Served,
        within_us: int,
        delay_us: int,
        newest_us: int,
        item_vectors: Mapping[str, ItemVectors],
        report: Report,
    ) -> None:
        self._plan, self._served, self._report = plan, served, report
        self._within_us, self._delay_us, self._newest_us = within_us, delay_us, newest_us
        self._replay = Replay(plan, served.names)
        self._writer = RowWriter(served.plan)
        self._columns = [name for name in self._writer.schema().names if name != ERROR]
        self._vectors = item_vectors

    def users(self, events: Events, rows: I64) -> None:
        """Compare the answers in these rows; `events` are all relevant ones of their users, in any order."""
        import pyarrow as pa

        table = self._served.table.select([USER, AT, CLOCK, LAST_EVENT, APPLIED, *self._columns]).take(pa.array(rows))
        events = self._arriving(events, table.column(USER).to_pylist())
        number = {user: at for at, user in enumerate(events.users)}
        user = [number[one] for one in table.column(USER).to_pylist()]
        at_us, clock_us, last_us = (
            table.column(name).cast(pa.int64()).fill_null(0).to_pylist() for name in (AT, CLOCK, LAST_EVENT)
        )
        applied = table.column(APPLIED).to_pylist()
        heads: list[Head] = [
            (clock, last, count) for clock, last, count in zip(clock_us, last_us, applied, strict=True)
        ]
        lines = self._lines(events)
        published = events.published_us.tolist()
        visible = [bisect_left(published, at - self._delay_us) for at in at_us]
        compared = [row for row in range(len(rows)) if clock_us[row] <= self._newest_us]
        self._report.left_out["of records with events after the end of history"] += len(rows) - len(compared)
        asked = [_Tried(row, visible[row]) for row in compared]
        served = table.select(self._columns).to_pylist()
        differing = []
        for one, answer in zip(asked, self._answers(events, asked, user, at_us), strict=True):
            names = self._differing(served[one.row], answer)
            if lines[user[one.row]].head(one.visible, at_us[one.row]) != heads[one.row]:
                names.append(RECORD)
            if names:
                differing.append((one, names, answer))
            else:
                self._report.answers[EQUAL] += 1
            self._count(EQUAL, [name for name in self._outputs() if name not in names])
        tries = [
            self._explanations(events, lines[user[one.row]], one, heads[one.row], at_us[one.row])
            for one, _, _ in differing
        ]
        flat = [tried for some in tries for tried in some if not tried.why_not]
        answers = iter(self._answers(events, flat, user, at_us))
        for (one, names, of_history), some in zip(differing, tries, strict=True):
            row, left, reason, waited_us, recomputed = one.row, names, "", 0, of_history
            for tried in some:
                if tried.why_not:
                    reason = reason or tried.why_not
                    continue
                answer = next(answers)
                still = self._differing(served[row], answer)
                if left is names or len(still) < len(left):
                    left, recomputed = still, answer
                    reason = "also without the events that had not been folded"
                    missing = [p for p in lines[user[row]].rows if tried.visible <= p < one.visible] + list(
                        tried.without
                    )
                    waited_us = max((at_us[row] - published[p] for p in missing), default=0)
            self._count(IN_FLIGHT, [name for name in names if name not in left])
            self._count(UNEXPLAINED, left)
            self._report.answers[UNEXPLAINED if left else IN_FLIGHT] += 1
            if not left:
                self._report.waited_us.append(waited_us)
            head = lines[user[row]].head(one.visible, at_us[row])
            for name in left:
                if len(self._report.samples) >= MOST_SAMPLES:
                    break
                shown = (
                    (_said(heads[row]), _said(head))
                    if name == RECORD
                    else (_text(self._of(served[row], name)), _text(self._of(recomputed, name)))
                )
                self._report.samples.append(
                    Difference(events.users[user[row]], at_us[row], name, *shown, reason or _reason(heads[row], head))
                )

    def _arriving(self, events: Events, users: list[str]) -> Events:
        """Return events in order of arrival, without those too old as they arrive; with users who have none."""
        expired = events.time_us <= events.published_us + self._delay_us - self._plan.retention_us
        events = in_order_of_arrival(events.take(~expired), self._plan.kinds)
        return replace(events, users=[*dict.fromkeys([*events.users, *users])])

    def _lines(self, events: Events) -> list[Timeline]:
        nobody = Questions(*(np.zeros(0, np.int64) for _ in range(3)))
        outcome = self._replay.play(events, nobody, delay_us=self._delay_us).outcome
        return timelines(events, outcome, self._plan.retention_us, self._delay_us)

    def _explanations(self, events: Events, line: Timeline, one: _Tried, head: Head, at_us: int) -> list[_Tried]:
        """Return the ways in which a record that says `head` may have been read at `at_us`."""
        if line.head(one.visible, at_us) == head:
            return [replace(one, why_not="the record was made of as many events as history has by then")]
        place = line.place_of(head, one.visible)
        if place is not None:
            missing = [p for p in line.rows if place <= p < one.visible]
            waited_us = max((at_us - int(events.published_us[p]) for p in missing), default=0)
            if waited_us > self._within_us:
                seconds = waited_us / 1e6
                return [replace(one, why_not=f"an event published {seconds:,.0f} s before had not been folded")]
            return [_Tried(one.row, place)]
        # Others were folded out of turn: one or two events are missing below the record's clock.
        places = [p for p in line.rows if p < one.visible and int(events.published_us[p]) <= head[0]]
        if not places or head == NOTHING:
            return []
        lacking = line.heads[line.rows.index(places[-1])][2] - head[2]
        recent = [p for p in places if at_us - int(events.published_us[p]) <= self._within_us][-MOST_CANDIDATES:]
        if not 1 <= lacking <= MOST_MISSING or len(recent) < lacking:
            return []
        return [_Tried(one.row, places[-1] + 1, without) for without in combinations(recent, lacking)]

    def _answers(
        self, events: Events, asked: list[_Tried], user: list[int], at_us: list[int]
    ) -> Iterator[dict[str, Any]]:
        """Yield the outputs of each, by column."""
        plain = [one for one in asked if not one.without]
        times = np.array([at_us[one.row] for one in plain], np.int64)
        who = np.array([user[one.row] for one in plain], np.int64)
        found = iter(self._rows(events, who, times, np.array([one.visible for one in plain], np.int64)))
        for one in asked:
            if not one.without:
                yield next(found)
                continue
            own = np.flatnonzero(events.user[: one.visible] == user[one.row])
            others = events.take(own[~np.isin(own, one.without)])
            visible = np.array([len(others)], np.int64)
            yield from self._rows(others, np.array([user[one.row]]), np.array([at_us[one.row]]), visible)

    def _rows(self, events: Events, user: I64, at_us: I64, visible: I64) -> list[dict[str, Any]]:
        import pyarrow as pa

        if not len(user):
            return []
        replayed = self._replay.play(events, Questions(user, at_us, visible), delay_us=self._delay_us)
        columns = self._writer.columns(replayed.finished(self._vectors))
        table = pa.Table.from_arrays(columns, schema=self._writer.schema())
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def _differing(self, served: dict[str, Any], recomputed: dict[str, Any]) -> list[str]:
        if recomputed[ERROR] is not None:
            return self._outputs()[:-1]
        found = (_output(name) for name in self._columns if not same(served[name], recomputed[name]))
        return list(dict.fromkeys(found))

    def _outputs(self) -> list[str]:
        return [*dict.fromkeys(_output(name) for name in self._columns), RECORD]

    def _of(self, row: dict[str, Any], output: str) -> Any:
        values = {name: row[name] for name in self._columns if _output(name) == output}
        return next(iter(values.values())) if len(values) == 1 else values

    def _count(self, kind: str, outputs: list[str]) -> None:
        for name in outputs:
            self._report.outputs[name, kind] += 1


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal, numbers but for rounding.

    >>> same([1.0, float("nan")], [1.0000001, float("nan")]), same(1.0, 1.1), same(None, 0.0)
    (True, False, False)
    """
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (one != one and other != other) or abs(one - other) <= ABSOLUTE + RELATIVE * abs(other)  # noqa: PLR0124
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)


def _output(column: str) -> str:
    return column.partition(".")[0] if not column.startswith("missing_items.") else column.partition(".")[2]


def _text(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _said(head: Head) -> str:
    return f"{head[2]:,} events, clock {head[0]}, last event {head[1]}"


def _reason(served: Head, history: Head) -> str:
    if served[2] > history[2]:
        return f"the record has {served[2] - history[2]:,} events more than history"
    if served[2] < history[2]:
        return (
            f"the record has {history[2] - served[2]:,} events less than history, and no events left out give the same"
        )
    return "the record has other events than history"
