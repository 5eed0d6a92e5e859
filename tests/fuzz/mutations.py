"""What becomes of bytes on their way: each mutation is a function of them, of others like them, and of dice."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

from tests.fuzz.envelope import resealed, sections_of, with_sections, zigzag

BYTES = (0x00, 0x01, 0x02, 0x7F, 0x80, 0xFE, 0xFF)
EDGES = (
    *(0, 1, 2, 3, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32),
    *(2**48, 2**61, 2**62 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1),
)
FLOATS = (float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1.7e308, -1.7e308)
Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def flipped(rng: random.Random, blob: bytes, _others: Sequence[bytes]) -> bytes:
    """Flip one to eight bits."""
    out = bytearray(blob)
    for _ in range(rng.choice((1, 1, 2, 8)) if out else 0):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def truncated(rng: random.Random, blob: bytes, _others: Sequence[bytes]) -> bytes:
    """Leave out the end."""
    return blob[: rng.randrange(len(blob) + 1)]


def overwritten(rng: random.Random, blob: bytes, _others: Sequence[bytes]) -> bytes:
    """Put a number at the edge of its type somewhere, as one, two, four or eight bytes, or as a double."""
    at = rng.randrange(len(blob) + 1)
    if rng.random() < 0.1:
        number = struct.pack("<d", rng.choice(FLOATS))
    else:
        size = rng.choice((1, 2, 4, 8))
        number = (rng.choice(EDGES) & (2 ** (8 * size) - 1)).to_bytes(size, "little")
    return blob[:at] + number + blob[at + len(number) :]


def length_claimed(rng: random.Random, blob: bytes, _others: Sequence[bytes]) -> bytes:
    """Put an Avro long in place of a byte: where a length stands, it claims what is not there."""
    at = rng.randrange(len(blob) + 1)
    return blob[:at] + zigzag(rng.choice((1, -1)) * rng.choice(EDGES) // rng.choice((1, 2))) + blob[at + 1 :]


def byte_replaced(rng: random.Random, blob: bytes, _others: Sequence[bytes]) -> bytes:
    """Replace a byte by one that often matters."""
    at = rng.randrange(len(blob) + 1)
    return blob[:at] + bytes([rng.choice(BYTES)]) + blob[at + 1 :]


def grown(rng: random.Random, blob: bytes, _others: Sequence[bytes]) -> bytes:
    """Put random bytes in between."""
    at = rng.randrange(len(blob) + 1)
    return blob[:at] + rng.randbytes(rng.choice((1, 2, 8, 64))) + blob[at:]


def cut(rng: random.Random, blob: bytes, _others: Sequence[bytes]) -> bytes:
    """Leave out a piece."""
    at = rng.randrange(len(blob) + 1)
    return blob[:at] + blob[at + rng.choice((1, 2, 4, 8, 64)) :]


def repeated(rng: random.Random, blob: bytes, _others: Sequence[bytes]) -> bytes:
    """Say a piece again."""
    at = rng.randrange(len(blob) + 1)
    end = at + rng.choice((1, 8, 16, 256))
    return blob[:end] + blob[at:end] * rng.choice((1, 1, 7)) + blob[end:]


def spliced(rng: random.Random, blob: bytes, others: Sequence[bytes]) -> bytes:
    """Begin as one and end as another."""
    other = rng.choice(others)
    return blob[: rng.randrange(len(blob) + 1)] + other[rng.randrange(len(other) + 1) :]


def made_up(rng: random.Random, blob: bytes, _others: Sequence[bytes]) -> bytes:
    """Random bytes behind a sound beginning, or nothing else."""
    return blob[: rng.choice((0, 1, 10, 18, 26, len(blob)))] + rng.randbytes(rng.randrange(80))


ANYWHERE: tuple[Mutation, ...] = (
    *(
        flipped,
        truncated,
        overwritten,
        overwritten,
        length_claimed,
        byte_replaced,
        grown,
        cut,
        repeated,
        spliced,
        made_up,
    ),
)


def mutated(rng: random.Random, blob: bytes, others: Sequence[bytes]) -> bytes:
    """Return bytes with one to four mutations."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        blob = rng.choice(ANYWHERE)(rng, blob, others)
    return blob


def mutated_record(rng: random.Random, blob: bytes, others: Sequence[bytes]) -> bytes:
    """Return a record with mutations, mostly within or of its sections, so that the envelope around them is sound."""
    sections = sections_of(blob)
    if sections is None or rng.random() < 0.2:
        found = mutated(rng, blob, others)
        return resealed(found) if rng.random() < 0.7 else found
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(sections))
        name, section = sections[at]
        match rng.randrange(12):
            case 0:
                sections.insert(rng.randrange(1, len(sections) + 1), sections[at])
            case 1:
                other = rng.randrange(len(sections))
                sections[at], sections[other] = (name, sections[other][1]), (sections[other][0], section)
            case 2 if at > 0:
                del sections[at]
            case 3:
                foreign = sections_of(rng.choice(others)) or sections
                sections[at] = name, rng.choice(foreign)[1]
            case 4:
                sections.append(
                    (rng.choice((b"", b"later", b"tiles", b"T", b"x" * 65, b"\xff", rng.randbytes(4))), section)
                )
            case _:
                full = [place for place, (_, held) in enumerate(sections) if len(held) > 2]
                at = rng.choice(full) if full else at
                name, section = sections[at]
                sections[at] = name, mutated(rng, section, [held for _, held in sections])
    return resealed(with_sections(blob, sections))
