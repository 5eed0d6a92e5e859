"""Sorts every difference between a logged answer and history into equal, in flight and unexplained.

    equal          history, of the events published before the answer, gives the same; or, of outputs that depend on
                   batching beyond their caps (bounds.py), what was served is within the bounds that they state
    in flight      the record's clock, last event and number of applied events are those that history has without events
                   which were published less than `within_us` before the answer, and without them it gives the same
    unexplained    anything else

Which events are left out is looked for in two ways: the latest of the user's events, any number of them; or one or two
of them, where others were folded out of turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.answers.columns import APPLIED, AT, CLOCK, LAST_EVENT, USER
from user_state.consistency.bounds import Doubt, Key
from user_state.consistency.heads import NOTHING, Head, Timeline, timelines
from user_state.consistency.served import Served
from user_state.embeddings.item_vectors import ItemVectors
from user_state.history.arrival import in_order_of_arrival, stable_order
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
        within_bounds: by output, how many of these are not the same, but within the bounds that the output states.
        samples: some of what nothing explains.
        waited_us: of answers in flight, how long before the answer the oldest event left out was published.
    """

    outputs: Counter[tuple[str, str]] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    within_bounds: Counter[str] = field(default_factory=Counter)
    samples: list[Difference] = field(default_factory=list)
    waited_us: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Doubtful:
    """An answer that differs in outputs with bounds alone, before brute force has said whether it is within them."""

    doubt: Doubt
    samples: Mapping[str, Difference]
    kind: str
    waited_us: int | None


@dataclass(frozen=True)
class _Way:
    """One way in which an answer may have come about: from the first `visible` events, without some of them."""

    row: int
    visible: int
    without: tuple[int, ...] = ()


