"""Counters under one namespace, for the runner (Beam metrics) and for whoever watches this process (live counts).

Every event read ends in exactly one bin: applied, duplicate, ignored, expired, or dead_letter; or it is given back to
the source, and is read once more. The runner's counters are the accounting, since they belong to committed bundles; the
process's live counts are for progress only.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from transforms.metrics import counter

READ = "read"
APPLIED = "applied"
DUPLICATE = "duplicate"
IGNORED = "ignored"
EXPIRED = "expired"
DEAD_LETTER = "dead_letter"
GIVEN_BACK = "given_back"
WRITES = "writes"
CONFLICTS = "conflicts"
BYTES_WRITTEN = "bytes_written"
HORIZON_SHORTENED = "horizon_shortened"
IDS_LOST = "ids_lost"
RECORDS_LOST = "records_lost"
WENT_BACK = "redis_went_back"
UNAVAILABLE = "store_unavailable"
DEAD_LETTERS_UNAVAILABLE = "dead_letters_unavailable"
REGISTRY_UNAVAILABLE = "registry_unavailable"
PAIRS = "learned_pairs"
PAIRS_AGAIN = "learned_pairs_again"
PAIRS_REFUSED = "learned_pairs_refused"
ITEM_WRITES = "item_writes"
ITEM_CONFLICTS = "item_conflicts"
USERS_EXPIRED = "users_expired"
STALE = "stale_views"

_LOCK = threading.Lock()
_SO_FAR: Counter[str] = Counter()


def count(name: str, by: int = 1) -> None:
    """Add to a counter of `transforms.metrics`; call it from a DoFn."""
    counter(name).inc(by)  # of 0 as well: what is exported is there before it is needed
    if by:
        with _LOCK:
            _SO_FAR[name] += by


def expired_needing(days: int) -> str:
    """Return the counter of expired events that it takes a retention of so many days to keep."""
    return f"{EXPIRED}_needing_{days}d"


def so_far() -> Mapping[str, int]:
    """Return what this process has counted so far."""
    with _LOCK:
        return Counter(_SO_FAR)


def reset() -> None:
    """Start counting anew, for the next run in the same process."""
    with _LOCK:
        _SO_FAR.clear()
