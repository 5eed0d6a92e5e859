"""Remembered event ids <-> bytes, kept beside the record and never read by ranking services.

u1 format, 1 | u8 id hash x n | u4 event time in seconds x n
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from user_state.codec.columns import column, ends_of
from user_state.core.admission import Seen
from user_state.errors import CodecError

FORMAT = b"\1"
BYTES_AN_ID = 12


def decode_seen(blobs: Sequence[bytes | None]) -> Seen:
    """Return the ids of n users, None being a user without any.

    Raises:
        CodecError: bytes that are no remembered ids.
    """
    ids, seconds, counts = [], [], []
    for blob in blobs:
        if blob is None:
            counts.append(0)
            continue
        n, rest = divmod(len(blob) - 1, BYTES_AN_ID)
        if blob[:1] != FORMAT or rest:
            raise CodecError(f"expected remembered ids of format 1, got {len(blob)} bytes beginning {blob[:1].hex()!r}")
        ids.append(blob[1 : 1 + 8 * n])
        seconds.append(blob[1 + 8 * n :])
        counts.append(n)
    return Seen(
        np.repeat(np.arange(len(blobs)), counts),
        column(ids, "<u8").astype(np.uint64),
        column(seconds, "<u4").astype(np.int64),
    )


def encode_seen(seen: Seen, users: int) -> list[bytes]:
    """Return each user's remembered ids as bytes."""
    ids = seen.id_hash.astype("<u8").tobytes()
    seconds = seen.second.astype("<u4").tobytes()
    blobs, begin = [], 0
    for end in ends_of(seen.user, users):
        blobs.append(FORMAT + ids[8 * begin : 8 * end] + seconds[4 * begin : 4 * end])
        begin = end
    return blobs
