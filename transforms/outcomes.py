"""What a fold says of each event -> messages to acknowledge, dead letters, and the counters of both."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from transforms import tally
from transforms.packet import DeadLetter
from user_state.core.admission import Outcome
from user_state.core.events import EventRow
from user_state.events.message import Message
from user_state.fold_report import FoldReport
from user_state.learning import LearnedReport

_LOG = logging.getLogger(__name__)
SET_ASIDE = {int(Outcome.BAD_RECORD): "bad_record", int(Outcome.OVERSIZED): "oversized"}
"""Outcomes that say something of a user; the report has the words."""
LOST_DATA = (
    "Redis has lost data that it had confirmed: it was restarted, flushed or failed over, or records were deleted. What"
    " was lost comes back when the subscription is sought back to before: see docs/recovery.md"
)
DETAIL = {
    Outcome.TOO_LATE: ("too_late", "the event time is more than allowed_lateness before the publish time or the clock"),
    Outcome.FROM_FUTURE: ("from_future", "the event time is more than max_clock_skew after its publish time"),
}


class Bundle(NamedTuple):
    """What became of a bundle's messages.

    Attributes:
        stored: those whose events are stored, to be acknowledged.
        dead: dead letters.
        contended: rows and messages of users whom other workers write all the time; nothing became of them yet.
    """

    stored: list[Message]
    dead: list[DeadLetter]
    contended: tuple[list[EventRow], list[Message]]


def settled(rows: Sequence[EventRow], messages: Sequence[Message], report: FoldReport) -> Bundle:
    """Return what became of a fold's messages; count it, and what the fold wrote."""
    bundle = Bundle([], [], ([], []))
    for row, message, outcome in zip(rows, messages, report.outcome.tolist(), strict=True):
        if outcome in (Outcome.APPLIED, Outcome.DUPLICATE):
            bundle.stored.append(message)
        elif outcome in SET_ASIDE:
            bundle.dead.append(DeadLetter(message, SET_ASIDE[outcome], report.set_aside[row[0]]))
        elif outcome == Outcome.CONTENDED:
            bundle.contended[0].append(row)
            bundle.contended[1].append(message)
        else:
            bundle.dead.append(DeadLetter(message, *DETAIL[Outcome(outcome)]))
    applied = int((report.outcome == Outcome.APPLIED).sum())
    tally.count(tally.APPLIED, applied)
    tally.count(tally.DUPLICATE, len(bundle.stored) - applied)
    tally.count(tally.WRITES, report.writes)
    tally.count(tally.CONFLICTS, report.conflicts)
    tally.count(tally.BYTES_WRITTEN, report.bytes_written)
    tally.count(tally.HORIZON_SHORTENED, report.shortened)
    tally.count(tally.IDS_LOST, report.ids_lost)
    tally.count(tally.RECORDS_LOST, report.lost)
    tally.count(tally.WENT_BACK, report.went_back)
    tally.count(tally.UNAVAILABLE, 0)  # there before it is needed: a counter that begins at 8 has no rate
    if report.lost or report.went_back:
        _LOG.warning(LOST_DATA)
    return bundle


def give_back(contended: tuple[list[EventRow], list[Message]]) -> tuple[list[EventRow], list[Message]]:
    """Let messages of contended users come again later; return the rows and messages that cannot, to be folded now."""
    kept: tuple[list[EventRow], list[Message]] = ([], [])
    given_back = 0
    for row, message in zip(*contended, strict=True):
        if message.ack_id is None:
            kept[0].append(row)
            kept[1].append(message)
        else:
            given_back += 1  # it comes again when its lease ends
    tally.count(tally.GIVEN_BACK, given_back)
    return kept


def count_learned(report: LearnedReport) -> None:
    """Count what the item stage did; its derived events are no events that were read, so no bin of theirs."""
    tally.count(tally.PAIRS, report.applied)
    tally.count(tally.PAIRS_AGAIN, report.duplicate)
    tally.count(tally.PAIRS_REFUSED, report.refused)
    tally.count(tally.ITEM_WRITES, report.writes)
    tally.count(tally.ITEM_CONFLICTS, report.conflicts)
    tally.count(tally.BYTES_WRITTEN, report.bytes_written)
