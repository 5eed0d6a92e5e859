"""Every dead letter can be published: at and beyond each limit of Pub/Sub, and on a real emulator."""

import uuid
from concurrent.futures import Future

import pytest
from google.api_core.exceptions import InvalidArgument

from tests.servers.pubsub import PubSubEmulator
from transforms.dead_letter_sinks import open_sink
from transforms.letter_forms import (
    CUT,
    DETAIL,
    ORIGIN,
    PACKED,
    REASON,
    REQUEST_BYTES,
    Outgoing,
    cut_text,
    forms,
    opened,
)
from transforms.packet import DeadLetter
from user_state.events.message import Message

TOPIC = "projects/local-dev/topics/dead"
OURS = {REASON, DETAIL, ORIGIN}


def letter(data: bytes = b"\xff", attributes: dict[str, str] | None = None, origin: str = "projects/p/subscriptions/s"):
    return DeadLetter(Message(data, attributes or {}, 5, "ack", origin), "undecodable", "no event")


def many(number: int) -> dict[str, str]:
    return {f"a{n}": str(n) for n in range(number)}


def best(one: DeadLetter) -> Outgoing:
    return next(forms(one, TOPIC, 7))


def kind(form: Outgoing) -> str:
    if PACKED in form.attributes:
        return "packed"
    if CUT in form.attributes:
        return "cut"
    return "plain" if form.attributes.keys() >= OURS else "bare"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, "plain"),
        (many(97), "plain"),
        (many(98), "packed"),
        (many(100), "packed"),
        (many(1000), "packed"),
        ({"k" * 256: "v" * 1024}, "plain"),
        ({"k" * 257: "v"}, "packed"),
        ({"\u00e9" * 129: "v"}, "packed"),
        ({"k": "v" * 1025}, "packed"),
        ({"k": "\u00e9" * 513}, "packed"),
        ({"": "v"}, "packed"),
        ({REASON: "theirs"}, "packed"),
        ({PACKED: "theirs"}, "packed"),
        ({"topic": "theirs"}, "packed"),
        ({"timeout": "5"}, "packed"),
        ({"ordering_key": "5", "self": "me", "data": "d", "retry": "r"}, "packed"),
        ({"googclient_deliveryattempt": "3"}, "plain"),
    ],
)
def test_attributes_are_beside_the_body_as_long_as_pubsub_takes_them_and_come_back_as_they_were(attributes, expected):
    form = best(letter(attributes=attributes))
    assert kind(form) == expected
    assert form.attributes.keys() >= OURS
    back = opened(form.data, form.attributes)
    assert back.data == b"\xff"
    assert back.attributes == {k: v for k, v in attributes.items() if expected == "packed" or not k.startswith("goog")}


def size_of(form: Outgoing) -> int:
    from google.pubsub_v1 import PublishRequest, PubsubMessage

    message = PubsubMessage(data=form.data, attributes=form.attributes)
    return PublishRequest.pb(PublishRequest(topic=TOPIC, messages=[message])).ByteSize()


def test_a_body_that_fits_to_the_byte_has_ours_beside_it_and_one_more_byte_goes_without():
    beside = size_of(best(letter(b"\0" * (REQUEST_BYTES - 10_000)))) - (REQUEST_BYTES - 10_000)
    alone = size_of(Outgoing(b"\0" * (REQUEST_BYTES - 10_000), {})) - (REQUEST_BYTES - 10_000)
    for room, expected in ((beside, "plain"), (beside - 1, "bare"), (alone, "bare"), (alone - 1, "cut")):
        form = best(letter(b"\0" * (REQUEST_BYTES - room)))
        assert (room, kind(form)) == (room, expected)
        assert size_of(form) <= REQUEST_BYTES


def test_a_message_as_large_as_pubsub_takes_is_published_as_it_came():
    attributes = many(3)
    data = b"\1" * (REQUEST_BYTES - size_of(Outgoing(b"", attributes)) - 10)
    form = best(letter(data, attributes))
    assert form == Outgoing(data, attributes)
    assert REQUEST_BYTES - 20 < size_of(form) <= REQUEST_BYTES


