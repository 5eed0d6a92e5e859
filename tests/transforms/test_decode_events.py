"""What ends where it is decoded: acknowledged, counted in its bin, or a dead letter that says why."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from transforms import counters, decode_events
from transforms.decode_events import DEAD, _DecodeFn
from transforms.packet import unpack_dead
from transforms.pull import Pull, PullCoder
from user_state.events.avro_files import SingleObject, interaction_schema
from user_state.events.message import Message
from user_state.events.segments import Refusal, Why
from user_state.spec import parse_spec
from user_state.state.event_batch import EventBatch

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
NOW_US = 20_000 * DAY_US
SPEC = """
name: tried
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time, published: published_at}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
features: {views: {aggregate: count, where: {action: view}, windows: lifetime}}
"""
BODIES = SingleObject(interaction_schema())


@pytest.fixture
def decode(monkeypatch: pytest.MonkeyPatch) -> _DecodeFn:
    """Decodes at NOW_US, by this machine's clock."""
    monkeypatch.setattr(decode_events.time, "time_ns", lambda: NOW_US * 1000)
    made = _DecodeFn(parse_spec(SPEC, beside=Path(), name="spec"), 4, 0, None)
    made.setup()
    made.start_bundle()
    return made


def message(
    event_id: str, time_us: int, publish_us: int | None = None, published_at: int | None = None, action: str = "view"
) -> Message:
    event = {"event_id": event_id, "user_id": "u", "item_id": "i", "action": action, "event_time": time_us}
    body = BODIES.encode({**event, "published_at": published_at, "value": None, "category": None})
    return Message(body, {}, publish_us, f"ack-{event_id}", "somewhere")


def outcome(decode: _DecodeFn, pull: list[Message]) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """Return the ack ids of what goes on, and (reason, detail) of the dead letters by theirs."""
    outputs = list(decode.process(pull if isinstance(pull, Pull) else Pull(pull)))
    batch = EventBatch.join(decode._plan, [output[1] for output in outputs if isinstance(output, tuple)])
    letters = [one for output in outputs if getattr(output, "tag", None) == DEAD for one in unpack_dead(output.value)]
    passed = [str(batch.message(at)[3]) for at in range(len(batch))]
    return passed, {str(letter.message.ack_id): (letter.reason, letter.detail) for letter in letters}


def test_a_publish_time_ahead_of_the_clock_is_refused_whichever_it_is(decode):
    limit_us = NOW_US + 300 * SECOND_US
    passed, dead = outcome(
        decode,
        [
            message("of the message", NOW_US, limit_us),
            message("of the message, later", NOW_US, limit_us + 1),
            message("of the field", NOW_US, None, limit_us),
            message("of the field, later", NOW_US, None, limit_us + 1),
            message("of the event", limit_us),
            message("of the event, later", limit_us + 1),
            message("2099", 4_070_908_800 * SECOND_US),
            message("of the field, but the message has one", NOW_US, NOW_US, limit_us + DAY_US),
        ],
    )
    assert passed == [
        *("ack-of the message", "ack-of the field", "ack-of the event"),
        "ack-of the field, but the message has one",
    ]
    assert {name: reason for name, (reason, _) in dead.items()} == dict.fromkeys(
        ("ack-of the message, later", "ack-of the field, later", "ack-of the event, later", "ack-2099"), "from_future"
    )
    days = (4_070_908_800 * SECOND_US - NOW_US) // DAY_US
    assert dead["ack-2099"][1].startswith(f"the publish time is {days}d ahead of this machine's clock")


def test_what_is_older_than_the_retention_is_acknowledged_and_counted_and_goes_no_further(decode, monkeypatch):
    acknowledged: list[str | None] = []
    monkeypatch.setattr(decode_events, "acknowledge_ids", lambda ids: acknowledged.extend(ids.get("somewhere", ())))
    counters.reset()
    edge_us = NOW_US - 90 * DAY_US
    passed, dead = outcome(
        decode,
        [
            message("at the edge", edge_us),
            message("just before", edge_us + 1),
            message("years ago", NOW_US - 2000 * DAY_US),
            message("years ago and not wanted", NOW_US - 2000 * DAY_US, action="skip"),
        ],
    )
    assert (passed, dead, acknowledged) == (["ack-just before"], {}, [])

    decode.finish_bundle()

    assert acknowledged == ["ack-at the edge", "ack-years ago", "ack-years ago and not wanted"]
    counted = counters.so_far()
    assert (counted["read"], counted["expired"], counted["ignored"]) == (4, 2, 1)
    assert {n: v for n, v in counted.items() if n.startswith("expired_")} == {
        "expired_needing_180d": 1,
        "expired_needing_3650d": 1,
    }


def test_the_clock_is_asked_once_a_pull(decode, monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(decode_events.time, "time_ns", lambda: asked.append(1) or NOW_US * 1000)
    pull = [message(str(number), NOW_US) for number in range(100)]
    assert len(outcome(decode, pull)[0]) == 100
    assert len(asked) == 1
    assert time.time_ns is decode_events.time.time_ns


def test_what_a_source_refuses_is_counted_as_read_and_becomes_a_dead_letter(decode):
    sent = Pull([message("1", NOW_US)])
    sent.refused = [Refusal(message("2", NOW_US), Why("invalid", "column at: expected a time"))]
    passed, dead = outcome(decode, sent)
    assert len(passed) == 1
    assert dead == {"ack-2": ("invalid", "column at: expected a time")}
    again = PullCoder().decode(PullCoder().encode(sent))
    assert (list(again), again.refused) == (list(sent), sent.refused)
