"""Remembered event ids as bytes, kept beside the record and never read by ranking services.

    u1 format, 2 | version of the record, 8 bytes | epoch of the spec that wrote both, u8 big-endian
    u8 id hash x n | u4 event time in seconds x n

The version says which record the ids belong to: whoever finds ids of another version, or none beside a record, knows
that Redis has lost one of the two. The epoch is compared by whoever writes next (`user_state.store.registry`).

Between reading and writing, ids are handled without that head: u1 format, 1 | id hashes | seconds. Those are what
a fold takes and gives.
"""

from __future__ import annotations

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


def stored_seen(ids: bytes, version: bytes, epoch: int) -> bytes:
    """Return remembered ids as they are stored beside the record of a version.

    Args:
        ids: without that head.
        version: of the record, 8 bytes.
        epoch: of the spec that writes them, microseconds.
    """
    return STORED_FORMAT + version + epoch.to_bytes(8, "big") + ids[1:]


def ids_beside(stored: bytes | None, version: bytes) -> bytes | None:
    r"""Return the remembered ids beside a record, without their head; None for a user without a record.

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
