"""A record's envelope, as far as the fuzzer has to know it: where the sections are, and what makes it whole again.

Not the product's own code, which refuses what is damaged; what is no envelope is None here.

    26 bytes: marker, version, layout | 4 zigzag varints | dictionary | n | n times: name, section | 0 | CRC-32C, u4

The dictionary is the section without a name. Bytes stand behind how many they are; numbers are zigzag varints.
"""

from __future__ import annotations

import google_crc32c

HEAD_BYTES = 26
CHECKSUM_BYTES = 4
LONGS = 4
"""Clock, last event, horizon and how many events."""
Section = tuple[bytes, bytes]
"""Name and bytes."""


def sections_of(blob: bytes) -> list[Section] | None:
    """Return the sections of a sound record."""
    try:
        dictionary, at = _bytes(blob, _body_of(blob))
        found = [(b"", dictionary)]
        families, at = _long(blob, at)
        for _ in range(families):
            name, at = _bytes(blob, at)
            section, at = _bytes(blob, at)
            found.append((name, section))
        if families:
            end, at = _long(blob, at)
            if end != 0:
                return None
    except IndexError:
        return None
    return found if at == len(blob) - CHECKSUM_BYTES else None


def with_sections(blob: bytes, sections: list[Section]) -> bytes:
    """Return a record with other sections, and no sound checksum yet; the first one is its dictionary."""
    parts = [blob[: _body_of(blob)], _sized(sections[0][1]), zigzag(len(sections) - 1)]
    for name, section in sections[1:]:
        parts += [_sized(name), _sized(section)]
    return b"".join((*parts, zigzag(0) if len(sections) > 1 else b"", bytes(CHECKSUM_BYTES)))


def resealed(blob: bytes) -> bytes:
    """Return a record whose checksum is right again."""
    covered = blob[:-CHECKSUM_BYTES]
    checksum: int = google_crc32c.value(covered)
    return covered + checksum.to_bytes(CHECKSUM_BYTES, "little")


def with_horizon(blob: bytes, horizon_us: int, version: bytes) -> bytes:
    """Return a sound record with another horizon and version, and all else as it was."""
    longs, at = [], HEAD_BYTES
    for _ in range(LONGS):
        value, at = _long(blob, at)
        longs.append(value)
    longs[2] = horizon_us
    return resealed(b"".join((blob[:10], version, blob[18:HEAD_BYTES], *map(zigzag, longs), blob[at:])))


def blank_record(marker: bytes, layout: bytes, clock_us: int, horizon_us: int) -> bytes:
    """Return a record that holds nothing but times."""
    longs = b"".join(map(zigzag, (clock_us, clock_us, horizon_us, 0)))
    return resealed(marker + bytes(8) + layout + longs + zigzag(0) + zigzag(0) + bytes(CHECKSUM_BYTES))


def zigzag(value: int) -> bytes:
    """Return an Avro long, of more than 64 bits too."""
    left = value * 2 if value >= 0 else -value * 2 - 1
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes((*out, left))


def _body_of(blob: bytes) -> int:
    at = HEAD_BYTES
    for _ in range(LONGS):
        _, at = _long(blob, at)
    return at


def _bytes(blob: bytes, at: int) -> tuple[bytes, int]:
    size, at = _long(blob, at)
    if not 0 <= size <= len(blob) - at:
        raise IndexError
    return blob[at : at + size], at + size


def _long(blob: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = blob[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte <= 0x7F:
            return (value >> 1) ^ -(value & 1), at


def _sized(taken: bytes) -> bytes:
    return zigzag(len(taken)) + taken