def test_a_body_from_a_file_that_no_topic_takes_is_cut_and_says_so():
    form = best(letter(b"\1" * (REQUEST_BYTES + 1), many(2), "a file"))
    assert form.attributes[CUT] == "10000001 bytes and 2 attributes"
    assert form.attributes[ORIGIN] == "a file"
    assert REQUEST_BYTES - 20_000 < size_of(form) <= REQUEST_BYTES


def test_ours_are_cut_to_what_a_value_holds_and_are_text():
    form = best(letter(origin="/f\udcff" + "\u00e9" * 600))
    assert len(form.attributes[ORIGIN].encode()) in (1023, 1024)
    assert form.attributes[ORIGIN].startswith("/f\\udcff")
    assert cut_text("\u00e9" * 600) == "\u00e9" * 512


@pytest.mark.parametrize("data", [b"", b"\xc3\x01", b"\xc3\x01" + bytes(40), b"{}"])
def test_what_only_says_that_it_is_packed_stays_as_it_is(data):
    attributes = {REASON: "r", DETAIL: "d", ORIGIN: "o", PACKED: "user_state.Message"}
    assert opened(data, attributes) == Outgoing(data, attributes)
    assert opened(data, {"a": "b", REASON: "theirs"}) == Outgoing(data, {"a": "b", REASON: "theirs"})


@pytest.mark.pubsub
def test_an_emulator_takes_letters_of_every_kind_and_gives_them_back_as_they_were(pubsub: PubSubEmulator):
    name = uuid.uuid4().hex[:8]
    topic = pubsub.create_topic(f"letters-{name}")
    stored = pubsub.create_subscription(f"letters-{name}", topic)
    letters = [
        letter(b"0", {}),
        letter(b"1", many(97)),
        letter(b"2", many(98)),
        letter(b"3", many(100)),
        letter(b"4", {"k" * 256: "v" * 1024, "topic": "t", "timeout": "5"}),
        letter(b"5", {REASON: "theirs", "googclient_deliveryattempt": "1"}),
        letter(b"6", {"": "v" * 5000}),
        letter(b"7" * (REQUEST_BYTES - 700), many(3)),
        letter(b"8" * (REQUEST_BYTES + 5)),
        letter(b"", {}),
    ]
    stored_by_sink = open_sink(f"pubsub://{topic}")(letters)
    assert (stored_by_sink.problem, stored_by_sink.stored) == (None, [True] * len(letters))
    found = {}
    for received in pubsub.pull_all(stored):
        back = opened(received.message.data, dict(received.message.attributes))
        found[back.data[:1]] = back
    assert len(found) == len(letters)
    for one in letters:
        back = found[one.message.data[:1]]
        if len(one.message.data) <= REQUEST_BYTES:
            assert back == Outgoing(one.message.data, one.message.attributes)
        else:
            assert one.message.data.startswith(back.data)
            assert len(back.data) > REQUEST_BYTES - 20_000


class _Refusing:
    """A publisher client that refuses some messages, as a service may for reasons that nobody told us of."""

    def __init__(self, refuses) -> None:
        self.refuses, self.taken = refuses, []

    def publish(self, topic: str, data: bytes, **attributes: str) -> Future[str]:
        future: Future[str] = Future()
        if self.refuses(attributes):
            future.set_exception(InvalidArgument("not like that"))
        else:
            self.taken.append(Outgoing(data, attributes))
            future.set_result("id")
        return future


def test_what_is_refused_in_one_form_is_tried_in_the_next_and_the_others_are_not_sent_again(monkeypatch):
    monkeypatch.setattr("google.cloud.pubsub_v1.PublisherClient", lambda: client)
    client = _Refusing(lambda attributes: "odd" in attributes)
    stored = open_sink(f"pubsub://{TOPIC}")([letter(b"0"), letter(b"1", {"odd": "one"}), letter(b"2")])
    assert (stored.stored, stored.problem) == ([True] * 3, None)
    assert [kind(form) for form in client.taken] == ["plain", "plain", "packed"]
    assert [opened(*form).data for form in client.taken] == [b"0", b"2", b"1"]

    client = _Refusing(lambda attributes: True)
    stored = open_sink(f"pubsub://{TOPIC}")([letter(b"0")])
    assert stored.stored == [False]
    assert "not like that" in str(stored.problem)
