"""The accounting identity, as people read it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from transforms import counters
from user_state.durations import format_duration
from user_state.events.screening import KEEPING_DAYS

BINS = (
    counters.APPLIED,
    counters.DUPLICATE,
    counters.IGNORED,
    counters.EXPIRED,
    counters.DEAD_LETTER,
    counters.GIVEN_BACK,
)
LOSSES = (counters.RECORDS_LOST, counters.WENT_BACK, counters.IDS_LOST)
"""Counters that say that Redis has lost something."""


def balanced(counts: Mapping[str, int]) -> bool:
    """Return whether every message read is in a bin, or was given back."""
    return counts.get(counters.READ, 0) == sum(counts.get(name, 0) for name in BINS)


def accounting_line(counts: Mapping[str, int]) -> str:
    """Return the accounting identity in one line.

    >>> accounting_line({"read": 3, "applied": 2, "dead_letter": 1, "dead_letter_invalid": 1})
    'read 3 = applied 2 + duplicate 0 + ignored 0 + dead letters 1 (invalid 1)'
    >>> accounting_line({"read": 3, "applied": 2, "given_back": 1})
    'read 3 = applied 2 + duplicate 0 + ignored 0 + dead letters 0 + given back, to be read again 1'
    >>> accounting_line({"read": 3, "applied": 2, "expired": 1})
    'read 3 = applied 2 + duplicate 0 + ignored 0 + expired 1 + dead letters 0'
    """
    applied, duplicate, ignored, expired, dead_letters, given_back = (counts.get(name, 0) for name in BINS)
    prefix = f"{counters.DEAD_LETTER}_"
    reasons = ", ".join(f"{n[len(prefix) :]} {v:,}" for n, v in sorted(counts.items()) if n.startswith(prefix))
    sign = "=" if balanced(counts) else "!="
    line = (
        f"read {counts.get(counters.READ, 0):,} {sign} applied {applied:,} + duplicate {duplicate:,}"
        f" + ignored {ignored:,}{f' + expired {expired:,}' if expired else ''} + dead letters {dead_letters:,}"
    )
    line = f"{line} ({reasons})" if reasons else line
    return f"{line} + given back, to be read again {given_back:,}" if given_back else line


def progress_line(elapsed_s: float, counts: Mapping[str, int], rate: float) -> str:
    """Return how a run fares, in one line; what was read and is in no bin yet is in flight.

    After a worker was restarted, what it read is counted again, and the bins may hold more than was read.

    >>> progress_line(3.2, {"read": 3, "applied": 3, "writes": 2}, 1.04)
    '     3 s  read 3 = applied 3 + duplicate 0 + ignored 0 + dead letters 0  1/s, 2 writes'
    >>> progress_line(3.2, {"read": 5, "applied": 3}, 1.04)
    '     3 s  read 5 = applied 3 + duplicate 0 + ignored 0 + dead letters 0 + in flight 2  1/s, 0 writes'
    >>> progress_line(3.2, {"read": 5, "applied": 9}, 1.04)
    '     3 s  read 5 = applied 9 + duplicate 0 + ignored 0 + dead letters 0 - counted again 4  1/s, 0 writes'
    """
    writes = counts.get(counters.WRITES, 0)
    in_flight = counts.get(counters.READ, 0) - sum(counts.get(name, 0) for name in BINS)
    more = f" + in flight {in_flight:,}" if in_flight > 0 else f" - counted again {-in_flight:,}" if in_flight else ""
    line = accounting_line(counts).replace(" != ", " = ", 1)
    return f"{elapsed_s:6.0f} s  {line}{more}  {rate:,.0f}/s, {writes:,} writes"


def closing_lines(counts: Mapping[str, int], retention_us: int) -> str:
    """Return what a run came to: the accounting, and below it what to do about expired events, learned and lost data.

    Args:
        counts: of the run.
        retention_us: the spec's.
    """
    notes = (expired_line(counts, retention_us), learned_line(counts), loss_line(counts))
    return "\n".join([accounting_line(counts), *(note for note in notes if note is not None)])


def expired_line(counts: Mapping[str, int], retention_us: int) -> str | None:
    r"""Return what to do about events older than the retention, in one line; None if there were none.

    >>> counts = {"read": 8, "expired": 4, "expired_needing_365d": 3, "expired_needing_3650d": 1}
    >>> print(expired_line(counts, 90 * 86_400_000_000).replace(": ", ":\n").replace(". ", ".\n"))
    4 of 8 events are older than `retention` (90d) and were not stored:
    their records would expire at once.
    To keep most of them, set `retention` in the spec to at least 365d, to keep all to 3650d, and run them again.
    """
    expired = counts.get(counters.EXPIRED, 0)
    if not expired:
        return None
    by_days = sorted((days, counts.get(counters.expired_needing(days), 0)) for days in KEEPING_DAYS)
    held = [days for days, number in by_days if number]
    line = (
        f"{expired:,} of {counts.get(counters.READ, 0):,} events are older than `retention`"
        f" ({format_duration(retention_us)}) and were not stored: their records would expire at once."
    )
    if not held:
        return f"{line} To keep events of this age, set a longer `retention` in the spec, and run them again."
    reached = itertools.accumulate(number for _, number in by_days)
    most = next((days for (days, _), kept in zip(by_days, reached, strict=True) if 2 * kept > expired), held[-1])
    if most == held[-1]:
        return f"{line} To keep them, set `retention` in the spec to at least {most}d, and run them again."
    return (
        f"{line} To keep most of them, set `retention` in the spec to at least {most}d, to keep all to {held[-1]}d,"
        " and run them again."
    )


def loss_line(counts: Mapping[str, int]) -> str | None:
    """Return what Redis has lost, in one line; None if nothing.

    >>> loss_line({"read": 9, "records_lost": 2, "redis_went_back": 1, "ids_lost": 0})
    'Redis has lost data (records_lost 2, redis_went_back 1): docs/recovery.md says what to do'
    >>> loss_line({"records_lost": 0})
    """
    lost = ", ".join(f"{name} {counts[name]:,}" for name in LOSSES if counts.get(name))
    return f"Redis has lost data ({lost}): docs/recovery.md says what to do" if lost else None


def learned_line(counts: Mapping[str, int]) -> str | None:
    """Return what the item stage did, in one line; None if it did nothing.

    >>> learned_line({"learned_pairs": 60, "item_writes": 9, "item_conflicts": 1})
    'learned 60 pairs in 9 writes of items; 0 known already, 0 refused as too late for their item, 1 conflicts'
    """
    names = (
        counters.PAIRS,
        counters.ITEM_WRITES,
        counters.PAIRS_AGAIN,
        counters.PAIRS_REFUSED,
        counters.ITEM_CONFLICTS,
    )
    if not any(counts.get(name) for name in names):
        return None
    return (
        "learned {:,} pairs in {:,} writes of items; {:,} known already, {:,} refused as too late for their item,"
        " {:,} conflicts"
    ).format(*(counts.get(name, 0) for name in names))
