"""Records <-> bytes: Avro single-object encoding of `avro/user_state.avsc`, one value a user.

    C3 01 | schema fingerprint, 8 bytes | version, 8 bytes | layout, 8 bytes | 4 zigzag varints | byte strings

Any Avro reader reads the outer record; the byte strings are the dictionary (strings.py) and the packed columns of
each family of state (sections.py names the files beside this one that describe them). The outer record is put together
by hand, since its shape never varies and a batch has thousands; a test holds it against fastavro.

Any bytes give a value or one CodecError.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fastavro
import numpy as np

from user_state.codec.sections import SECTIONS
from user_state.codec.strings import EMPTY, pack_strings, unpack_strings
from user_state.core.layout import Layout
from user_state.core.records import Records
from user_state.errors import CodecError

SCHEMA_PATH = Path(__file__).parent.parent / "schemas" / "user_state.avsc"
_SCHEMA = fastavro.parse_schema(json.loads(SCHEMA_PATH.read_text()))
MARKER = b"\xc3\x01" + bytes.fromhex(
    fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(_SCHEMA), "CRC-64-AVRO")
)
VERSION = slice(10, 18)
LAYOUT = slice(18, 26)
NO_VERSION = b""
"""The version of a record that is not there."""
_REFUSED = "expected times, counts and sizes from 0 to 2^62, got another before offset {}"
_PARTS = 1 + len(SECTIONS)
_LONGS = 4


@dataclass(frozen=True)
class Outer:
    """One record with its sections still packed."""

    version: bytes
    layout: bytes
    longs: tuple[int, ...]
    sections: tuple[bytes, ...]


def version_of(blob: bytes | None) -> bytes:
    """Return the version that a compare-and-set has to expect of this stored record."""
    return NO_VERSION if blob is None else blob[VERSION]


def with_horizon(blob: bytes, horizon_us: int, version: bytes) -> bytes:
    """Return a record with another horizon and version, and all else as it was.

    Raises:
        CodecError: as `open_record`.
    """
    outer = open_record(blob)
    clock_us, last_event_us, _, applied = outer.longs
    longs = map(_long, (clock_us, last_event_us, horizon_us, applied))
    parts = [part for section in outer.sections for part in (_long(len(section)), section)]
    return b"".join((MARKER, version, outer.layout, *longs, *parts))


def open_record(blob: bytes) -> Outer:
    """Return the outer record.

    Raises:
        CodecError: the bytes are no record, or one of a schema this release does not know.
    """
    if blob[:10] != MARKER:
        raise CodecError(f"expected a record beginning with {MARKER.hex()}, got {blob[:10].hex()!r}")
    at = LAYOUT.stop
    longs = []
    sections = []
    try:
        for _ in range(_LONGS):
            value, at = _read_long(blob, at)
            longs.append(value)
        for _ in range(_PARTS):
            # Nearly all sizes are of one byte or two: calling for those takes longer than reading them.
            size = blob[at]
            if size > 0x7F and (more := blob[at + 1]) <= 0x7F:
                size = size & 0x7F | more << 7
                at += 2
            elif size > 0x7F:
                doubled, at = _read_long(blob, at)
                size = doubled << 1
            else:
                at += 1
            if size & 1:
                raise CodecError(_REFUSED.format(at))
            sections.append(blob[at : (at := at + (size >> 1))])
    except IndexError:
        raise CodecError(f"expected a number at offset {len(blob)}, got the end of the record") from None
    if at != len(blob):
        raise CodecError(f"expected a record of {at} bytes, got {len(blob)}")
    return Outer(blob[VERSION], blob[LAYOUT], tuple(longs), tuple(sections))


def decode_records(outers: Sequence[Outer | None], layout: Layout) -> Records:
    """Return the records of n users, None being a user without one, all of the given layout.

    Raises:
        CodecError: a section is not what the layout says.
    """
    held = [index for index, outer in enumerate(outers) if outer is not None]
    present = [outer for outer in outers if outer is not None]
    longs = np.zeros((4, len(outers)), np.int64)
    if held:
        longs[:, held] = np.array([outer.longs for outer in present], np.int64).T
    blank = (EMPTY, *(section.blank(layout) for section in SECTIONS))
    parts = [blank if outer is None else outer.sections for outer in outers]
    dictionaries = unpack_strings([part[0] for part in parts])
    states = {
        section.name: section.unpack([part[place] for part in parts], layout, dictionaries)
        for place, section in enumerate(SECTIONS, 1)
    }
    return Records(
        clock_us=longs[0],
        last_event_us=longs[1],
        horizon_us=longs[2],
        applied=longs[3],
        pool=dictionaries.pool,
        **states,
    )


def encode_records(records: Records, layout: Layout, versions: Sequence[bytes]) -> list[bytes]:
    """Return the bytes of n records, each with its new version (8 bytes)."""
    users = len(records)
    columns = [section.strings(getattr(records, section.name), layout) for section in SECTIONS]
    strings, numbers = pack_strings([column for of_section in columns for column in of_section], records.pool, users)
    packed = [strings]
    for section, of_section in zip(SECTIONS, columns, strict=True):
        mine, numbers = numbers[: len(of_section)], numbers[len(of_section) :]
        packed.append(section.pack(getattr(records, section.name), layout, mine, users))
    longs = np.stack((records.clock_us, records.last_event_us, records.horizon_us, records.applied), axis=1).tolist()
    head = layout.fingerprint
    encoded = []
    for version, four, sections in zip(versions, longs, zip(*packed, strict=True), strict=True):
        parts = [MARKER, version, head, *map(_long, four)]
        for section in sections:
            size = len(section)
            parts += (_SIZES[size] if size < len(_SIZES) else _long(size), section)
        encoded.append(b"".join(parts))
    return encoded


def _long(value: int) -> bytes:
    """Return an Avro long: zigzag, then seven bits a byte, least significant first."""
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SIZES = tuple(map(_long, range(4096)))
"""Most sections are shorter than this: looking their sizes up saves a third of the time of encoding a small record."""


def _read_long(blob: bytes, at: int) -> tuple[int, int]:
    """Return (value, offset after it); none of ours is negative, nor as large as 2^62.

    Raises:
        IndexError: the bytes end in the middle.
    """
    value = blob[at]
    at += 1
    if value > 0x7F:
        value &= 0x7F
        shift = 7
        while (byte := blob[at]) > 0x7F:
            value |= (byte & 0x7F) << shift
            shift += 7
            at += 1
            if shift > 56:
                break
        value |= (byte & 0x7F) << shift
        at += 1
    if value & 1 or value >= 2**63:
        raise CodecError(_REFUSED.format(at))
    return value >> 1, at
