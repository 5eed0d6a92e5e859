"""Which events are folded: lateness, the future, duplicates, and the ids that are remembered to tell.

Ids are remembered, with the second of their event, for as long as their event would not be refused as too late; so
an event is folded once whatever is redelivered, and one whose id may have been forgotten is never folded. The record
holds the time from which on its ids are complete, its horizon: the clock less the lateness, or later where the cap
forgot more. So a longer lateness admits nothing that a shorter one forgot. The rules and their order stand in
docs/design/layers.md.
"""

from __future__ import annotations

from enum import IntEnum


class Outcome(IntEnum):
    """What became of an event."""

    APPLIED = 0
    DUPLICATE = 1
    TOO_LATE = 2
    FROM_FUTURE = 3
    BAD_RECORD = 4
    OVERSIZED = 5
    CONTENDED = 6
    FORGOTTEN = 7
    """Of history alone: applied to a record that was forgotten, `retention` after its last event, before a later event
    arrived. A stream's records are forgotten by the server."""
