"""Opening Redis by URL, and turning its errors into ours: the only place that imports redis exceptions.

    redis://[user:password@]host[:port][/db]     one server
    rediss://...                                 the same with TLS
    redis-cluster://..., rediss-cluster://...    any node of a cluster
    unix://path                                  a local socket

Timeouts are finite. Passwords never appear in messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from user_state.errors import InputError, StoreError, StoreUnavailable

SCHEMES = ("redis", "rediss", "redis-cluster", "rediss-cluster", "unix")
_REFUSED = (AuthenticationError, AuthorizationError, NoPermissionError)
_PASSING = (
    RedisConnectionError,
    RedisTimeoutError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoScriptError,  # restarted between learning a script and running it
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
_PASSING_PREFIXES = ("MISCONF", "NOREPLICAS", "LOADING", "OOM", "CLUSTERDOWN", "READONLY", "MASTERDOWN", "UNBLOCKED")


def masked(url: str) -> str:
    """Return the URL with its password replaced.

    >>> masked("redis://app:secret@cache:6379/0")
    'redis://app:***@cache:6379/0'
    >>> masked("redis://:pass/word@cache:6379"), masked("redis://cache:6379?password=secret&db=1")
    ('redis://:***@cache:6379', 'redis://cache:6379?password=***&db=1')
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return re.sub(r".*@", "***@", url)
    # By hand: in a URL whose password holds an unescaped / or #, urlsplit would not find the password.
    credentials, at, host = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    if at and colon:
        rest = f"{user}:***@{host}"
    return re.sub(r"(?<=password=)[^&]*", "***", f"{scheme}{separator}{rest}")


def connect(url: str, timeout_s: float) -> Any:
    """Return a client for `url`; every call ends within about `timeout_s`.

    Raises:
        InputError: the URL has a scheme or form that is not understood.
        StoreUnavailable, StoreError: as `translated` says (clusters connect at once, single servers when used).
    """
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise InputError(f"expected a Redis URL such as redis://localhost:6379, got {masked(url)!r}")
    # Trying again is the fold's business: it re-reads first. The client would resend blindly.
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "health_check_interval": 30,
    }
    try:
        if scheme.endswith("-cluster"):
            with translated(url):
                return RedisCluster.from_url(url.replace("-cluster", "", 1), **options)
        return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)
    except ValueError as exc:
        # Without what was raised: it may quote a part of the password.
        raise InputError(
            f"expected a Redis URL such as redis://localhost:6379, got {masked(url)!r};"
            " special characters of a password are written %2F for /, %23 for #, and so on"
        ) from exc


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn what redis raises into our errors.

    Raises:
        StoreUnavailable: the server cannot be reached, is loading, full or read-only.
        StoreError: it refused the password, the user's rights, or a command.
    """
    where = f"Redis at {masked(url)}"
    try:
        yield
    except _REFUSED as exc:
        raise StoreError(f"{where} refused us: {exc}; check user and password in the URL, and the user's ACL") from exc
    except _PASSING as exc:
        raise StoreUnavailable(f"{where} is not available: {exc}") from exc
    except ResponseError as exc:
        raise translate_response(where, exc) from exc
    except (RedisError, RedisClusterException, OSError) as exc:
        if isinstance(exc.__cause__, _REFUSED):  # a cluster's client says no more than that it found no node
            raise StoreError(f"{where} refused us: {exc.__cause__}; check user and password in the URL") from exc
        raise StoreUnavailable(f"{where} is not available: {exc}") from exc


def translate_response(where: str, exc: Exception) -> StoreError:
    """Return our error for an error that the server answered with."""
    if isinstance(exc, _PASSING) or str(exc).startswith(_PASSING_PREFIXES):
        return StoreUnavailable(f"{where} is not available: {exc}")
    return StoreError(f"{where} refused a command: {exc}")


def broke_off(exc: StoreUnavailable) -> bool:
    """Return whether the connection broke, instead of the server being slow, full or not ready."""
    cause = exc.__cause__
    return isinstance(cause, RedisConnectionError) and not isinstance(cause, RedisTimeoutError | BusyLoadingError)


def fetch(client: Any, url: str, keys: Sequence[str]) -> list[bytes | None]:
    """Return the values of keys, None where there is none, in one round trip; raises as `translated` says."""
    if not keys:
        return []
    with translated(url):
        # On a cluster the keys lie on many nodes: the client splits them, one round trip a node.
        values: list[bytes | None] = getattr(client, "mget_nonatomic", client.mget)(keys)
    return values
