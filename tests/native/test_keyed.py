"""Numbers by key, tiled and decayed: compiled folding of tiles that are cut and rolled up, and of bytes gone bad."""

import random

import pytest

from tests.codec.test_fuzz import damaged
from tests.native.both import Both
from tests.trying import T0, VERSION, D, H, M, S, event, plan_of, row, spec_of
from user_state.codec.record import MARKER, open_record
from user_state.core.events import EventRow
from user_state.core.plan import Plan
from user_state.events.decode import EventDecoder

WINDOWS = ["10m", "1d", "lifetime"]
WEIGHTS = {"view": 1.0, "like": 2.5, "sh\u00e4re": 0.3}
ITEMS = [None, "a", "b", "c\u0000", "\u00e9", "\u6f22", "\U0001f389", *(f"item {n}" for n in range(12))]
AMOUNTS = [None, 0, 1, -1, 7, -300, 2**63 - 1, -(2**63) + 1]


def keyed_plan() -> Plan:
    """Keys of every kind, one, two and three together, in few tiles of few keys."""
    tiled = {"windows": WINDOWS, "keys": 3}
    return plan_of(
        features={
            "items": {"aggregate": ["count_by", "sum_by"], "by": "item_id", "of": "value", **tiled},
            "amounts": {"aggregate": "count_by", "by": "amount", **tiled},
            "pairs": {"aggregate": "mean_by", "by": ["amount", "action"], "of": "value", **tiled},
            "triples": {"aggregate": "count_by", "by": ["bought", "item_id", "amount"], **tiled},
            "plenty": {"aggregate": "count_by", "by": "item_id", "windows": ["lifetime"], "keys": 1000},
            "fading": {"aggregate": "decayed_count_by", "by": "item_id", "half_life": ["1h", "7d"], "keys": 3},
            "mixed": {"aggregate": "decayed_count_by", "by": ["action", "amount"], "half_life": "1d", "keys": 4},
            "flags": {
                "aggregate": "decayed_count_by",
                "by": ["bought", "amount", "item_id"],
                "half_life": "10m",
                "keys": 1000,
                "where": {"action": ["like", "view"]},
            },
        },
        embeddings={"e": {"kind": "recent_items", "of": "item_id", "weights": WEIGHTS, "half_life": "3h", "k": 4}},
    )


def some_rows(plan: Plan, rng: random.Random, at_us: int, size: int, users: int = 2) -> list[EventRow]:
    """Events of few users, up to a day late; times are odd, so that nothing decays to what another does."""
    decoder = EventDecoder(plan, spec_of().schema)
    made = [
        event(
            at_us - rng.choice([0, 0, 0, rng.randrange(D)]),
            f"u{rng.randrange(users)}",
            action=rng.choice(["view", "like", "sh\u00e4re", "skip"]),
            item_id=rng.choice(ITEMS),
            # Of one sign: what cancels out would leave nothing but the order in which it was added.
            value=rng.choice([None, rng.randrange(1, 800) / 8]),
            amount=rng.choice(AMOUNTS),
            bought=rng.choice([None, True, False]),
        )
        for _ in range(size)
    ]
    return [decoder.row(one, at_us) for one in made]


@pytest.mark.parametrize("seed", range(4))
def test_random_batches(seed: int) -> None:
    rng = random.Random(seed)
    plan = keyed_plan()
    both = Both(plan)
    at_us = T0
    for _ in range(25):
        at_us += rng.choice([rng.randrange(1, S), rng.randrange(1, 10 * M), rng.randrange(1, 2 * D)])
        both.fold(some_rows(plan, rng, at_us, rng.choice([1, 1, 1, 2, 9, 40])))


def test_equally_heavy_keys_are_cut_alike() -> None:
    """More keys than are kept, all of one weight: numpy may know them in another order than bytes have them."""
    plan = keyed_plan()
    both = Both(plan)
    for items in (["b", "a", "d", "c"], ["\u00e9", "e"], ["z", "a", "0", "b"]):
        both.fold([row(plan, event(T0 + H, item_id=item, amount=1, value=1.5, bought=True)) for item in items])


def test_a_key_forgotten_after_a_thousand_half_lives() -> None:
    plan = keyed_plan()
    both = Both(plan)
    both.fold([row(plan, event(T0, item_id="a", amount=1, bought=True))])
    both.fold([row(plan, event(T0 + 45 * D, item_id="b", amount=2, bought=True))])
    both.fold([row(plan, event(T0, item_id="c", amount=3, bought=True), T0 + 46 * D)])


@pytest.mark.slow
def test_damaged_bytes_are_refused_or_taken_alike() -> None:
    rng = random.Random(7)
    plan = keyed_plan()
    both = Both(plan)
    blobs = []
    for count in (1, 3, 60, 400):
        both.fold(some_rows(plan, rng, T0 + count * H + rng.randrange(M), count, users=1))
        blobs.append(both.stored["u0"])
    rows = some_rows(plan, rng, T0 + 401 * H, 1, users=1)
    refused = 0
    tries = 500
    for _ in range(tries):
        outer = open_record(rng.choice(blobs))
        sections = list(outer.sections)
        at = rng.choice([0, len(sections) - 2, len(sections) - 1, len(sections) - 2, len(sections) - 1])
        sections[at] = damaged(rng, sections[at])
        refused += both.refuses(packed(plan, outer.longs, sections), rows)
    assert tries // 2 < refused < tries - 20


def packed(plan: Plan, longs: tuple[int, ...], sections: list[bytes]) -> bytes:
    """Return the record whose sections these are."""
    parts = [b"".join((varint(len(section)), section)) for section in sections]
    return b"".join((MARKER, VERSION, plan.layout.fingerprint, *map(varint, longs), *parts))


def varint(value: int) -> bytes:
    """Return an Avro long that is not negative."""
    left = value << 1
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes((*out, left))
