"""What a record says without being taken apart: its version, its layout, its times.

    C3 01 | schema fingerprint, 8 bytes | version, 8 bytes | layout, 8 bytes | clock, last event, horizon, applied | ...

`native/record/envelope.hpp` has the rest, and alone knows of it. Versions and layouts stand where they can be compared
without it: in a Lua script, and here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from user_state import native
from user_state.state.events import I64

MARKER = native.MARKER
"""What every record begins with."""
VERSION = slice(10, 18)
LAYOUT = slice(18, 26)
NO_VERSION = b""
"""The version of a record that is not there."""


@dataclass(frozen=True)
class Heads:
    """What n records say of their time.

    Attributes:
        clock_us: (n,) greatest publish time among the applied events; 0 for a user without any.
        last_event_us: (n,) greatest event time among the applied events; 0 for a user without any.
        horizon_us: (n,) event times from which on the remembered ids are complete, 0 for a user without any; earlier
            events are refused, whatever lateness the spec allows.
        applied: (n,) how many events the record is made of.
    """

    clock_us: I64
    last_event_us: I64
    horizon_us: I64
    applied: I64

    def __len__(self) -> int:
        return len(self.clock_us)


def heads_of(blobs: Sequence[bytes | None]) -> tuple[Heads, dict[int, str]]:
    """Return what n records say of their time, whatever layout they are of, and what is wrong by record.

    None, and bytes that are no record, say what a user without a record would.
    """
    longs, wrong = native.heads(blobs)
    return Heads(*longs), {record: text for record, _, text in wrong}


def version_of(blob: bytes | None) -> bytes:
    """Return the version that a compare-and-set has to expect of this stored record."""
    return NO_VERSION if blob is None else blob[VERSION]
