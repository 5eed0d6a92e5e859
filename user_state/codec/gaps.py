"""A record's gaps: of each track its tiles, oldest first, and the times of events that a later one may come before.

    u1 flags: 1 if the top column of ages is there, 2 if the long columns of tiles are, 4 if that of times is
    u4 tiles x tracks                                 T in all
    u4 times x tracks                                 N in all
    i8 newest event of them all, microseconds; 0 if there are none
    u4 start in seconds x T, ascending; 0 is the lifetime tile
    u4 x T, u2 x T and, if marked, u2 x T             microseconds from a tile's last event to the newest of all
    u4 x T and, if marked, u4 x T                     microseconds from its first event to its last
    u4 x T and, if marked, u4 x T                     longest gap in microseconds and one; 0 for a single event
    u4 x N and, if marked, u4 x N                     times, newest first: microseconds before the one above, the first
                                                      of a track before the newest of all

A time stands there twice if there were two events or more. A layout without gaps has no bytes here.
native/families/gaps/columns.hpp packs them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from user_state.codec.columns import need
from user_state.codec.strings import Dictionaries
from user_state.core.events import I64
from user_state.core.gaps import PackedGaps
from user_state.core.layout import Layout


def empty_gaps(layout: Layout) -> bytes:
    """Return the section of a record without any events of these tracks."""
    tracks = len(layout.gaps)
    return bytes(struct.calcsize(f"<B{2 * tracks}Iq")) if tracks else b""


def unpack_gaps(blobs: Sequence[bytes], layout: Layout, _dictionaries: Dictionaries) -> PackedGaps:
    """Return the gaps of n records as they are."""
    need(bool(layout.gaps) or not any(blobs), "gaps are of no layout")
    return PackedGaps(tuple(blobs))


def pack_gaps(gaps: PackedGaps, layout: Layout, _numbers: Sequence[I64], _users: int) -> list[bytes]:
    """Return each user's packed gaps."""
    return [section or empty_gaps(layout) for section in gaps.sections]
