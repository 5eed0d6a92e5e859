"""Acknowledging Pub/Sub messages from whichever step has stored what became of them.

The process shares one client, made on first use, so that DoFns pickle without clients. An acknowledgement that fails
is no loss: the message comes again after its ack deadline and its event id is known by then. So nothing here raises;
it tries a few times, then logs and counts.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from transforms import metrics
from user_state.events.message import Message

REQUEST_BYTES = 450_000
"""Most bytes of ack ids in one request; Pub/Sub refuses requests above 512 KiB."""

ATTEMPTS = 4
FIRST_PAUSE_S = 0.2
TIMEOUT_S = 10.0
LEASE_TIMEOUT_S = 5.0

_LOG = logging.getLogger(__name__)
_UNACKNOWLEDGED = metrics.counter("unacknowledged")
_CLIENT_LOCK = threading.Lock()


def acknowledge(subscription: str, ack_ids: Sequence[str]) -> None:
    """Acknowledge messages of `subscription` (`projects/P/subscriptions/S`); never raises for a failing service."""
    for chunk in ack_id_chunks(ack_ids):
        problem = _acknowledge_chunk(subscription, chunk)
        if problem is not None:
            _UNACKNOWLEDGED.inc(len(chunk))
            _LOG.warning(
                "could not acknowledge %d messages of %s, they will come again: %s", len(chunk), subscription, problem
            )


def acknowledge_messages(messages: Iterable[Message]) -> None:
    """Acknowledge messages, whatever subscriptions they came from; those of other inputs need no acknowledgement."""
    acknowledge_ids(ids_by_origin(messages))


def ids_by_origin(messages: Iterable[Message]) -> dict[str, list[str]]:
    """Return the acknowledgement ids of messages by subscription; those of other inputs have none."""
    by_origin: dict[str, list[str]] = {}
    for message in messages:
        if message.ack_id is not None:
            by_origin.setdefault(message.origin, []).append(message.ack_id)
    return by_origin


def acknowledge_ids(ids: Mapping[str, Sequence[str]]) -> None:
    """Acknowledge messages by their ids, given by subscription."""
    for subscription, ack_ids in ids.items():
        acknowledge(subscription, ack_ids)


def set_ack_deadline(subscription: str, ack_ids: Sequence[str], ack_deadline_s: int) -> None:
    """Lease messages for so many seconds from now, or give them back with 0; failing costs a redelivery only."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError
    from google.pubsub_v1 import ModifyAckDeadlineRequest

    for chunk in ack_id_chunks(ack_ids):
        try:
            subscriber_client().modify_ack_deadline(
                _request(
                    ModifyAckDeadlineRequest,
                    subscription=subscription,
                    ack_ids=chunk,
                    ack_deadline_seconds=ack_deadline_s,
                ),
                timeout=LEASE_TIMEOUT_S,
                retry=None,
            )
        except (GoogleAPICallError, GoogleAuthError) as exc:
            _LOG.debug("could not lease %d messages of %s: %s", len(chunk), subscription, exc)


def ack_id_chunks(ack_ids: Sequence[str]) -> Iterator[list[str]]:
    """Split ack ids into lists that fit a request.

    >>> [len(chunk) for chunk in ack_id_chunks(["a" * 200] * 5000)]
    [2205, 2205, 590]
    """
    chunk: list[str] = []
    room = REQUEST_BYTES
    for ack_id in ack_ids:
        size = len(ack_id) + 4  # a field tag and a length of up to three bytes go with each; ack ids are ASCII
        if chunk and size > room:
            yield chunk
            chunk, room = [], REQUEST_BYTES
        chunk.append(ack_id)
        room -= size
    if chunk:
        yield chunk


def subscriber_client() -> Any:
    """Return the process's SubscriberClient, of the emulator if PUBSUB_EMULATOR_HOST is set now."""
    with _CLIENT_LOCK:  # lru_cache alone would let two threads make a client each, and leave one open
        return _client(os.environ.get("PUBSUB_EMULATOR_HOST"))


@lru_cache(maxsize=8)
def _client(emulator_host: str | None) -> Any:
    # The client reads the same variable itself; as an argument it is the key of the cache.
    from google.cloud.pubsub_v1 import SubscriberClient

    return SubscriberClient()


def _request(kind: Any, **fields: Any) -> Any:
    """Return a request of the client library, made as the protobuf that it wraps: 50 times as fast for many ids."""
    raw = type(kind.pb(kind()))
    return kind.wrap(raw(**fields))


def _acknowledge_chunk(subscription: str, ack_ids: list[str]) -> Exception | None:
    """Try one request up to ATTEMPTS times; return what went wrong, or None."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError
    from google.pubsub_v1 import AcknowledgeRequest

    problem: Exception | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
        try:
            request = _request(AcknowledgeRequest, subscription=subscription, ack_ids=ack_ids)
            subscriber_client().acknowledge(request, timeout=TIMEOUT_S, retry=None)
        except GoogleAPICallError as exc:
            problem = exc
            if not is_transient(exc):
                break
        except GoogleAuthError as exc:
            problem = exc
        else:
            return None
    return problem


def is_transient(error: Exception) -> bool:
    """Return whether the same Pub/Sub request may succeed if it is tried again."""
    from google.api_core import exceptions
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

    if isinstance(error, GoogleAuthError):
        return not isinstance(error, DefaultCredentialsError)
    return isinstance(error, exceptions.GoogleAPICallError) and not isinstance(
        error,
        exceptions.NotFound
        | exceptions.Forbidden
        | exceptions.Unauthenticated
        | exceptions.InvalidArgument
        | exceptions.FailedPrecondition
        | exceptions.MethodNotImplemented,
    )