@dataclass
class _Beside:
    """Answers, and the history of their users.

    Attributes:
        events: all, in order of arrival.
        own: by user, the places of the user's events.
        user: by answer, whose it is, an index into `events.users`.
        at_us: by answer, the reading time.
        heads: by answer, what its record said of its events.
        outputs: by answer, what was served, by column.
        lines: by user, what the record says after each event.
    """

    events: Events
    own: list[I64]
    user: list[int]
    at_us: list[int]
    heads: list[Head]
    outputs: list[dict[str, Any]]
    lines: list[Timeline] = field(default_factory=list)

    def line(self, row: int) -> Timeline:
        """Return the timeline of an answer's user."""
        return self.lines[self.user[row]]

    def head(self, way: _Way) -> Head:
        """Return what a record of the first events says as the answer is read."""
        return self.line(way.row).head(way.visible, self.at_us[way.row])

    def keys(self, way: _Way) -> frozenset[Key]:
        """Return what names the messages that a record was made of."""
        own = self.own[self.user[way.row]]
        own = own[(own < way.visible) & ~np.isin(own, way.without)]
        columns = (self.events.id_hash[own], self.events.published_us[own], self.events.time_us[own])
        return frozenset(zip(*(one.tolist() for one in columns), strict=True))

    def waited_us(self, whole: _Way, way: _Way) -> int:
        """Return how long before the answer the oldest event was published that a way has less than the whole."""
        missing = [place for place in self.line(way.row).rows if way.visible <= place < whole.visible]
        published_us = self.events.published_us[[*missing, *way.without]]
        return max((self.at_us[way.row] - published_us).tolist(), default=0)


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
        bounded: outputs that may have bounds.
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
        bounded: Collection[str] = (),
    ) -> None:
        self._plan, self._served, self._report = plan, served, report
        self._within_us, self._delay_us, self._newest_us = within_us, delay_us, newest_us
        self._replay = Replay(plan, served.names)
        self._writer = RowWriter(served.plan)
        self._columns = [name for name in self._writer.schema().names if name != ERROR]
        self._outputs = list(dict.fromkeys(map(_output, self._columns)))
        self._vectors = item_vectors
        self._bounded = frozenset(bounded)
        self._doubtful: list[_Doubtful] = []

    def users(self, events: Events, rows: I64) -> None:
        """Compare the answers in these rows; `events` are all relevant ones of their users, in any order."""
        some = self._beside(events, rows)
        compared = [row for row, head in enumerate(some.heads) if head[0] <= self._newest_us]
        self._report.left_out["of records with events after the end of history"] += len(rows) - len(compared)
        arrived_us = some.events.published_us + self._delay_us
        visible = np.searchsorted(arrived_us, [some.at_us[row] for row in compared], side="left").tolist()
        asked = [_Way(row, number) for row, number in zip(compared, visible, strict=True)]
        answers, outcome = self._played(some.events, some.user, some.at_us, asked)
        some.lines = timelines(some.events, outcome, self._plan.retention_us, self._delay_us)
        differing = []
        for one, answer in zip(asked, answers, strict=True):
            names = self._differing(some, one.row, answer, some.head(one))
            self._count(EQUAL, [name for name in (*self._outputs, RECORD) if name not in names])
            if names:
                differing.append((one, names, answer))
            else:
                self._report.answers[EQUAL] += 1
        found = [(one, names, answer, *self._ways(some, one)) for one, names, answer in differing]
        plain = [way for *_, ways, _ in found for way in ways if not way.without]
        of_plain = dict(zip(plain, self._played(some.events, some.user, some.at_us, plain)[0], strict=True))
        for one, names, answer, ways, why_not in found:
            self._settle(some, one, names, answer, self._tried(some, ways, of_plain), why_not)

    @property
    def doubts(self) -> list[Doubt]:
        """The answers that differ in outputs with bounds alone, which are in no count yet."""
        return [one.doubt for one in self._doubtful]

    def settle(self, beyond: Iterator[list[str]]) -> None:
        """Count the doubts; `beyond` yields of each the outputs that are not within their bounds."""
        for one, left in zip(self._doubtful, beyond, strict=True):
            within = [name for name in one.samples if name not in left]
            self._count(one.kind, within)
            self._report.within_bounds.update(within)
            self._conclude(one.kind, {name: one.samples[name] for name in left}, one.waited_us)
        self._doubtful = []

    def _beside(self, events: Events, rows: I64) -> _Beside:
        """Return answers beside the events of their users, without those too old as they arrive."""
        import pyarrow as pa

        table = self._served.table.select([USER, AT, CLOCK, LAST_EVENT, APPLIED, *self._columns]).take(pa.array(rows))
        users = table.column(USER).to_pylist()
        expired = events.time_us <= events.published_us + self._delay_us - self._plan.retention_us
        events = in_order_of_arrival(events.take(~expired), self._plan.kinds)
        events = replace(events, users=[*dict.fromkeys([*events.users, *users])])
        number = {user: at for at, user in enumerate(events.users)}
        ends = np.cumsum(np.bincount(events.user, minlength=len(events.users)))
        at_us, clock_us, last_us = (
            table.column(name).cast(pa.int64()).fill_null(0).to_pylist() for name in (AT, CLOCK, LAST_EVENT)
        )
        heads: list[Head] = list(zip(clock_us, last_us, table.column(APPLIED).to_pylist(), strict=True))
        return _Beside(
            events,
            np.split(stable_order(events.user), ends[:-1]),
            [number[user] for user in users],
            at_us,
            heads,
            table.select(self._columns).to_pylist(),
        )

    def _ways(self, some: _Beside, one: _Way) -> tuple[list[_Way], str]:
        """Return the ways in which the record may have come to say what it said, and, of none, why there is none."""
        head, line, at_us = some.heads[one.row], some.line(one.row), some.at_us[one.row]
        if some.head(one) == head:
            return [], "the record was made of as many events as history has by then"
        place = line.place_of(head, one.visible)
        if place is not None:
            way = _Way(one.row, place)
            waited_us = some.waited_us(one, way)
            if waited_us > self._within_us:
                return [], f"an event published {waited_us / 1e6:,.0f} s before had not been folded"
            return [way], ""
        # Others were folded out of turn: one or two events are missing below the record's clock.
        published_us = some.events.published_us
        places = [p for p in line.rows if p < one.visible and published_us[p] <= head[0]]
        if not places or head == NOTHING:
            return [], ""
        lacking = line.heads[line.rows.index(places[-1])][2] - head[2]
        recent = [p for p in places if at_us - published_us[p] <= self._within_us][-MOST_CANDIDATES:]
        if not 1 <= lacking <= MOST_MISSING or len(recent) < lacking:
            return [], ""
        return [_Way(one.row, places[-1] + 1, without) for without in combinations(recent, lacking)], ""

    def _tried(
        self, some: _Beside, ways: list[_Way], of_plain: Mapping[_Way, dict[str, Any]]
    ) -> Iterator[tuple[_Way, dict[str, Any], Head]]:
        """Yield the ways, what history gives by each, and what its record says."""
        for way in ways:
            if not way.without:
                yield way, of_plain[way], some.head(way)
                continue
            user, at_us = some.user[way.row], some.at_us[way.row]
            own = some.own[user][some.own[user] < way.visible]
            others = some.events.take(own[~np.isin(own, way.without)])
            others = replace(others, users=[others.users[user]], user=np.zeros(len(others), np.int64))
            answers, outcome = self._played(others, [0], [at_us], [_Way(0, len(others))])
            (line,) = timelines(others, outcome, self._plan.retention_us, self._delay_us)
            yield way, answers[0], line.head(len(others), at_us)

    def _settle(
        self,
        some: _Beside,
        one: _Way,
        names: list[str],
        answer: dict[str, Any],
        tried: Iterator[tuple[_Way, dict[str, Any], Head]],
        why_not: str,
    ) -> None:
        """Count an answer that differs in these outputs by the way that explains the most of them."""
        row, head, left, best, reason = one.row, some.head(one), names, None, why_not
        for way, answer_by_it, its_head in tried:
            still = [name for name in self._differing(some, row, answer_by_it, its_head) if name in names]
            if best is None or self._size(still) < self._size(left):
                left, best, answer, head = still, way, answer_by_it, its_head
                reason = "also without the events that had not been folded"
        waited_us = None if best is None else some.waited_us(one, best)
        self._count(IN_FLIGHT, [name for name in names if name not in left])
        user, at_us, served = some.events.users[some.user[row]], some.at_us[row], some.outputs[row]
        samples = {}
        for name in left:
            if name == RECORD:
                shown = _said(some.heads[row]), _said(head)
            else:
                shown = _text(self._of(served, name)), _text(self._of(answer, name))
            why = reason or _reason(some.heads[row], some.head(one))
            samples[name] = Difference(user, at_us, name, *shown, why)
        if left and self._bounded.issuperset(left):
            doubt = Doubt(user, at_us, {name: self._columns_of(served, name) for name in left}, some.keys(best or one))
            self._doubtful.append(_Doubtful(doubt, samples, EQUAL if best is None else IN_FLIGHT, waited_us))
            return
        self._conclude(IN_FLIGHT, samples, waited_us)

    def _size(self, left: list[str]) -> tuple[int, int]:
        """Return what orders ways: those that leave less, first of what has no bounds."""
        return len([name for name in left if name not in self._bounded]), len(left)

    def _conclude(self, kind: str, unexplained: Mapping[str, Difference], waited_us: int | None) -> None:
        """Count an answer as of this kind, or by what is unexplained of it, by output."""
        self._count(UNEXPLAINED, unexplained)
        self._report.answers[UNEXPLAINED if unexplained else kind] += 1
        if not unexplained and waited_us is not None:
            self._report.waited_us.append(waited_us)
        self._report.samples += list(unexplained.values())[: MOST_SAMPLES - len(self._report.samples)]

    def _played(
        self, events: Events, user: list[int], at_us: list[int], ways: list[_Way]
    ) -> tuple[list[dict[str, Any]], npt.NDArray[np.int8]]:
        """Return the outputs, by column, of answers from the first events alone, and the outcome of each event."""
        import pyarrow as pa

        asked = ([user[way.row] for way in ways], [at_us[way.row] for way in ways], [way.visible for way in ways])
        questions = Questions(*(np.array(numbers, np.int64) for numbers in asked))
        replayed = self._replay.play(events, questions, delay_us=self._delay_us)
        if not ways:
            return [], replayed.outcome
        columns = self._writer.columns(replayed.finished(self._vectors))
        table = pa.Table.from_arrays(columns, schema=self._writer.schema())
        return table.to_pylist(), replayed.outcome

    def _differing(self, some: _Beside, row: int, answer: dict[str, Any], head: Head) -> list[str]:
        """Return the outputs in which an answer is not what was served; RECORD, if its events are not the record's."""
        if answer[ERROR] is not None:
            names = self._outputs
        else:
            served = some.outputs[row]
            names = list(dict.fromkeys(_output(n) for n in self._columns if not same(served[n], answer[n])))
        return names if head == some.heads[row] else [*names, RECORD]

    def _columns_of(self, row: dict[str, Any], output: str) -> dict[str, Any]:
        return {name: row[name] for name in self._columns if _output(name) == output}

    def _of(self, row: dict[str, Any], output: str) -> Any:
        values = self._columns_of(row, output)
        return next(iter(values.values())) if len(values) == 1 else values

    def _count(self, kind: str, outputs: Iterable[str]) -> None:
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
