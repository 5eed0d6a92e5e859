"""Checks of Pub/Sub names and services before a pipeline starts, each failing within CHECK_TIMEOUT_S seconds.

A pipeline that cannot read would otherwise start, retry in silence and look like one that has nothing to do.
Nothing here reads or changes a subscription.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable
from typing import Any

from user_state.errors import InputError, shorten

PUBSUB = "pubsub://"
"""What a subscription or topic begins with where there may also be a file."""
CHECK_TIMEOUT_S = 9.0
REQUEST_TIMEOUT_S = 6.0
PERMISSION_TIMEOUT_S = 3.0
CONSUME = "pubsub.subscriptions.consume"
PUBLISH = "pubsub.topics.publish"
SEEN, UNSEEN = "seen", "unseen"

_LOG = logging.getLogger(__name__)

_PROJECT = r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]"  # domain-scoped projects are written example.com:name
_RESOURCE = r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}"


def parse_subscription(path: str) -> str:
    """Return `projects/P/subscriptions/S` for that or `pubsub://projects/P/subscriptions/S`.

    Raises:
        InputError: `path` is neither.

    >>> parse_subscription("pubsub://projects/local-dev/subscriptions/events")
    'projects/local-dev/subscriptions/events'
    """
    return _parse(path, "subscription")


def parse_topic(path: str) -> str:
    """Return `projects/P/topics/T` for that or `pubsub://projects/P/topics/T`.

    Raises:
        InputError: `path` is neither.
    """
    return _parse(path, "topic")


def check_subscription(path: str) -> str:
    """Return the subscription's full path if it exists.

    Raises:
        InputError: the path is malformed, there is no such subscription, the service or the emulator cannot be
            reached, or there are no credentials; within CHECK_TIMEOUT_S seconds.
    """
    name = parse_subscription(path)

    def get() -> Any:
        from google.cloud.pubsub_v1 import SubscriberClient

        with SubscriberClient() as client:
            return client.get_subscription(subscription=name, timeout=REQUEST_TIMEOUT_S, retry=None)

    def allowed() -> Any:
        from google.cloud.pubsub_v1 import SubscriberClient

        with SubscriberClient() as client:
            return client.test_iam_permissions(_may(name, CONSUME), timeout=REQUEST_TIMEOUT_S, retry=None).permissions

    if _check(get, "subscription", name) == UNSEEN:
        _check_permission(allowed, "subscription", name, CONSUME, "roles/pubsub.subscriber")
    return name


def check_topic(path: str) -> str:
    """Return the topic's full path if it exists.

    Raises:
        InputError: as for `check_subscription`.
    """
    name = parse_topic(path)

    def get() -> Any:
        from google.cloud.pubsub_v1 import PublisherClient

        client = PublisherClient()
        try:
            return client.get_topic(topic=name, timeout=REQUEST_TIMEOUT_S, retry=None)
        finally:
            client.transport.close()

    def allowed() -> Any:
        from google.cloud.pubsub_v1 import PublisherClient

        client = PublisherClient()
        try:
            return client.test_iam_permissions(_may(name, PUBLISH), timeout=REQUEST_TIMEOUT_S, retry=None).permissions
        finally:
            client.transport.close()

    if _check(get, "topic", name) == UNSEEN:
        _check_permission(allowed, "topic", name, PUBLISH, "roles/pubsub.publisher")
    return name


def _may(name: str, permission: str) -> dict[str, Any]:
    return {"resource": name, "permissions": [permission]}


def _parse(path: str, kind: str) -> str:
    name = path.removeprefix(PUBSUB)
    if not re.fullmatch(rf"projects/{_PROJECT}/{kind}s/{_RESOURCE}", name):
        raise InputError(
            f"expected a {kind} such as pubsub://projects/my-project/{kind}s/my-{kind} "
            f"(project of 6 to 30 characters, name of 3 to 255), got {shorten(path)}"
        )
    return name


def _check_permission(allowed: Callable[[], Any], kind: str, name: str, permission: str, role: str) -> None:
    """Ask whether we may use what we may not look at; nobody needs a right to ask that.

    Raises:
        InputError: we may not.
    """
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    try:
        has = permission in _in_time(allowed, PERMISSION_TIMEOUT_S)
    except (GoogleAPICallError, GoogleAuthError, TimeoutError) as exc:
        _LOG.warning("cannot check %s %s, going on: %s", kind, name, exc)
        return
    if not has:
        raise InputError(
            f"expected the permission {permission} on {kind} {name}, got none: grant {role} to the account that runs"
            f" this ({_service()})"
        )


def _check(get: Callable[[], Any], kind: str, name: str) -> str:
    """Run `get` in time and turn what it raises into an InputError; return UNSEEN if we may not look, else SEEN."""
    from google.api_core import exceptions
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

    try:
        _in_time(get)
    except exceptions.NotFound as exc:
        raise InputError(f"there is no {kind} {name} ({_service()})") from exc
    except exceptions.PermissionDenied as exc:
        # Roles that may read or publish need not include looking at the resource, so this decides nothing.
        _LOG.debug("cannot look at %s %s: %s", kind, name, exc)
        return UNSEEN
    except DefaultCredentialsError as exc:
        raise InputError(
            f"no credentials to reach {kind} {name}: run `gcloud auth application-default login`, set "
            f"GOOGLE_APPLICATION_CREDENTIALS, or set PUBSUB_EMULATOR_HOST for an emulator"
        ) from exc
    except (exceptions.Unauthenticated, GoogleAuthError) as exc:
        raise InputError(f"the credentials do not let us reach {kind} {name} ({_service()}): {exc}") from exc
    except (exceptions.GoogleAPICallError, TimeoutError) as exc:
        raise InputError(f"cannot reach Pub/Sub to look for {kind} {name} ({_service()}): {exc}") from exc
    return SEEN


def _in_time(get: Callable[[], Any], timeout_s: float = CHECK_TIMEOUT_S) -> Any:
    """Return `get()` or raise what it raises, TimeoutError after `timeout_s` seconds.

    In a thread, since looking for credentials asks a metadata server, with a patience that is not ours to set.
    """
    outcome: list[Any] = []
    problems: list[Exception] = []

    def run() -> None:
        try:
            outcome.append(get())
        except Exception as exc:  # raised again below, where the caller is
            problems.append(exc)

    thread = threading.Thread(target=run, name="pubsub-check", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if problems:
        raise problems[0]
    if not outcome:
        raise TimeoutError(f"no answer within {timeout_s:.0f} s")
    return outcome[0]


def _service() -> str:
    host = os.environ.get("PUBSUB_EMULATOR_HOST")
    if host:
        return f"PUBSUB_EMULATOR_HOST is set to {host}; is the emulator running there?"
    return "PUBSUB_EMULATOR_HOST is not set, so Google Cloud was asked"
