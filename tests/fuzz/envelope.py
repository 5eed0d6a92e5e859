"""A record's envelope, as far as the fuzzer has to know it: where the sections are, and what makes it whole again.

Not the product's own code, which refuses what is damaged; what is no envelope is None here.
"""

from __future__ import annotations

HEAD_BYTES = 26
"""Marker, version and layout."""
LONGS = 4
"""Clock, last event, horizon and how many events."""


def sections_of(blob: bytes) -> list[bytes] | None:
    """Return the sections of a sound record."""
    try:
        at = _body_of(blob)
        sections = []
        while at < len(blob):
            size, at = _long(blob, at)
            if size < 0 or at + size > len(blob):
                return None
            sections.append(blob[at : at + size])
            at += size
    except IndexError:
        return None
    return sections


def with_sections(blob: bytes, sections: list[bytes]) -> bytes:
    """Return a record with other sections."""
    return blob[: _body_of(blob)] + b"".join(_length(len(section)) + section for section in sections)


def resealed(blob: bytes) -> bytes:
    """Return a record whose checksum is right again: there is none."""
    return blob


def _body_of(blob: bytes) -> int:
    at = HEAD_BYTES
    for _ in range(LONGS):
        _, at = _long(blob, at)
    return at


def _long(blob: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = blob[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte <= 0x7F:
            return (value >> 1) ^ -(value & 1), at


def _length(size: int) -> bytes:
    left = size * 2
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes((*out, left))
