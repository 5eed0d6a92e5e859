"""The accounting identity, as people read it."""

from __future__ import annotations

from collections.abc import Mapping

from transforms import tally

BINS = (tally.APPLIED, tally.DUPLICATE, tally.IGNORED, tally.DEAD_LETTER, tally.GIVEN_BACK)

LOSSES = (tally.RECORDS_LOST, tally.WENT_BACK, tally.IDS_LOST)
"""Counters that say that Redis has lost something."""


def balanced(counters: Mapping[str, int]) -> bool:
    """Return whether every message read is in a bin, or was given back."""
    return counters.get(tally.READ, 0) == sum(counters.get(name, 0) for name in BINS)


def accounting_line(counters: Mapping[str, int]) -> str:
    """Return the accounting identity in one line.

    >>> accounting_line({"read": 3, "applied": 2, "dead_letter": 1, "dead_letter_invalid": 1})
    'read 3 = applied 2 + duplicate 0 + ignored 0 + dead letters 1 (invalid 1)'
    >>> accounting_line({"read": 3, "applied": 2, "given_back": 1})
    'read 3 = applied 2 + duplicate 0 + ignored 0 + dead letters 0 + given back, to be read again 1'
    """
    *values, given_back = (counters.get(name, 0) for name in BINS)
    prefix = f"{tally.DEAD_LETTER}_"
    reasons = ", ".join(f"{n[len(prefix) :]} {v:,}" for n, v in sorted(counters.items()) if n.startswith(prefix))
    sign = "=" if balanced(counters) else "!="
    line = "read {:,} {} applied {:,} + duplicate {:,} + ignored {:,} + dead letters {:,}".format(
        counters.get(tally.READ, 0), sign, *values
    )
    line = f"{line} ({reasons})" if reasons else line
    return f"{line} + given back, to be read again {given_back:,}" if given_back else line


def progress_line(elapsed_s: float, counters: Mapping[str, int], rate: float) -> str:
    """Return how a run fares, in one line.

    >>> progress_line(3.2, {"read": 3, "applied": 3, "writes": 2}, 1.04)
    '     3 s  read 3 = applied 3 + duplicate 0 + ignored 0 + dead letters 0  1/s, 2 writes'
    """
    writes = counters.get(tally.WRITES, 0)
    return f"{elapsed_s:6.0f} s  {accounting_line(counters)}  {rate:,.0f}/s, {writes:,} writes"


def closing_lines(counters: Mapping[str, int]) -> str:
    """Return what a run came to: the accounting, below it what the item stage did and what Redis lost, if anything."""
    lines = (accounting_line(counters), learned_line(counters), loss_line(counters))
    return "\n".join(line for line in lines if line is not None)


def loss_line(counters: Mapping[str, int]) -> str | None:
    """Return what Redis has lost, in one line; None if nothing.

    >>> loss_line({"read": 9, "records_lost": 2, "redis_went_back": 1, "ids_lost": 0})
    'Redis has lost data (records_lost 2, redis_went_back 1): docs/recovery.md says what to do'
    >>> loss_line({"records_lost": 0})
    """
    lost = ", ".join(f"{name} {counters[name]:,}" for name in LOSSES if counters.get(name))
    return f"Redis has lost data ({lost}): docs/recovery.md says what to do" if lost else None


def learned_line(counters: Mapping[str, int]) -> str | None:
    """Return what the item stage did, in one line; None if it did nothing.

    >>> learned_line({"learned_pairs": 60, "item_writes": 9, "item_conflicts": 1})
    'learned 60 pairs in 9 writes of items; 0 known already, 0 refused as too late for their item, 1 conflicts'
    """
    names = (tally.PAIRS, tally.ITEM_WRITES, tally.PAIRS_AGAIN, tally.PAIRS_REFUSED, tally.ITEM_CONFLICTS)
    if not any(counters.get(name) for name in names):
        return None
    return (
        "learned {:,} pairs in {:,} writes of items; {:,} known already, {:,} refused as too late for their item,"
        " {:,} conflicts"
    ).format(*(counters.get(name, 0) for name in names))
