"""Where dead letters are stored: a folder of Avro files, or a Pub/Sub topic.

To a folder: one file a bundle, of `avro/message.avsc`, written aside, synced, renamed, and the folder synced, so that a
file that is there is whole, and stays there whatever happens to the machine. To a topic: the original body and
attributes, with `dead_letter_*` attributes beside them, or what `letter_forms` has for messages that leave no room for
these. Either can be published again after a fix.
"""

from __future__ import annotations

import errno
import json
import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

import fastavro

from transforms.letter_forms import Outgoing, envelope, forms
from transforms.packet import DeadLetter
from transforms.pubsub_check import PUBSUB
from user_state.events.message import MESSAGE_SCHEMA

PUBLISH_TIMEOUT_S = 20.0


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
        self._schema = fastavro.parse_schema(json.loads(MESSAGE_SCHEMA.read_text()))

    def __call__(self, letters: list[DeadLetter]) -> Stored:
        try:
            _make_folder(self._folder)
            self._write(letters)
        except OSError as exc:
            return Stored([False] * len(letters), exc)
        return Stored([True] * len(letters), None)

    def _write(self, letters: list[DeadLetter]) -> None:
        now_us = time.time_ns() // 1000
        name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:12]}.avro"
        partial = self._folder / f".{name}.partial"
        try:
            with partial.open("wb") as file:
                fastavro.writer(file, self._schema, [envelope(one, now_us) for one in letters], codec="deflate")
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self._folder / name)
            _sync_folder(self._folder)
        except OSError:
            partial.unlink(missing_ok=True)
            raise


def _make_folder(folder: Path) -> None:
    """Make a folder that is missing, and those above it, for good."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        _sync_folder(one.parent)


def _sync_folder(folder: Path) -> None:
    """Have the disk hold a folder's names: a file that was synced may else be gone with its name.

    Raises:
        OSError: it cannot; but not where a file system knows nothing of that, or we may not read the folder.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


class _TopicSink:
    """Publishes each by itself."""

    def __init__(self, topic: str) -> None:
        from google.api_core.exceptions import GoogleAPIError, InvalidArgument
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.pubsub_v1 import PublisherClient

        self._topic = topic
        self._client = PublisherClient()
        # ValueError: larger than the client library takes.
        self._failures: tuple[type[Exception], ...] = (GoogleAPIError, GoogleAuthError, TimeoutError, ValueError)
        self._refusals: tuple[type[Exception], ...] = (InvalidArgument, ValueError)

    def __call__(self, letters: list[DeadLetter]) -> Stored:
        until = time.monotonic() + PUBLISH_TIMEOUT_S
        now_us = time.time_ns() // 1000
        ways = [forms(letter, self._topic, now_us) for letter in letters]
        problems: list[Exception | None] = [None] * len(letters)
        todo = list(range(len(letters)))
        while todo:
            sent = [(at, self._publish(form)) for at in todo if (form := next(ways[at], None)) is not None]
            for at, one in sent:
                problems[at] = self._problem(one, until)
            # What Pub/Sub refuses as it is may be taken in another form: one with limits that we do not know.
            todo = [at for at, _ in sent if isinstance(problems[at], self._refusals)]
        return Stored(
            [problem is None for problem in problems], next((one for one in problems if one is not None), None)
        )

    def _publish(self, form: Outgoing) -> Future[str] | Exception:
        try:
            future: Future[str] = self._client.publish(self._topic, form.data, **form.attributes)
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
