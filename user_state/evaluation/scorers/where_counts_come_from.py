"""Decayed counts of recent items from records, or from the reference in numpy: as a scorer's settings say."""

from __future__ import annotations

from user_state.evaluation.interactions import Interactions
from user_state.evaluation.scorers.recent_counts import RecentCounts, ReferenceCounts
from user_state.evaluation.scorers.record_counts import RecordCounts
from user_state.evaluation.scorers.settings import durations_us


def counts_of(log: Interactions, half_lives: str, *, keep: int, records: bool) -> RecentCounts:
    """Return the counts; `half_lives` with a plus between.

    Raises:
        InputError: settings that do not fit.
    """
    half_lives_us = durations_us(half_lives)
    if records:
        return RecordCounts(log, half_lives.split("+"), keep=keep)
    return ReferenceCounts(log, half_lives_us, keep=keep)
