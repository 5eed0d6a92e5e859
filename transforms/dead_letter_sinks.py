"""Where dead letters are stored: a folder of Avro files, or a Pub/Sub topic.

To a folder: one file a bundle, of `avro/message.avsc`, written aside, synced and renamed, so that a file that is there
is whole. To a topic: the original body and attributes, with `dead_letter_*` attributes beside them. Either can be
published again after a fix.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

import fastavro

from transforms.packet import DeadLetter
from transforms.pubsub_check import PUBSUB
from user_state.codec.record import SCHEMA_PATH
from user_state.events.message import Message

PUBLISH_TIMEOUT_S = 20.0
MAX_ATTRIBUTE_BYTES = 1024


class Stored(NamedTuple):
    """What became of dead letters.

    Attributes:
        stored: which of them are stored, in their order.
        problem: what kept the others from it, None if nothing did.
    """

    stored: list[bool]
    problem: Exception | None


Sink = Callable[[list[DeadLetter]], Stored]


def open_sink(target: str) -> Sink:
    """Return what stores in a folder, made if missing, or in `pubsub://projects/P/topics/T`."""
    if target.startswith(PUBSUB):
        return _TopicSink(target.removeprefix(PUBSUB))
    return _FolderSink(Path(target))


class _FolderSink:
    """Stores all or none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._schema = fastavro.parse_schema(json.loads((SCHEMA_PATH.parent / "message.avsc").read_text()))

    def __call__(self, letters: list[DeadLetter]) -> Stored:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(letters)
        except OSError as exc:
            return Stored([False] * len(letters), exc)
        return Stored([True] * len(letters), None)

    def _write(self, letters: list[DeadLetter]) -> None:
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
        try:
            with partial.open("wb") as file:
                fastavro.writer(file, self._schema, envelopes, codec="deflate")
                file.flush()
                os.fsync(file.fileno())
            partial.rename(self._folder / name)
        except OSError:
            partial.unlink(missing_ok=True)
            raise


class _TopicSink:
    """Publishes each by itself."""

    def __init__(self, topic: str) -> None:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.pubsub_v1 import PublisherClient

        self._topic = topic
        self._client = PublisherClient()
        # ValueError: larger than Pub/Sub takes.
        self._failures: tuple[type[Exception], ...] = (GoogleAPIError, GoogleAuthError, TimeoutError, ValueError)

    def __call__(self, letters: list[DeadLetter]) -> Stored:
        sent: list[Future[str] | Exception] = [self._publish(letter) for letter in letters]
        until = time.monotonic() + PUBLISH_TIMEOUT_S
        problems = [self._problem(one, until) for one in sent]
        return Stored(
            [problem is None for problem in problems], next((one for one in problems if one is not None), None)
        )

    def _publish(self, letter: DeadLetter) -> Future[str] | Exception:
        message: Message = letter.message
        attributes = dict(message.attributes)
        attributes["dead_letter_reason"] = letter.reason
        attributes["dead_letter_detail"] = letter.detail.encode()[:MAX_ATTRIBUTE_BYTES].decode(errors="ignore")
        attributes["dead_letter_origin"] = message.origin
        try:
            # Pub/Sub refuses a message with neither body nor attributes; these always have some.
            future: Future[str] = self._client.publish(self._topic, message.data, **attributes)
        except self._failures as exc:
            return exc
        return future

    def _problem(self, sent: Future[str] | Exception, until_s: float) -> Exception | None:
        if isinstance(sent, Exception):
            return sent
        try:
            sent.result(timeout=max(0.0, until_s - time.monotonic()))
        except self._failures as exc:
            return exc
        return None
