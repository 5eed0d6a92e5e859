"""Batches as bytes: round trips, joins, any bytes are a batch or the one error, and what a message costs on its way."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tests.random_worlds import QUICK
from tests.trying import T0, batch_of, event, plan_of
from user_state.errors import CodecError
from user_state.events.message import Message
from user_state.plan.state_definitions import Field
from user_state.state.event_batch import EventBatch, MessageList, all_ack_ids, batch_size
from user_state.state.events import Events, ListColumn

WHERE = {"item_id": "a", "value": 0.0, "amount": 0, "bought": True, "action": "x"}
PLAN = plan_of(features={"f": {"aggregate": "count", "windows": ["1h"], "where": WHERE}})
TEXTS = (None, "", "a", "view", "é\U0001f389", "x" * 300, "\0")
ORIGINS = ("projects/p/subscriptions/s", "a file \udcff that is no UTF-8", "")
FIELDS = struct.calcsize("<BBIIII")


def some(rng: random.Random, size: int) -> tuple[list[dict[str, Any]], list[Message]]:
    events = [
        event(
            T0 + rng.randrange(-(10**9), 10**9),
            rng.choice(("u", "v", "é" * 100, "w" * 16, "w" * 17)),
            action=rng.choice(TEXTS),
            item_id=rng.choice(TEXTS),
            value=rng.choice((None, 0.0, -0.0, 1.5, -1e300)),
            amount=rng.choice((None, 0, 2**63 - 1, -(2**63) + 1)),
            bought=rng.choice((None, True, False)),
        )
        for _ in range(size)
    ]
    messages = [
        Message(
            rng.randbytes(rng.randrange(40)),
            rng.choice(({}, {}, {"a": "b"}, {"é": "", "": "\U0001f389" * 90})),
            rng.choice((None, T0)),
            rng.choice((None, "", f"ack-{n}")),
            rng.choice(ORIGINS),
        )
        for n in range(size)
    ]
    return events, messages


def messages_of(batch: EventBatch) -> list[Message]:
    return [Message(*batch.message(row)) for row in range(len(batch))]


def same(found: Events, expected: Events) -> None:
    """Equal but for the numbers of users and texts."""
    assert [found.users[n] for n in found.user] == [expected.users[n] for n in expected.user]
    for name in ("id_hash", "time_us", "published_us"):
        assert_array_equal(getattr(found, name), getattr(expected, name))
    for kind, mine, theirs in zip(PLAN.kinds, found.columns, expected.columns, strict=True):
        assert mine.dtype == theirs.dtype
        if kind == "s":
            assert found.pool.objects[mine].tolist() == expected.pool.objects[theirs].tolist()
        else:
            assert mine.tobytes() == theirs.tobytes()
    for names in (found.users, found.pool.texts):
        assert len(set(names)) == len(names)


@given(st.randoms(use_true_random=False), st.integers(0, 40))
@settings(QUICK, max_examples=100)
def test_a_batch_that_was_packed_in_parts_and_joined_is_the_same(rng: random.Random, size: int) -> None:
    events, messages = some(rng, size)
    whole = batch_of(PLAN, events, messages)
    part = np.array([rng.randrange(3) for _ in range(size)], np.int64)
    order = np.concatenate([np.flatnonzero(part == n) for n in range(3)])
    packets = [whole.pack(np.flatnonzero(part == n)) for n in range(3)]
    assert [batch_size(packet) for packet in packets] == [int((part == n).sum()) for n in range(3)]

    joined = EventBatch.join(PLAN, packets)

    same(Events.of_batch(joined), Events.of_batch(whole).take(order))
    assert messages_of(joined) == [messages[at] for at in order]
    assert EventBatch.join(PLAN, [joined.pack()]).pack() == joined.pack()
    assert joined.has_ack_id().tolist() == [messages[at].ack_id is not None for at in order]


@given(st.randoms(use_true_random=False), st.integers(1, 40), st.sampled_from([1, 3, 8]))
@settings(QUICK, max_examples=50)
def test_shards_and_users_get_what_is_theirs_in_order(rng: random.Random, size: int, shards: int) -> None:
    events, messages = some(rng, size)
    whole = batch_of(PLAN, events, messages)
    chosen = np.flatnonzero([rng.random() < 0.7 for _ in range(size)])
    expected: dict[int, list[Message]] = {}
    of_user: dict[str, list[Message]] = {}
    for at in chosen.tolist():
        user = events[at]["user_id"]
        expected.setdefault(xxhash.xxh64_intdigest(user.encode()) % shards, []).append(messages[at])
        of_user.setdefault(user, []).append(messages[at])
    for packed, theirs in ((whole.pack_by_shard(chosen, shards), expected), (whole.pack_by_user(chosen), of_user)):
        assert [(key, messages_of(EventBatch.join(PLAN, [packet]))) for key, packet in packed] == list(theirs.items())


def test_acknowledgement_ids_are_those_of_messages_that_have_one_by_origin() -> None:
    messages = [Message(b"", {}, T0, f"ack-{n}" if n % 3 else None, "one" if n < 4 else "two") for n in range(8)]
    batch = batch_of(PLAN, [event() for _ in messages], messages)
    assert batch.ack_ids(np.arange(8)) == {"one": ["ack-1", "ack-2"], "two": ["ack-4", "ack-5", "ack-7"]}
    assert batch.ack_ids(np.array([5, 0, 1])) == {"two": ["ack-5"], "one": ["ack-1"]}
    assert all_ack_ids(PLAN, batch.pack(np.array([2]))) == {"one": ["ack-2"]}


@pytest.mark.slow
@given(st.randoms(use_true_random=False))
@settings(QUICK, max_examples=300)
def test_any_bytes_are_a_batch_or_the_one_error(rng: random.Random) -> None:
    events, messages = some(rng, rng.randrange(6))
    packed = bytearray(batch_of(PLAN, events, messages).pack())
    for _ in range(20):
        damaged = bytearray(packed)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(damaged)) if damaged else 0
            match rng.randrange(4):
                case 0:
                    del damaged[at:]
                case 1:
                    damaged[at : at + 1] = rng.randbytes(1)
                case 2:
                    damaged[at:at] = rng.randbytes(rng.randrange(1, 9))
                case 3:
                    damaged[at : at + 4] = struct.pack("<I", rng.choice((0, 1, 2**31, 2**32 - 1)))
        try:
            batch = EventBatch.join(PLAN, [bytes(packed), bytes(damaged)])
            assert len(Events.of_batch(batch)) == len(batch)
            for row in range(len(batch)):
                with suppress(CodecError):  # of a message's attributes it is found out when they are opened
                    batch.message(row)
        except CodecError as exc:
            assert "expected a packed batch of events of this plan" in str(exc)  # noqa: PT017 - or none is raised


def test_a_batch_of_another_plan_is_refused() -> None:
    with pytest.raises(CodecError, match="expected a packed batch of events of this plan, got other or damaged bytes"):
        EventBatch.join(plan_of(), [batch_of(PLAN, [event()]).pack()])
    for bad in (b"", b"\x01", b"\x01" + batch_of(PLAN, [event()]).pack()[1:], batch_of(PLAN, [event()]).pack() + b"\0"):
        with pytest.raises(CodecError):
            EventBatch.join(PLAN, [bad])


def test_counts_that_lie_cost_no_memory() -> None:
    packed = batch_of(PLAN, [event()]).pack()
    tracemalloc.start()
    for at in range(2, FIELDS, 4):
        for count in (2**20, 2**31, 2**32 - 1):
            with pytest.raises(CodecError):
                EventBatch.join(PLAN, [packed[:at] + struct.pack("<I", count) + packed[at + 4 :]])
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_texts_of_no_bytes_are_no_more_than_there_are_events() -> None:
    """A length of 0 takes no byte, so a count of them that lies would cost memory that no byte stands for."""
    packed = batch_of(PLAN, [event(action=None, item_id=None)] * 3).pack()
    at = 2 + 2 * 4
    assert packed[at : at + 4] == struct.pack("<I", 0)
    assert len(EventBatch.join(PLAN, [packed[:at] + struct.pack("<I", 3) + packed[at + 4 :]])) == 3
    with pytest.raises(CodecError):
        EventBatch.join(PLAN, [packed[:at] + struct.pack("<I", 4) + packed[at + 4 :]])


def test_the_bytes_are_as_documented() -> None:
    """Two events of one user, taken apart by hand."""
    messages = [Message(b"body", {"a": "b"}, T0, "ack", "s"), Message(b"", {}, None, None, "s")]
    plan = plan_of(features={"f": {"aggregate": "count", "windows": ["1h"], "where": {"action": "x", "value": 0.0}}})
    batch = batch_of(plan, [event(T0, "u", "i"), event(T0 + 1, "u", "j", action=None, value=1.5)], messages)
    text, number = (plan.kinds.index(kind) for kind in "sf")
    columns = {text: b"\x01\x01\x00", number: struct.pack("<dd", float("nan"), 1.5)}
    assert batch.pack() == (
        b"\x02\x02"
        + struct.pack("<IIII", 2, 1, 1, 1)
        + bytes({text: 0, number: 1}[at] for at in range(2))
        + struct.pack("<QQ", *(xxhash.xxh64_intdigest(one) for one in (b"i", b"j")))
        + struct.pack("<qq", T0, T0 + 1) * 2
        + b"\x00"
        + columns[0]
        + columns[1]
        + (b"\x01\x01" + b"u")
        + (b"\x01\x04" + b"view")
        + b"\x01\x03\x00"
        + b"\x00"
        + (b"\x01\x01" + b"s")
        + (b"\x01\x04\x00" + b"body")
        + (b"\x01\x06\x00" + b"\x02\x02a\x02b\x00")
        + (b"\x01\x03\x00" + b"ack")
    )


def test_texts_that_are_made_to_meet_in_a_table_cost_no_more_than_others() -> None:
    """Nobody can aim at a hash whose key each process draws: texts that differ in a few bits, or by whole words."""
    size = 20_000
    usual = [Message(b"", {}, T0, None, "") for _ in range(size)]
    rng = random.Random(1)
    alike = [f"{'z' * 56}{n << 20:016x}" for n in range(size)]
    other = [f"{rng.getrandbits(256):064x}" + "z" * 8 for _ in range(size)]
    taken = {}
    for name, users in (("alike", alike), ("other", other)):
        packed = batch_of(PLAN, [event(T0, user) for user in users], usual).pack()
        began = time.process_time()
        for _ in range(5):
            assert len(EventBatch.join(PLAN, [packed])) == size
        taken[name] = time.process_time() - began
    assert taken["alike"] < 10 * taken["other"]


def test_messages_are_looked_at_and_kept_but_not_copied() -> None:
    body = bytes(1 << 20)
    tracemalloc.start()
    listed = MessageList.of_messages([Message(body, {}, None, None, "") for _ in range(100)])
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert listed.message(99) == (body, {}, None, None, "")
    with pytest.raises(IndexError):
        listed.message(100)
    for bad in (None, 1, ("too", "few"), (None, {}, None, None, "")):
        with pytest.raises(TypeError):
            MessageList.of_messages([bad])  # type: ignore[list-item]


def test_lists_travel_with_their_events_in_any_order() -> None:
    plan = replace(plan_of(), fields=(Field("tags", "strings"), Field("sizes", "ints"), Field("shares", "floats")))
    lists: list[list[Any]] = [[["a", "b", "a"], [1], []], [[], [], [0.5, -1.0]], [["b"], [2**62, -3], []]]
    rows = [("u", number, T0, T0, *listed) for number, listed in enumerate(lists)]
    events = Events.from_rows(plan, rows)
    assert [lists_in(events, field) for field in range(3)] == [list(column) for column in zip(*lists, strict=True)]
    taken = events.take(np.array([2, 0]))
    assert [lists_in(taken, field) for field in range(3)] == [[lists[2][n], lists[0][n]] for n in range(3)]
    assert events.has(plan, 0).tolist() == [True, False, True]


def lists_in(events: Events, field: int) -> list[list[Any]]:
    column = events.columns[field]
    assert isinstance(column, ListColumn)
    values: list[Any] = column.values.tolist()
    if field == 0:
        values = [events.pool.texts[code] for code in values]
    return [values[begin:end] for begin, end in pairwise(column.ends.tolist())]
