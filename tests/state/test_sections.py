"""Sections that no writer writes are refused, and the refusal says which section it is and what is wrong with it."""

import struct
from typing import Any

import pytest

from tests.packed import VERSION, packed
from tests.state.test_envelope import fields_of, record_with
from tests.trying import T0, event, plan_of, record_of

SKETCHED: dict[str, Any] = {"windows": ["lifetime"], "error": 0.1}
SPEC: dict[str, Any] = {
    "features": {
        "decayed": {"aggregate": "decayed_count", "half_life": ["1h", "2h"]},
        "days": {"aggregate": "day_of_week", "half_life": "1h"},
        "items": {"aggregate": "approx_distinct", "of": "item_id", **SKETCHED},
        "values": {"aggregate": "approx_quantiles", "of": "value", "quantiles": [0.5], **SKETCHED},
    },
    "embeddings": {"taste": {"kind": "decayed_mean", "of": "item_id", "dimensions": 2, "half_life": "1h"}},
}
DECAYED = struct.pack("<Bq2d", 1, T0, 1.0, 1.0)
DAYS = struct.pack("<BqBd", 1, T0, 0b100, 1.0)
TASTE = struct.pack("<Bq2d2i", 1, T0, 1.0, 0.5, 2**31 - 1, -(2**30))
LIFETIME = struct.pack("<II", 1, 0)
"""One tile, at 0."""
COUPON = 3 << 26 | 5
REGISTERS = b"\x00" + LIFETIME + b"\x00" + b"\x01" + bytes(64)
"""128 registers, all of them 1."""
KLL = struct.pack("<B8sBB2H2d9f", 2, LIFETIME, 0, 2, 1, 8, 0.0, 16.0, 0.0, *range(9, 17))
"""One number in level 0, eight in level 1."""


def tile(*items: int) -> bytes:
    return b"\x00" + LIFETIME + bytes([len(items)]) + struct.pack(f"<{len(items)}I", *items)


def values(flags: int, *numbers: float) -> bytes:
    return bytes([flags]) + LIFETIME + bytes([len(numbers)]) + struct.pack(f"<{len(numbers)}f", *numbers)


SOUND = [
    ("decays", DECAYED),
    ("profiles", DAYS),
    ("vectors", TASTE),
    ("hlls", tile(COUPON, COUPON + 1)),
    ("hlls", REGISTERS),
    ("klls", values(2, -1.0, 2.5, 2.5)),
    ("klls", KLL),
]
REFUSED = [
    ("decays", b"\x02" + DECAYED[1:], "invalid mark of a part"),
    ("decays", struct.pack("<Bq2d", 1, 0, 1.0, 1.0), "invalid time of the newest event"),
    ("decays", struct.pack("<Bq2d", 1, 2**62, 1.0, 1.0), "invalid time of the newest event"),
    ("decays", DECAYED[:-1], "cut off"),
    ("profiles", struct.pack("<BqBd", 1, -1, 0b100, 1.0), "invalid time of the newest event"),
    ("profiles", struct.pack("<BqBd", 1, T0, 0x80, 1.0), "a bin that there is not"),
    ("profiles", struct.pack("<BqBd", 1, T0, 0b100, -1.0), "a sum is negative or too large"),
    ("profiles", struct.pack("<BqBd", 1, T0, 0b100, float("nan")), "a sum is negative or too large"),
    ("profiles", struct.pack("<BqBd", 1, T0, 0b100, 0.0), "a bin in the mask holds nothing"),
    ("vectors", struct.pack("<Bq2d2i", 1, 0, 1.0, 0.5, 1, 1), "invalid time of the newest event"),
    ("vectors", struct.pack("<Bq2d2i", 1, T0, -1.0, 0.5, 1, 1), "a weight is negative or too large"),
    ("vectors", struct.pack("<Bq2d2i", 1, T0, 1.0, float("inf"), 1, 1), "a component is not finite"),
    ("vectors", struct.pack("<Bq2d2i", 1, T0, 1.0, 2.0, 2**31 - 1, 1), "an embedding is longer than its weight"),
    ("hlls", b"\x02" + REGISTERS[1:], "invalid flags"),
    ("hlls", tile(5), "a coupon has no value"),
    ("hlls", tile(COUPON, COUPON), "coupons are not in order"),
    ("hlls", REGISTERS[:10] + b"\x40" + REGISTERS[11:], "a register is too large"),
    ("hlls", REGISTERS[:11] + b"\x0f" + REGISTERS[12:] + b"\x0f", "a register need not be among the high ones"),
    ("hlls", REGISTERS[:10] + b"\x3f" + b"\x01" + REGISTERS[12:], "a register is too large"),
    ("hlls", REGISTERS + b"\x00", "longer than its columns"),
    ("klls", b"\x04" + values(2, 1.0)[1:], "invalid flags"),
    ("klls", values(2, 2.0, 1.0), "values of a tile are not in order"),
    ("klls", values(2, 1.0, float("inf")), "values of a tile are not in order"),
    ("klls", KLL[:10] + b"\x00" + KLL[15:31], "a sketch has no levels, or too many"),
    ("klls", KLL.replace(struct.pack("<d", 16.0), struct.pack("<d", 15.0)), "numbers below its least or above its"),
    ("klls", KLL.replace(struct.pack("<2f", 9, 10), struct.pack("<2f", 10, 9)), "levels of a sketch are not in order"),
    ("klls", KLL.replace(struct.pack("<2d", 0, 16), struct.pack("<2d", 0, float("nan"))), "no least or no greatest"),
]


def read(section: str, taken: bytes) -> tuple[bytes | None, dict[int, str]]:
    """Return the section of a record as it is written anew, and what is wrong with it."""
    plan = plan_of(**SPEC)
    fields = fields_of(record_of(plan, [event(T0)]).blobs[0] or b"")
    fields["sections"][section] = taken
    [made], wrong = packed(plan).merge([record_with(fields)], [None], [VERSION])
    return (None if made is None else fields_of(made)["sections"].get(section, b"")), wrong


@pytest.mark.parametrize(("section", "taken"), SOUND)
def test_sound_sections_are_written_as_they_were(section: str, taken: bytes) -> None:
    """Which shows that those below are refused for what is said, and for nothing else."""
    assert read(section, taken) == (taken, {})


@pytest.mark.parametrize(("section", "taken", "why"), REFUSED)
def test_a_refusal_says_what_is_wrong_with_which_section(section: str, taken: bytes, why: str) -> None:
    made, wrong = read(section, taken)
    assert (made, list(wrong)) == (None, [0])
    assert section in wrong[0]
    assert why in wrong[0]
