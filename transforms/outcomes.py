"""What a fold says of each event -> messages to acknowledge, dead letters, and the counters of both."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np

from transforms import counters
from transforms.packet import DeadLetter
from user_state.events.message import Message
from user_state.fold_report import FoldReport
from user_state.item_stage import LearnedReport
from user_state.state.event_batch import AckIds, EventBatch, Rows
from user_state.state.outcome import Outcome

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
        stored: acknowledgement ids of those whose events are stored.
        dead: dead letters.
        contended: the events of users whom other workers write all the time; nothing became of them yet.
    """

    stored: AckIds
    dead: list[DeadLetter]
    contended: Rows


def settled(batch: EventBatch, report: FoldReport) -> Bundle:
    """Return what became of the messages of a batch that was folded; count it, and what the fold wrote."""
    is_applied = report.outcome == Outcome.APPLIED
    is_stored = is_applied | (report.outcome == Outcome.DUPLICATE)
    is_contended = report.outcome == Outcome.CONTENDED
    stored, contended = np.flatnonzero(is_stored), np.flatnonzero(is_contended)
    others = np.flatnonzero(~(is_stored | is_contended))
    bundle = Bundle(batch.ack_ids(stored), [_letter(batch, int(row), report) for row in others], contended)
    applied = int(is_applied.sum())
    counters.count(counters.APPLIED, applied)
    counters.count(counters.DUPLICATE, len(stored) - applied)
    counters.count(counters.WRITES, report.writes)
    counters.count(counters.CONFLICTS, report.conflicts)
    counters.count(counters.BYTES_WRITTEN, report.bytes_written)
    counters.count(counters.HORIZON_SHORTENED, report.shortened)
    counters.count(counters.IDS_LOST, report.ids_lost)
    counters.count(counters.RECORDS_LOST, report.lost)
    counters.count(counters.WENT_BACK, report.went_back)
    counters.count(counters.UNAVAILABLE, 0)  # there before it is needed: a counter that begins at 8 has no rate
    if report.lost or report.went_back:
        _LOG.warning(LOST_DATA)
    return bundle


def _letter(batch: EventBatch, row: int, report: FoldReport) -> DeadLetter:
    message, outcome = Message(*batch.message(row)), int(report.outcome[row])
    if outcome in SET_ASIDE:
        return DeadLetter(message, SET_ASIDE[outcome], report.set_aside[batch.user_of(row)])
    return DeadLetter(message, *DETAIL[Outcome(outcome)])


def give_back(batch: EventBatch, contended: Rows) -> Rows:
    """Let messages of contended users come again later; return the events that cannot, to be folded now."""
    comes_again = batch.has_ack_id()[contended]  # when its lease ends
    counters.count(counters.GIVEN_BACK, int(comes_again.sum()))
    return contended[~comes_again]


def count_learned(report: LearnedReport) -> None:
    """Count what the item stage did; its derived events are no events that were read, so no bin of theirs."""
    counters.count(counters.PAIRS, report.applied)
    counters.count(counters.PAIRS_AGAIN, report.duplicate)
    counters.count(counters.PAIRS_REFUSED, report.refused)
    counters.count(counters.ITEM_WRITES, report.writes)
    counters.count(counters.ITEM_CONFLICTS, report.conflicts)
    counters.count(counters.BYTES_WRITTEN, report.bytes_written)
