"""Publish Avro files to a Pub/Sub topic: history to replay, generated traffic, dead letters after a fix.

    file of `user_state.Message`   `data` and `attributes` go out untouched, so corrupt bodies stay corrupt
    file of events                 each goes out in the spec's encoding, under the file's own schema, with the event's
                                   bytes as in the file; where the spec names no encoding, in single-object encoding

Events of a schema that a body cannot tell, since the spec or the registry does not know it, are resolved to the spec's,
and go out under that; if they cannot be, nothing goes out.

Requests of up to BATCH_MESSAGES, a few under way at once: five times as fast as the client library's own batching
(tried on the emulator: 70,000 messages a second and 14,000), and a failure names its request. Order is kept but for
requests that have to be tried again. Nothing here prints: progress goes to a callback.
"""

from __future__ import annotations

import glob
import json
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro

from transforms.acknowledge import is_transient
from transforms.letter_forms import PUBSUBS_OWN
from transforms.pubsub_check import parse_topic
from user_state.errors import InputError, SpecError, shorten
from user_state.events.avro_blocks import MESSAGE_NAME
from user_state.events.avro_program import program_of
from user_state.events.body_writer import BodyWriter
from user_state.events.event_reader import event_reader, write_event
from user_state.events.writers import head_of
from user_state.oracle.view import View
from user_state.spec import LoadedSpec
from user_state.spec.event_schema import EventSchema, parse_event_schema
from user_state.spec.version_checks import check_resolves, check_written_anew
from user_state.state.event_batch import FileLayout, MessageList, messages_of

BATCH_MESSAGES = 1000
BATCH_BYTES = 5_000_000
"""Both below what Pub/Sub takes in one request: 1,000 messages and 10 MB."""

MESSAGE_OVERHEAD_BYTES = 64
REQUESTS_UNDER_WAY = 4
REQUEST_TIMEOUT_S = 30.0
ATTEMPTS = 6
FIRST_PAUSE_S = 0.2
LONGEST_SLEEP_S = 1.0
PACED_BATCHES_PER_S = 10.0
"""With a rate, requests are made small enough to keep this pace, so that traffic is even."""


@dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
        files: files read.
        messages: messages the topic accepted.
        body_bytes: their bodies, bytes.
        empty: messages without body and attributes, which Pub/Sub refuses; left out.
    """

    files: int
    messages: int
    body_bytes: int
    empty: int


@dataclass(frozen=True)
class Replay:
    """Publishing at the pace at which it happened, `speed` times faster.

    Attributes:
        speed: 60 lets an hour of publish times take a minute.
        start_s: Unix time at which the first message is due; None is at once.
    """

    speed: float
    start_s: float | None = None

    def check(self) -> None:
        """Raise InputError for a speed that is none."""
        if not 0 < self.speed < float("inf"):
            raise InputError(f"expected a replay speed above 0, got {self.speed!r}")


@dataclass(frozen=True)
class _Outgoing:
    data: bytes
    attributes: dict[str, str]
    published_us: int | None = None


def publish_file(
    spec: LoadedSpec,
    path: str,
    topic: str,
    rate: float | None = None,
    publish_time_attribute: str | None = None,
    on_progress: Callable[[int], None] | None = None,
    replay: Replay | None = None,
) -> Published:
    """Publish every message of the files that `path` names, and return what was published.

    Args:
        spec: names the events' time fields, and the schemas that a pipeline can read.
        path: an Avro file, or a glob of them.
        topic: `projects/P/topics/T`, with or without `pubsub://`.
        rate: messages a second; None for as fast as the topic takes them.
        publish_time_attribute: attribute that gets the time of publication of history, integer microseconds: the
            event's `published` field if the spec names one and it is set, else its time; a Message's `publish_time`.
        on_progress: called with the number of messages the topic has accepted so far.
        replay: publish at the pace of the times of publication; these must ascend. None goes by `rate`.

    Raises:
        InputError: no such file, a file that is not Avro or of other events, nothing in any of them, a rate or speed
            that is not above 0, both, or a topic that cannot be published to.
    """
    if rate is not None and not rate > 0:
        raise InputError(f"expected a rate above 0 messages a second, got {rate!r}")
    if replay is not None:
        replay.check()
        if rate is not None:
            raise InputError("expected a rate or a replay speed, got both")
    files = _files(path)
    publisher = _Publisher(parse_topic(topic), rate, on_progress or (lambda _: None), replay)
    found = 0
    try:
        for file in files:
            for message in _messages(file, spec, topic, publish_time_attribute, with_times=replay is not None):
                found += 1
                publisher.add(message)
        if not found:
            raise InputError(f"expected events, got none in {path}: the Avro header is there, but no record")
        publisher.flush()
    finally:
        publisher.close()
    return Published(len(files), publisher.accepted, publisher.accepted_bytes, publisher.empty)


def publish_messages(messages: Iterable[tuple[bytes, dict[str, str]]], topic: str) -> Published:
    """Publish bodies with their attributes, those that belong to Pub/Sub left out; return what was published.

    Raises:
        InputError: the topic cannot be published to.
    """
    publisher = _Publisher(parse_topic(topic), None, lambda _: None)
    try:
        for data, attributes in messages:
            theirs = {name: value for name, value in attributes.items() if not name.startswith(PUBSUBS_OWN)}
            publisher.add(_Outgoing(data, theirs))
        publisher.flush()
    finally:
        publisher.close()
    return Published(0, publisher.accepted, publisher.accepted_bytes, publisher.empty)


def _files(path: str) -> list[Path]:
    names = [path] if Path(path).exists() else sorted(glob.glob(path, recursive=True))
    files = [Path(name) for name in names if Path(name).is_file()]
    if not files:
        raise InputError(f"expected an Avro file or a glob of them, got {shorten(path)}, which matches no file")
    return files


def _messages(
    file: Path, spec: LoadedSpec, topic: str, attribute: str | None, with_times: bool = False
) -> Iterator[_Outgoing]:
    """Yield a file's messages in order; `with_times` says when they were published, where that can be told."""
    schema, records = _open(file)
    if schema.name == MESSAGE_NAME:
        for _, record in records:
            # Pub/Sub adds attributes of its own to what it delivers, and takes none such from us.
            attributes = {
                name: value for name, value in record["attributes"].items() if not name.startswith(PUBSUBS_OWN)
            }
            if attribute is not None and record.get("publish_time") is not None:
                attributes = {**attributes, attribute: str(record["publish_time"])}
            yield _Outgoing(record["data"], attributes, record.get("publish_time"))
        return
    check_resolves(str(file), schema, spec.schema)
    check_written_anew(str(file), schema, spec.schema)
    stamp = _stamp(file, spec) if attribute is not None or with_times else None
    name = topic.rpartition("/")[2]
    bodies = BodyWriter(spec.schema, (f"{name}-value", spec.schema.name, f"{name}-{spec.schema.name}"))
    if schema.fingerprint == spec.schema.fingerprint:
        for body, event in records:
            yield _stamped(bodies.body(spec.schema, body), event, attribute, stamp)
        return
    resolve, known = event_reader(schema, spec.schema), bodies.tells(schema)
    for body, _ in records:
        try:
            event = resolve(body)
        except Exception:  # null where the spec's schema takes none: the pipeline will say so, in a dead letter
            yield _Outgoing(head_of(schema) + body, {})
            continue
        data = bodies.body(schema, body) if known else bodies.body(spec.schema, write_event(spec.schema, event))
        yield _stamped(data, event, attribute, stamp)


def _stamped(
    data: bytes, event: dict[str, Any], attribute: str | None, stamp: Callable[[dict[str, Any]], int] | None
) -> _Outgoing:
    if stamp is None:
        return _Outgoing(data, {})
    published_us = stamp(event)
    return _Outgoing(data, {} if attribute is None else {attribute: str(published_us)}, published_us)


def _open(file: Path) -> tuple[EventSchema, Iterator[tuple[bytes, dict[str, Any]]]]:
    """Return a file's schema, and its records as bytes and as values."""
    try:
        with file.open("rb") as stream:
            if not stream.read(1):
                raise InputError(f"expected an Avro file, got {file}, which is empty")
            stream.seek(0)
            schema = parse_event_schema(json.loads(fastavro.block_reader(stream).metadata["avro.schema"]))
    except OSError as exc:
        raise InputError(f"cannot read {file}: {exc.strerror or exc}") from exc
    except SpecError as exc:
        raise InputError(f"cannot publish {file}: {exc}") from exc
    except (ValueError, EOFError, KeyError, StopIteration) as exc:
        raise InputError(f"expected an Avro file, got {file}: {exc}") from exc
    return schema, _records(file, schema)


def _records(file: Path, schema: EventSchema) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each record's own bytes and its values, without logical types."""
    layout, read = FileLayout(program_of(schema.whole), []), event_reader(schema, schema)
    try:
        with file.open("rb") as stream:
            for block in fastavro.block_reader(stream):
                held = MessageList.of_blocks([(block.bytes_.getvalue(), block.num_records)], layout, b"", str(file))
                for body, *_ in messages_of(held):
                    yield body, read(body)
    except Exception as exc:  # fastavro raises whatever Python raises where a damaged file trips it
        raise InputError(f"expected an Avro file, got {file}, which is damaged or cut short: {exc}") from exc


