"""What a fold says of each event -> messages to acknowledge, dead letters, and the counters of both."""

from __future__ import annotations

from collections.abc import Sequence

from transforms import tally
from transforms.packet import DeadLetter
from user_state.core.admission import Outcome
from user_state.core.events import EventRow
from user_state.events.message import Message
from user_state.fold import FoldReport
from user_state.learning import LearnedReport

DETAIL = {
    Outcome.TOO_LATE: ("too_late", "the event time is more than allowed_lateness before the publish time or the clock"),
    Outcome.FROM_FUTURE: ("from_future", "the event time is more than max_clock_skew after its publish time"),
}


def settled(
    rows: Sequence[EventRow], messages: Sequence[Message], report: FoldReport
) -> tuple[list[Message], list[DeadLetter]]:
    """Return (messages whose events are stored, dead letters); count both, and what the fold wrote."""
    stored: list[Message] = []
    dead: list[DeadLetter] = []
    for row, message, outcome in zip(rows, messages, report.outcome.tolist(), strict=True):
        if outcome in (Outcome.APPLIED, Outcome.DUPLICATE):
            stored.append(message)
        elif outcome == Outcome.BAD_RECORD:
            dead.append(DeadLetter(message, "bad_record", report.bad_records[row[0]]))
        else:
            dead.append(DeadLetter(message, *DETAIL[Outcome(outcome)]))
    applied = int((report.outcome == Outcome.APPLIED).sum())
    tally.count(tally.APPLIED, applied)
    tally.count(tally.DUPLICATE, len(stored) - applied)
    tally.count(tally.WRITES, report.writes)
    tally.count(tally.CONFLICTS, report.conflicts)
    tally.count(tally.BYTES_WRITTEN, report.bytes_written)
    tally.count(tally.HORIZON_SHORTENED, report.shortened)
    tally.count(tally.UNAVAILABLE, 0)  # there before it is needed: a counter that begins at 8 has no rate
    return stored, dead


def count_learned(report: LearnedReport) -> None:
    """Count what the item stage did; its derived events are no events that were read, so no bin of theirs."""
    tally.count(tally.PAIRS, report.applied)
    tally.count(tally.PAIRS_AGAIN, report.duplicate)
    tally.count(tally.PAIRS_REFUSED, report.refused)
    tally.count(tally.ITEM_WRITES, report.writes)
    tally.count(tally.ITEM_CONFLICTS, report.conflicts)
    tally.count(tally.BYTES_WRITTEN, report.bytes_written)
