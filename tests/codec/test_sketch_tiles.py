"""Sketches from damaged bytes: a CodecError, or one that can be merged, read and written again; never a crash.

The library is C++ and trusts what it is given, so all that reaches it must have been judged before.
"""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from tests.codec.test_fuzz import damaged
from tests.packed import Records, features
from tests.trying import T0, H, S, batch, event, plan_of, record_of
from user_state.codec.hlls import pack_hlls, unpack_hlls
from user_state.codec.klls import pack_klls, unpack_klls
from user_state.codec.strings import EMPTY, unpack_strings
from user_state.core.hll_tiles import join_hlls, lift_hlls
from user_state.core.kll import MAX_LEVELS, Kll, capacity
from user_state.core.kll_tiles import join_klls, lift_klls
from user_state.core.plan import Plan
from user_state.errors import CodecError

PLAN = plan_of(
    features={
        "f": {
            "aggregate": ["approx_distinct", "approx_quantiles"],
            "of": "value",
            "error": 0.1,
            "quantiles": [0, 0.5, 1],
            "windows": ["1h", "lifetime"],
        },
        "g": {
            "aggregate": ["approx_distinct", "approx_quantiles"],
            "of": "amount",
            "quantiles": [0.5],
            "windows": ["1h"],
        },
    },
    allowed_lateness="2d",
)
FEW = [event(T0 + n * S, value=n / 2, amount=n) for n in range(5)]
MANY = [event(T0 - 5 * H + n * S // 9, value=n / 3 if n % 2 else float(n), amount=n) for n in range(900)]
SECTIONS = {
    "hlls": (pack_hlls, unpack_hlls, lift_hlls, join_hlls),
    "klls": (pack_klls, unpack_klls, lift_klls, join_klls),
}


def blobs_of(name: str) -> list[bytes]:
    pack = SECTIONS[name][0]
    return [pack(getattr(record_of(PLAN, e), name), PLAN.layout, [], 1)[0] for e in (FEW, MANY, [*MANY, *FEW])]


def use(name: str, tiles) -> None:
    """Fold a batch that touches every tile there may be, roll all of it up, read it, and write it again."""
    pack, unpack, lift, join = SECTIONS[name]
    events = batch(PLAN, [*FEW, *MANY[::7]])
    lifted = lift(PLAN, events, events.matches(PLAN))
    for clock_us in (T0, T0 + 400 * 24 * H):
        joined = join(PLAN, join(PLAN, tiles, tiles, np.array([clock_us])), lifted, np.array([clock_us]))
        read = Records(**{**vars(Records.empty(PLAN, 1)), name: joined})
        features(PLAN, read, clock_us)
        (blob,) = pack(joined, PLAN.layout, [], 1)
        unpack([blob], PLAN.layout, unpack_strings([EMPTY]))


@pytest.mark.slow
@pytest.mark.parametrize("name", SECTIONS)
def test_damaged_sections_are_refused_or_of_use(name):
    rng = random.Random(11)
    blobs = blobs_of(name)
    unpack = SECTIONS[name][1]
    decoded = 0
    for n in range(12_000):
        blob = rng.randbytes(rng.randrange(200)) if n % 20 == 0 else damaged(rng, rng.choice(blobs))
        try:
            tiles = unpack([blob], PLAN.layout, unpack_strings([EMPTY]))
        except CodecError:
            continue
        decoded += 1
        if decoded % 4 == 0:
            use(name, tiles)
    assert 200 < decoded < 11_000


def packed_kll(sizes: list[int], least: float, greatest: float, numbers: list[float]) -> bytes:
    """Return a section with one sketch of the first track."""
    sketch = struct.pack(f"<B{len(sizes)}H2d", len(sizes), *sizes, least, greatest)
    return struct.pack("<BIIBB", 0, 1, T0 // S, 0, 0) + sketch + struct.pack(f"<{len(numbers)}d", *numbers)


K = PLAN.klls[0].k


@pytest.mark.slow
def test_any_levels_that_fit_can_be_merged():
    """However numbers are spread over levels, up to the very last place: the library compacts them without a word."""
    rng = random.Random(12)
    seen = set()
    for _ in range(600):
        levels = rng.choice([1, 2, 5, 40, rng.randrange(1, 41)])
        total = rng.choice([2, 3, capacity(K, levels), rng.randrange(2, capacity(K, levels) + 1)])
        sizes = [0] * levels
        for _ in range(total):
            sizes[rng.choice([0, levels - 1, rng.randrange(levels)])] += 1
        if sizes[-1] == 0:
            continue
        numbers = [x for size in sizes for x in sorted(rng.choice([-1.5, 0.0, 2.0, rng.random()]) for _ in range(size))]
        blob = packed_kll(sizes, min(numbers), max(numbers), numbers)
        tiles = unpack_klls([blob], PLAN.layout, unpack_strings([EMPTY]))
        assert isinstance(tiles.sketches[0], Kll)
        use("klls", tiles)
        seen.add(levels)
    assert len(seen) > 20


GOOD = ([2, 1], 0.0, 9.0, [5.0, 1.0, 3.0])
REFUSED = {
    "no levels": ([], 0.0, 9.0, []),
    "too many levels": ([1] * (MAX_LEVELS + 1), 0.0, 9.0, [5.0] * (MAX_LEVELS + 1)),
    "one number": ([1], 5.0, 5.0, [5.0]),
    "more than fit": ([capacity(K, 2), 1], 0.0, 9.0, [5.0] * (capacity(K, 2) + 1)),
    "a number too few": ([2, 1], 0.0, 9.0, [5.0, 1.0]),
    "a number too many": ([2, 1], 0.0, 9.0, [5.0, 1.0, 3.0, 3.0]),
    "a number above the greatest": ([2, 1], 0.0, 4.0, [5.0, 1.0, 3.0]),
    "a number below the least": ([2, 1], 2.0, 9.0, [5.0, 1.0, 3.0]),
    "a number that is none": ([2, 1], 0.0, 9.0, [5.0, float("nan"), 3.0]),
    "a least that is none": ([2, 1], float("nan"), 9.0, [5.0, 1.0, 3.0]),
    "an endless greatest": ([2, 1], 0.0, float("inf"), [5.0, 1.0, 3.0]),
    "more than there is": ([2] + [1] * (MAX_LEVELS - 1), 0.0, 9.0, [5.0] * (MAX_LEVELS + 1)),
    "a highest level of none": ([3, 0], 0.0, 9.0, [5.0, 1.0, 3.0]),
    "a level out of order": ([1, 2], 0.0, 9.0, [5.0, 3.0, 1.0]),
}


@pytest.mark.parametrize("parts", REFUSED.values(), ids=REFUSED.keys())
def test_sketches_that_packing_does_not_make_are_refused(parts):
    unpack_klls([packed_kll(*GOOD)], PLAN.layout, unpack_strings([EMPTY]))
    with pytest.raises(CodecError):
        unpack_klls([packed_kll(*parts)], PLAN.layout, unpack_strings([EMPTY]))


def packed_registers(base: int, pairs: bytes, high: bytes) -> bytes:
    return struct.pack("<BIIBB", 0, 1, T0 // S, 0, 0) + bytes((base,)) + pairs + high


@pytest.mark.parametrize(
    ("base", "pairs", "high", "fine"),
    [
        (0, bytes(64), b"", True),
        (63, bytes(64), b"", True),
        (0, b"\xff" + bytes(63), b"\x0f\x3f", True),
        (64, bytes(64), b"", False),
        (60, b"\x04" + bytes(63), b"", False),
        (0, b"\xff" + bytes(63), b"\x0f\x40", False),
        (1, b"\x0f" + bytes(63), b"\x0f", False),
        (0, b"\xff" + bytes(63), b"\x0f", False),
        (0, bytes(64), b"\x0f", False),
        (0, bytes(63), b"", False),
    ],
)
def test_registers_that_packing_does_not_make_are_refused(base, pairs, high, fine):
    blob = packed_registers(base, pairs, high)
    if fine:
        use("hlls", unpack_hlls([blob], PLAN.layout, unpack_strings([EMPTY])))
    else:
        with pytest.raises(CodecError):
            unpack_hlls([blob], PLAN.layout, unpack_strings([EMPTY]))


@pytest.mark.parametrize("tracks", [1, 2, 255, 256, 257, 300])
def test_any_number_of_tracks_is_stored(tracks):
    shared = {"aggregate": ["approx_distinct", "approx_quantiles"], "of": "value", "quantiles": 0.5, "windows": "1h"}
    plan: Plan = plan_of(features={f"f{n}": {**shared, "where": {"amount": n}} for n in range(tracks)})
    events = [event(T0 + n % 9, amount=n % tracks, value=float(n)) for n in range(3 * tracks)]
    records = record_of(plan, events)
    for name, (pack, unpack, *_) in SECTIONS.items():
        held = getattr(records, name)
        back = unpack(pack(held, plan.layout, [], 1), plan.layout, unpack_strings([EMPTY]))
        np.testing.assert_array_equal(back.key, held.key)
        assert len(np.unique(held.key)) == tracks
