"""Remembered event ids <-> bytes, kept beside the record and never read by ranking services.

    u1 format, 2 | version of the record, 8 bytes | generation of the spec that wrote both, u8 big-endian
    u8 id hash x n | u4 event time in seconds x n

The version says which record the ids belong to: whoever finds ids of another version, or none beside a record, knows
that Redis has lost one of the two. The generation is compared by whoever writes next (`user_state.store.registry`).

Between reading and writing, ids are handled without that head: u1 format, 1 | id hashes | seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from user_state.codec.columns import column, ends_of
from user_state.core.admission import Seen
from user_state.errors import CodecError

FORMAT = b"\1"
BYTES_AN_ID = 12
NO_IDS = FORMAT
"""Remembered ids of which there are none."""
STORED_FORMAT = b"\2"
HEAD_BYTES = 17
_VERSION = slice(1, 9)


class LostIdsError(Exception):
    """There are no remembered ids that belong to the record."""


def stored_seen(ids: bytes, version: bytes, generation: int) -> bytes:
    """Return remembered ids as they are stored beside the record of a version.

    Args:
        ids: as `encode_seen` gives them.
        version: of the record, 8 bytes.
        generation: of the spec that writes them, microseconds.
    """
    return STORED_FORMAT + version + generation.to_bytes(8, "big") + ids[1:]


def ids_beside(stored: bytes | None, version: bytes) -> bytes | None:
    r"""Return the remembered ids beside a record, as `encode_seen` gives them; None for a user without a record.

    Args:
        stored: what lies beside the record, None if nothing.
        version: of the record, empty for none.

    Raises:
        LostIdsError: nothing, or the ids of another record, lies beside a record.
        CodecError: the bytes are no remembered ids.

    >>> ids_beside(stored_seen(FORMAT, b"12345678", 7), b"12345678"), ids_beside(None, b"")
    (b'\x01', None)
    """
    if not version:
        return None  # ids without their record say nothing of what is stored
    if stored is None:
        raise LostIdsError
    if stored[:1] != STORED_FORMAT or len(stored) < HEAD_BYTES:
        raise CodecError(f"expected remembered ids of format 2, got {len(stored)} bytes beginning {stored[:1].hex()!r}")
    if stored[_VERSION] != version:
        raise LostIdsError
    return FORMAT + stored[HEAD_BYTES:]


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
