"""Dead letters, stored durably with their bytes, then acknowledged.

To a folder: one Avro file a bundle, of `avro/message.avsc`, written aside, synced and renamed, so that a file that is
there is whole. To a Pub/Sub topic: the original body and attributes, with `dead_letter_*` attributes beside them.
Either can be published again after a fix.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import apache_beam as beam
import fastavro

from transforms import tally
from transforms.acknowledge import acknowledge_messages
from transforms.packet import DeadLetter, unpack_dead
from transforms.remote_run import bundle_ended
from user_state.codec.record import SCHEMA_PATH

Sink = Callable[[list[DeadLetter]], None]
PUBLISH_TIMEOUT_S = 60.0
MAX_ATTRIBUTE_BYTES = 1024


class WriteDeadLetters(beam.PTransform):
    """Packets of dead letters -> stored.

    Args:
        target: a folder, made if missing, or `pubsub://projects/P/topics/T`.
    """

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target

    def expand(self, packets: Any) -> Any:
        """Store each bundle's dead letters."""
        return packets | "Store" >> beam.ParDo(_StoreFn(self._target))


class _StoreFn(beam.DoFn):
    def __init__(self, target: str) -> None:
        self._target = target

    def setup(self) -> None:
        self._sink: Sink
        if self._target.startswith("pubsub://"):
            self._sink = _TopicSink(self._target.removeprefix("pubsub://"))
        else:
            self._sink = _FolderSink(Path(self._target))

    def start_bundle(self) -> None:
        self._letters: list[DeadLetter] = []

    def process(self, packet: bytes) -> None:
        self._letters += unpack_dead(packet)

    def finish_bundle(self) -> None:
        if not self._letters:
            return
        self._sink(self._letters)
        acknowledge_messages(letter.message for letter in self._letters)
        tally.count(tally.DEAD_LETTER, len(self._letters))
        for reason in {letter.reason for letter in self._letters}:
            held = sum(letter.reason == reason for letter in self._letters)
            tally.count(f"{tally.DEAD_LETTER}_{reason}", held)
        bundle_ended()


class _FolderSink:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._schema = fastavro.parse_schema(json.loads((SCHEMA_PATH.parent / "message.avsc").read_text()))
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, letters: list[DeadLetter]) -> None:
        now_us = time.time_ns() // 1000
        name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:12]}.avro"
        partial = self._folder / f".{name}.partial"
        envelopes = (
            {
                "data": letter.message.data,
                "attributes": letter.message.attributes,
                "publish_time": letter.message.publish_us,
                "reason": letter.reason,
                "detail": letter.detail,
                "origin": letter.message.origin,
                "dead_at": now_us,
            }
            for letter in letters
        )
        with partial.open("wb") as file:
            fastavro.writer(file, self._schema, envelopes, codec="deflate")
            file.flush()
            os.fsync(file.fileno())
        partial.rename(self._folder / name)


class _TopicSink:
    def __init__(self, topic: str) -> None:
        from google.cloud.pubsub_v1 import PublisherClient

        self._topic = topic
        self._client = PublisherClient()

    def __call__(self, letters: list[DeadLetter]) -> None:
        sent: list[Future[str]] = []
        for letter in letters:
            attributes = dict(letter.message.attributes)
            attributes["dead_letter_reason"] = letter.reason
            attributes["dead_letter_detail"] = letter.detail.encode()[:MAX_ATTRIBUTE_BYTES].decode(errors="ignore")
            attributes["dead_letter_origin"] = letter.message.origin
            # Pub/Sub refuses a message with neither body nor attributes; these always have some.
            sent.append(self._client.publish(self._topic, letter.message.data, **attributes))
        for future in sent:
            future.result(timeout=PUBLISH_TIMEOUT_S)
