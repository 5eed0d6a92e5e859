"""Replaying history: what each user's record said before each question, for point-in-time training sets.

    events      arrive in the order given, as a stream would bring them
    a question  whose record, when it is read, and how many of the events had arrived before it

For each user the events that were applied before a question are folded, and the record is read as of the question's
time, by the same compiled code that folds in the pipeline and reads in the client. A record is packed only where it is
asked for.

Events are judged as in the stream (user_state/state/outcome.py has the rules), all in one batch and from nothing on:
no record, no remembered ids. So an id that comes again is a duplicate and the first to arrive counts; an event more
than `allowed_lateness` before its publish time or the user's clock is too late; one more than `max_clock_skew` ahead of
its publish time is from the future. None of those is in any answer, and `outcome` says which they are.

A user is forgotten `retention` after the last event that was applied, remembered ids and clock included, as the server
forgets a record that expires: a question from then on finds nobody, and an event that arrives then begins a new record.
An event arrives `delay_us` after its publish time.

Three things the stream does besides are the caller's: events that no output wants, that are expired or ahead of the
wall clock never get as far in the stream (user_state/events/screening.py), so leave them out here; `seen_ids_cap`
shortens horizons where a batch ends, which here is once, at the end; and a user whose record outgrows `max_record` gets
no answer from there on, but an error, where the stream would refuse that batch and go on with the next. A question at a
time before what the record can answer for, its clock less `max_clock_skew`, gets an error too: less of the history
should be visible to it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state import native
from user_state.embeddings.item_vectors import ItemVectors
from user_state.plan.plan import Plan
from user_state.reading.features import Finished, Reader, VectorsByRow
from user_state.state.events import I64, Events
from user_state.state.histories import histories_of, in_order
from user_state.state.log_rows import Histories
from user_state.state.records import OVERFLOWING, TOO_LARGE, PackedRecords


@dataclass(frozen=True)
class Questions:
    """q questions, in any order.

    Attributes:
        user: (q,) index into the users of the events.
        at_us: (q,) when the record is read, microseconds UTC; no earlier than `max_clock_skew` before the user's clock.
        visible: (q,) how many of the events, in their order, arrived before it.
    """

    user: I64
    at_us: I64
    visible: I64

    def __len__(self) -> int:
        return len(self.user)


def asked_at(events: Events, user: I64, at_us: I64) -> Questions:
    """Return questions that know what was published strictly before the time they are asked at, and nothing else.

    Args:
        events: in order of publish time.
        user: (q,) index into `events.users`.
        at_us: (q,) when, microseconds UTC.

    Raises:
        ValueError: the events are in another order.
    """
    published_us = events.published_us
    if (published_us[1:] < published_us[:-1]).any():
        raise ValueError("expected events in order of publish time, got one published before the one before")
    return Questions(user, at_us, np.searchsorted(published_us, at_us, side="left").astype(np.int64))


class Replay:
    """Replays histories of one plan. Keeps nothing between calls; threads may share it.

    Args:
        plan: what records hold.
        select: names of the outputs to answer with, None for all.

    Raises:
        InputError: the plan has no such output.
    """

    def __init__(self, plan: Plan, select: Collection[str] | None = None) -> None:
        self._plan = plan
        self._records = PackedRecords(plan)
        self._reader = Reader(plan, self._records, select)

    def play(
        self,
        events: Events,
        questions: Questions,
        *,
        delay_us: int = 0,
        judged: npt.NDArray[np.int8] | None = None,
    ) -> Replayed:
        """Return what the questions' records hold.

        Args:
            events: m events of n users, in order of arrival; what the plan's `fields` are, as columns.
            questions: about those users.
            delay_us: how long after its publish time an event arrives, microseconds.
            judged: (m,) the outcomes, where they are known already: the events that are applied are folded as they
                come, and nothing is judged.

        Raises:
            ValueError: a question is about nobody, or at a time that nothing can be read at.
        """
        outcome, wrong, filled, rows, order = native.replay(
            self._reader.native,
            self._records.native,
            events,
            questions.user,
            questions.at_us,
            questions.visible,
            list(self._reader.logs),
            self._plan.seen_ids_cap,
            self._plan.max_record_bytes,
            self._plan.retention_us,
            delay_us,
            judged,
        )
        errors = {question: TOO_LARGE if kind == OVERFLOWING else text for question, kind, text in wrong}
        histories = None
        if rows is not None:
            histories = in_order(histories_of(len(questions), self._reader.logs, rows, {}), order)
        return Replayed(outcome, self._reader, filled, questions, histories, errors)


class Replayed:
    """What q questions' records hold, to be finished.

    Attributes:
        outcome: (m,) an `Outcome` an event.
        histories: what outputs are composed of, by question; None if none are.
    """

    def __init__(
        self,
        outcome: npt.NDArray[np.int8],
        reader: Reader,
        filled: tuple[Any, ...],
        questions: Questions,
        histories: Histories | None,
        errors: dict[int, str],
    ) -> None:
        self.outcome = outcome
        self.histories = histories
        self._reader, self._filled, self._questions, self._errors = reader, filled, questions, errors

    def items(self) -> dict[str, list[str]]:
        """Return the items that each table is asked for."""
        return {} if self.histories is None else self._reader.items_of(self.histories)

    def finished(self, item_vectors: Mapping[str, ItemVectors] | VectorsByRow | None = None) -> Finished:
        """Return the outputs, a row a question; `present` is false where nothing had been applied yet.

        Args:
            item_vectors: by table, at least those of `items`, if outputs are composed of any; or by question too, and
                then `item_versions` of what is returned is empty.

        Raises:
            ValueError: item vectors are missing.
        """
        return self._reader.finished(self._filled, self._questions.at_us, self._errors, self.histories, item_vectors)
