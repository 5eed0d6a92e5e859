"""Records <-> bytes in numpy: the envelope is `native/record/envelope.hpp`'s, sections.py has the sections.

Any bytes give a value or one CodecError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from user_state.codec.sections import SECTIONS
from user_state.codec.strings import EMPTY, pack_strings, unpack_strings
from user_state.core import compiled as native
from user_state.core.layout import Layout
from user_state.core.records import Records
from user_state.errors import CodecError

SCHEMA_PATH = Path(__file__).parent.parent / "schemas" / "user_state.avsc"
MARKER = native.MARKER
VERSION = slice(10, 18)
LAYOUT = slice(18, 26)
_NAMES = ("strings", *(section.name for section in SECTIONS))
_REFUSED = "expected times, counts and sizes from 0 to 2^62, got another before offset {}"
_LONGS = 4


@dataclass(frozen=True)
class Outer:
    """One record with its sections still packed."""

    version: bytes
    layout: bytes
    longs: tuple[int, ...]
    sections: tuple[bytes, ...]


def open_record(blob: bytes) -> Outer:
    """Return the outer record; sections that it does not have are empty.

    Raises:
        CodecError: the bytes are no record, or one of a schema this release does not know.
    """
    if blob[:10] != MARKER or len(blob) < LAYOUT.stop + 4:
        raise CodecError(f"expected a record beginning with {MARKER.hex()}, got {blob[:10].hex()!r}")
    if int.from_bytes(blob[-4:], "little") != native.crc32c(blob[:-4]):
        raise CodecError(f"the record's checksum does not match: its {len(blob):,} bytes are damaged")
    at, end = LAYOUT.stop, len(blob) - 4
    longs = []
    sections = dict.fromkeys(_NAMES, b"")
    try:
        for _ in range(_LONGS):
            value, at = _read_long(blob, at)
            longs.append(value)
        sections["strings"], at = _read_bytes(blob, at)
        families, at = _read_long(blob, at)
        for _ in range(families):
            name, at = _read_bytes(blob, at)
            if sections.get(text := name.decode("ascii", "replace")) != b"":
                raise CodecError(f"expected a family of state once, got {text!r}")
            sections[text], at = _read_bytes(blob, at)
        if families:
            more, at = _read_long(blob, at)
            if more:
                raise CodecError("expected one block of families, got more")
    except IndexError:
        raise CodecError(f"expected a number at offset {len(blob)}, got the end of the record") from None
    if at != end:
        raise CodecError(f"expected a record of {at} bytes, got {end}")
    return Outer(blob[VERSION], blob[LAYOUT], tuple(longs), tuple(sections.values()))


def close_record(outer: Outer, sections: Sequence[bytes]) -> bytes:
    """Return the record of an outer one, with these sections; those that are empty are left out."""
    held = [(name, section) for name, section in zip(_NAMES[1:], sections[1:], strict=True) if section]
    parts = [MARKER, outer.version, outer.layout, *map(_long, outer.longs), _sized(sections[0]), _long(len(held))]
    parts += [_sized(name.encode()) + _sized(section) for name, section in held]
    if held:
        parts.append(_long(0))
    whole = b"".join(parts)
    return whole + native.crc32c(whole).to_bytes(4, "little")


def _sized(blob: bytes) -> bytes:
    return _long(len(blob)) + blob


def _read_bytes(blob: bytes, at: int) -> tuple[bytes, int]:
    size, at = _read_long(blob, at)
    if at + size > len(blob):
        raise IndexError
    return blob[at : at + size], at + size


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
    parts = [
        blank if outer is None else tuple(own or none for own, none in zip(outer.sections, blank, strict=True))
        for outer in outers
    ]
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
    blank = (EMPTY, *(section.blank(layout) for section in SECTIONS))
    encoded = []
    for version, four, sections in zip(versions, longs, zip(*packed, strict=True), strict=True):
        outer = Outer(version, layout.fingerprint, tuple(four), ())
        held = [b"" if own == none else own for own, none in zip(sections, blank, strict=True)]
        encoded.append(close_record(outer, held))
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