def _stamp(file: Path, spec: LoadedSpec) -> Callable[[dict[str, Any]], int]:
    """Return the function that tells an event's time of publication, microseconds."""
    roles = spec.spec.events
    view = View(spec.spec, spec.schema.whole, ())

    def stamp(event: dict[str, Any]) -> int:
        times = view.arrival(event).times
        for name in (roles.published, roles.time):
            if name is not None and isinstance(times[name], int):
                return int(times[name])
        raise InputError(f"expected every event in {file} to have a time, got none in {roles.time!r}")

    return stamp


class _Publisher:
    """Gathers messages into requests and keeps a few of these under way."""

    def __init__(
        self, topic: str, rate: float | None, on_progress: Callable[[int], None], replay: Replay | None = None
    ) -> None:
        from google.api_core.gapic_v1 import routing_header
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.pubsub_v1 import PublisherClient
        from google.pubsub_v1 import PublishRequest, PubsubMessage

        self.accepted = 0
        self.accepted_bytes = 0
        self.empty = 0
        self._topic = topic
        self._rate = rate
        self._on_progress = on_progress
        self._batch_messages = BATCH_MESSAGES
        if rate is not None:
            self._batch_messages = min(BATCH_MESSAGES, max(1, int(rate / PACED_BATCHES_PER_S)))
        # Raw protobuf and the bare stub: the wrappers around both cost more than the request.
        self._new_request, self._new_message = PublishRequest.pb(), PubsubMessage.pb()
        self._metadata = [routing_header.to_grpc_metadata((("topic", topic),))]
        try:
            self._client = PublisherClient()
        except GoogleAuthError as exc:
            raise InputError(f"no credentials to publish to {topic}: {exc}") from exc
        self._batch: list[Any] = []
        self._batch_bytes = 0
        self._sent = 0
        self._under_way: deque[tuple[Any, Any]] = deque()
        self._started_s = time.monotonic()
        self._replay = replay
        self._first_us: int | None = None
        self._start_s = time.time()
        if replay is not None and replay.start_s is not None:
            self._start_s = replay.start_s

    def add(self, message: _Outgoing) -> None:
        """Publish `message` with the next request."""
        if not message.data and not message.attributes:
            self.empty += 1
            return
        size = (
            MESSAGE_OVERHEAD_BYTES
            + len(message.data)
            + sum(len(key) + len(value) for key, value in message.attributes.items())
        )
        if self._batch and self._batch_bytes + size > BATCH_BYTES:
            self._send()
        self._wait_until_due(message)
        self._batch.append(self._new_message(data=message.data, attributes=message.attributes))
        self._batch_bytes += size
        if len(self._batch) >= self._batch_messages:
            self._send()

    def _wait_until_due(self, message: _Outgoing) -> None:
        """With a replay: wait until the message is due, and before that send what has been due already."""
        if self._replay is None or message.published_us is None:
            return
        if self._first_us is None:
            self._first_us = message.published_us
        due_s = self._start_s + (message.published_us - self._first_us) / 1e6 / self._replay.speed
        if due_s - time.time() > 0 and self._batch:
            self._send()
        while (ahead_s := due_s - time.time()) > 0:
            time.sleep(min(ahead_s, LONGEST_SLEEP_S))

    def flush(self) -> None:
        """Publish what is gathered and wait until all is accepted."""
        if self._batch:
            self._send()
        while self._under_way:
            self._settle()

    def close(self) -> None:
        """Close the connection; requests still under way are abandoned."""
        self._client.transport.close()

    def _send(self) -> None:
        if self._rate is not None:
            time.sleep(max(0.0, self._started_s + self._sent / self._rate - time.monotonic()))
        request = self._new_request(topic=self._topic, messages=self._batch)
        self._sent += len(self._batch)
        self._batch, self._batch_bytes = [], 0
        self._under_way.append((request, self._start(request)))
        while len(self._under_way) >= REQUESTS_UNDER_WAY or (self._under_way and self._under_way[0][1].done()):
            self._settle()

    def _start(self, request: Any) -> Any:
        return self._client.transport.publish.future(request, timeout=REQUEST_TIMEOUT_S, metadata=self._metadata)

    def _settle(self) -> None:
        """Wait for the oldest request, trying it again while that may help."""
        import grpc  # type: ignore[import-untyped]  # grpcio ships no stubs
        from google.api_core.exceptions import from_grpc_error

        request, call = self._under_way.popleft()
        for attempt in range(ATTEMPTS):
            try:
                call.result()
                break
            except grpc.RpcError as exc:
                error = from_grpc_error(exc)
                if attempt == ATTEMPTS - 1 or not is_transient(error):
                    raise InputError(
                        f"cannot publish to {self._topic}, which has accepted {self.accepted} messages: {error}"
                    ) from exc
            time.sleep(FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1.0))
            call = self._start(request)
        self.accepted += len(request.messages)
        self.accepted_bytes += sum(len(message.data) for message in request.messages)
        self._on_progress(self.accepted)
