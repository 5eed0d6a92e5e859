"""What a backfill says when it has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from beam_pipelines.accounting import accounting_line, loss_line
from transforms import counters
from user_state.durations import format_duration
from user_state.times import format_time

DEAD = ("undecodable", "invalid", "from_future", "too_late", "oversized", "bad_record")
"""Fates of events that are dead letters."""


def bins(counts: Mapping[str, int]) -> Counter[str]:
    """Return the counts of a backfill as those of a run are called; events that nobody asked for are not read.

    >>> dict(bins({"read": 9, "applied": 3, "other_users": 4, "invalid": 2}))
    {'read': 5, 'applied': 3, 'dead_letter': 2, 'dead_letter_invalid': 2}
    """
    made: Counter[str] = Counter()
    made[counters.READ] = counts.get("read", 0) - counts.get("other_users", 0) - counts.get("after_until", 0)
    for name in (counters.APPLIED, counters.DUPLICATE, counters.IGNORED, counters.EXPIRED, counters.WENT_BACK):
        if counts.get(name):
            made[name] = counts[name]
    for reason in DEAD:
        if counts.get(reason):
            made[counters.DEAD_LETTER] += counts[reason]
            made[f"{counters.DEAD_LETTER}_{reason}"] = counts[reason]
    return made


def lines(counts: Mapping[str, int], retention_us: int) -> list[str]:
    """Return what became of the events and users of a backfill, for people.

    >>> counts = {"read": 9, "applied": 3, "expired": 2, "users": 1, "users_expired": 1, "other_users": 4}
    >>> for line in lines(counts, 90 * 86_400_000_000): print(line)
    read 5 = applied 3 + duplicate 0 + ignored 0 + expired 2 + dead letters 0
    4 events of other users were left out (--users)
    1 users have records; 1 users do not: their last event is older than `retention` (90d) by now
    """
    said = [accounting_line(bins(counts))]
    if counts.get("other_users"):
        said.append(f"{counts['other_users']:,} events of other users were left out (--users)")
    if counts.get("after_until"):
        said.append(f"{counts['after_until']:,} events published from --until on were left to the stream")
    gone = counts.get("users_expired", 0)
    expired = (
        f"; {gone:,} users do not: their last event is older than `retention` ({format_duration(retention_us)}) by now"
        if gone
        else ""
    )
    said.append(f"{counts.get('users', 0):,} users have records{expired}")
    if counts.get("without_letter"):
        said.append(
            f"{counts['without_letter']:,} of the dead letters are in the files alone: they were refused as they were"
            " folded"
        )
    if counts.get("horizon_shortened"):
        said.append(
            f"{counts['horizon_shortened']:,} users had more events within `allowed_lateness` than `seen_ids_cap`:"
            " nothing is counted twice, but of what is late for them less is let in"
        )
    loss = loss_line(bins(counts))
    return said if loss is None else [*said, loss]


def takeover_line(generation: str, until_us: int | None, latest_us: int | None, lateness_us: int) -> str:
    """Return how the stream goes on from a generation.

    >>> takeover_line("g", 1_764_547_200_000_000, None, 86_400_000_000)
    'g is complete until 2025-12-01T00:00:00Z; `user-state run --generation g` goes on from the stream, sought back to \
before then, by less than `allowed_lateness` (1d)'
    """
    if until_us is not None:
        there, back = f"complete until {format_time(until_us)}", "then"
    elif latest_us is not None:
        there, back = f"complete; its files end at {format_time(latest_us)}", "then"
    else:
        there, back = "complete", "the files end"
    return (
        f"{generation} is {there}; `user-state run --generation {generation}` goes on from the stream, sought back to"
        f" before {back}, by less than `allowed_lateness` ({format_duration(lateness_us)})"
    )
