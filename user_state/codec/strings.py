"""A record's dictionary: every string its logs point into, once.

u2 n | u2 length in bytes x n | UTF-8 x n
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from user_state.codec.columns import need
from user_state.core.events import I64
from user_state.errors import CodecError

EMPTY = b"\0\0"


def unpack_strings(blobs: Sequence[bytes]) -> tuple[list[str], I64]:
    """Return (all strings of n dictionaries, (n + 1,) where each dictionary begins)."""
    pool: list[str] = []
    begins = [0]
    for blob in blobs:
        if blob != EMPTY:
            need(len(blob) >= 2, "dictionary is cut off")
            count = int.from_bytes(blob[:2], "little")
            body = 2 + 2 * count
            need(len(blob) >= body, "dictionary is cut off")
            lengths = struct.unpack_from(f"<{count}H", blob, 2)
            try:
                text = blob[body:].decode()
            except UnicodeDecodeError as exc:
                raise CodecError("expected UTF-8 in a record's dictionary") from exc
            need(len(blob) == body + sum(lengths), "dictionary has another length than it says")
            if len(text) == len(blob) - body:  # all ASCII: characters are bytes
                ends = list(accumulate(lengths))
                pool += [text[end - length : end] for end, length in zip(ends, lengths, strict=True)]
            else:
                at = body
                for length in lengths:
                    pool.append(_utf8(blob[at : at + length]))
                    at += length
        begins.append(len(pool))
    return pool, np.array(begins, np.int64)


def _utf8(blob: bytes) -> str:
    try:
        return blob.decode()
    except UnicodeDecodeError as exc:
        raise CodecError("expected UTF-8 in a record's dictionary") from exc


def pack_strings(strings: Sequence[bytes]) -> bytes:
    """Return the dictionary of these UTF-8 strings."""
    return struct.pack(f"<H{len(strings)}H", len(strings), *map(len, strings)) + b"".join(strings)
