"""What a runner's keyed state holds of a user: record and remembered ids in one cell, since they change together.

u1 format, 1 | i8 next look, ms UTC | i8 expiry, ms UTC | u4 size of the record | record | remembered ids

One cell, not two: reading or writing a cell is a round trip to the runner, which is what keyed state costs.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from user_state.errors import CodecError

FORMAT = 1
_HEAD = struct.Struct("<BqqI")


class Cell(NamedTuple):
    """A user's cell.

    Attributes:
        look_at_ms: when the user's timer is to fire next, milliseconds UTC.
        expire_at_ms: when all of this may be forgotten, milliseconds UTC.
        record: the record's bytes.
        seen: the bytes of the remembered event ids.
    """

    look_at_ms: int
    expire_at_ms: int
    record: bytes
    seen: bytes


def encode_cell(cell: Cell) -> bytes:
    """Return the cell as bytes."""
    head = _HEAD.pack(FORMAT, cell.look_at_ms, cell.expire_at_ms, len(cell.record))
    return head + cell.record + cell.seen


def decode_cell(blob: bytes) -> Cell:
    """Return the cell that `encode_cell` made these bytes of.

    Raises:
        CodecError: they are no cell.

    >>> decode_cell(encode_cell(Cell(5, 9, b"record", b"ids")))
    Cell(look_at_ms=5, expire_at_ms=9, record=b'record', seen=b'ids')
    """
    if len(blob) < _HEAD.size or blob[0] != FORMAT:
        raise CodecError(f"expected a cell of format {FORMAT}, got {len(blob)} bytes beginning {blob[:1].hex()!r}")
    _, look_at_ms, expire_at_ms, size = _HEAD.unpack_from(blob)
    if _HEAD.size + size > len(blob):
        raise CodecError(f"expected a record of {size} bytes in a cell, got {len(blob) - _HEAD.size}")
    return Cell(look_at_ms, expire_at_ms, blob[_HEAD.size : _HEAD.size + size], blob[_HEAD.size + size :])
