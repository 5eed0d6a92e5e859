"""What would help against dead letters: each hint where it is right, and not where it is not."""

import json
from dataclasses import replace

import pytest

from tests.trying import T0, D, H, M, S, event, spec_of, text_of
from user_state.dead_letters.hints import hints, time_attribute, times_of
from user_state.dead_letters.letters import Letter
from user_state.events.avro_files import SingleObject
from user_state.events.decode import EventDecoder
from user_state.events.message import Message
from user_state.plan.compile import compile_plan
from user_state.spec import parse_spec
from user_state.spec.bodies import Bodies
from user_state.spec.event_field import UNITS

SPEC = spec_of()  # a lateness of an hour, a skew of a minute
BODIES = SingleObject(SPEC.schema.original)


def letter(event_us, published_us, *, dead_us=T0, attributes=None, reason="too_late", **fields):
    body = BODIES.encode(event(event_us, **fields))
    return Letter(body, attributes or {}, published_us, reason, "why", "projects/p/subscriptions/s", dead_us)


@pytest.mark.parametrize(
    ("gap_us", "attributes", "expected"),
    [
        (
            2 * H,
            {},
            "publish times are 2h after event times, more than `allowed_lateness` (1h): a longer one",
        ),
        (9 * 365 * D, {}, "publish times are 9 years after event times: history? no attribute of these messages holds"),
        (40 * D, {"ts": str((T0 - 40 * D) // 1000)}, "history? --publish_time_attribute ts"),
        (40 * D, {"ts": "2021-11-29T00:00:00Z"}, "history? --publish_time_attribute ts"),
        (40 * D, {"ts": str(T0 // 1000)}, "history? no attribute of these messages holds"),
        (40 * D, {"id": "123456"}, "history? no attribute of these messages holds"),
        (30 * M, {}, "these events came after events of the same users that were published later"),
    ],
)
def test_events_that_are_too_late(gap_us, attributes, expected):
    letters = [letter(T0 - gap_us - n * S, T0, attributes=attributes) for n in range(5)]
    (hint,) = hints(SPEC, "too_late", letters)
    assert expected in hint


@pytest.mark.parametrize(
    ("ahead_us", "dead_us", "expected"),
    [
        (2 * H, T0, "event times are 2h after publish times, a local time that is 2 h ahead of UTC?"),
        (2 * H + 20 * M, T0, "event times are 2h after publish times: a wrong clock?"),
        (2 * H, T0 - 3 * D, "publish times are 3d ahead of the reading machine's clock"),
    ],
)
def test_events_from_the_future(ahead_us, dead_us, expected):
    letters = [letter(T0 + ahead_us, T0, dead_us=dead_us, reason="from_future") for _ in range(3)]
    (hint,) = hints(SPEC, "from_future", letters)
    assert expected in hint


@pytest.mark.parametrize(("unit", "name"), [(1_000_000, "seconds"), (1000, "milliseconds")])
def test_times_in_another_unit_than_the_schema_says(unit, name):
    letters = [letter(T0 // unit, None, reason="invalid")]
    assert hints(SPEC, "invalid", letters) == [f"values of event_time look like {name}; the schema says microseconds"]


@pytest.mark.parametrize(
    ("logical", "stated", "written", "said"),
    [
        (None, "us", "ms", "look like milliseconds; `events.time_unit` says microseconds"),
        (None, "s", "ns", "look like nanoseconds; `events.time_unit` says seconds"),
        ("timestamp-nanos", None, "s", "look like seconds; the schema says nanoseconds"),
        ("timestamp-millis", None, "us", "look like microseconds; the schema says milliseconds"),
    ],
)
def test_times_in_another_unit_inside_a_record(tmp_path, logical, stated, written, said):
    at = {"type": "long", **({"logicalType": logical} if logical else {})}
    inner = {"type": "record", "name": "Meta", "fields": [{"name": "at", "type": at}]}
    texts = [{"name": name, "type": "string"} for name in ("event_id", "user")]
    schema = {"type": "record", "name": "E", "fields": [*texts, {"name": "meta", "type": inner}]}
    (tmp_path / "e.avsc").write_text(json.dumps(schema))
    events = {"schema": "e.avsc", "user": "user", "id": "event_id", "time": "meta.at"}
    text = text_of(events={**events, **({"time_unit": stated} if stated else {})})
    value = {"event_id": "e", "user": "u", "meta": {"at": T0 * 1000 // UNITS[written]}}
    plain = {
        **schema,
        "fields": [*texts, {"name": "meta", "type": {**inner, "fields": [{"name": "at", "type": "long"}]}}],
    }
    body = b"".join((SingleObject(schema).header, SingleObject(plain).encode(value)[10:]))
    (hint,) = hints(parse_spec(text, beside=tmp_path), "invalid", [Letter(body, {}, T0, "invalid", "why", "s", T0)])
    assert hint == f"values of meta.at {said}"


def test_nothing_is_guessed_of_times_that_are_right():
    assert hints(SPEC, "invalid", [letter(T0, None, user="", reason="invalid")]) == []


def test_bodies_of_json_of_a_foreign_schema_and_damaged_ones():
    def of(body):
        return Letter(body, {}, T0, "undecodable", "why", "s", T0)

    body = BODIES.encode(event(T0))
    (json_hint,) = hints(SPEC, "undecodable", [of(json.dumps({"a": n}).encode()) for n in range(3)])
    assert "the bodies look like JSON" in json_hint
    (foreign,) = hints(SPEC, "undecodable", [of(b"\xc3\x01abcdefgh" + body[10:])] * 3)
    assert "which the spec does not name: add that schema to `events.versions`" in foreign
    (damaged,) = hints(SPEC, "undecodable", [of(body[:-1])] * 3)
    assert "most bodies name a schema of the spec and are damaged" in damaged
    assert hints(SPEC, "undecodable", [of(b"\x05\x06\x07")]) == []


def test_the_member_of_json_bodies_that_is_refused_most_often_is_named():
    spec = replace(SPEC, schema=replace(SPEC.schema, bodies=Bodies("json")))
    sound = event(T0)
    decoder = EventDecoder(compile_plan(spec), spec.schema)

    def letter_of(**changed):
        body = json.dumps({**sound, **changed}).encode()
        refused = decoder.batch([Message(body, {}, None, None, "s")]).refused
        return Letter(body, {}, T0, "undecodable", refused[0][1].detail if refused else "", "s", T0)

    letters = [letter_of(value="1,5"), letter_of(value="2,5"), letter_of(user_id=7)]
    said = "2 of 3 looked at: field value: expected null or a number that a double holds, got a text"
    assert hints(spec, "undecodable", letters) == [f"{said}; does the schema say what is sent?"]
    assert decoder.decode(json.dumps(sound).encode())["user_id"] == "u"


@pytest.mark.parametrize("reason", ["hot_user", "oversized", "bad_record"])
def test_every_other_reason_has_a_hint_and_an_unknown_one_has_none(reason):
    assert len(hints(SPEC, reason, [])) == 1
    assert hints(SPEC, "of a later release", []) == []


def test_an_attribute_that_only_some_letters_have_is_not_named():
    letters = [letter(T0, T0, attributes={"ts": str(T0)}), letter(T0, T0)]
    assert time_attribute(letters[:1], times_of(SPEC, letters[:1])) == "ts"
    assert time_attribute(letters, times_of(SPEC, letters)) is None
