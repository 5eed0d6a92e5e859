"""Opening Redis by URL, and turning its errors into ours: the only place that imports redis exceptions.

`redis_url` has the forms of URLs, `credentials` where user and password come from. Timeouts are finite. Passwords never
appear in messages, nor do commands and keys, which name users.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

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

from user_state.errors import InputError, StoreDenied, StoreError, StoreUnavailable
from user_state.store.credentials import credentials
from user_state.store.deadline import limited_connection
from user_state.store.redis_url import masked, parse_redis_url

__all__ = ["connect", "fetch", "masked", "other_types", "translate_response", "translated"]

_DENIED = (AuthenticationError, AuthorizationError, NoPermissionError)
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
_PASSING_PREFIXES = (
    *("MISCONF", "NOREPLICAS", "LOADING", "OOM", "CLUSTERDOWN", "READONLY", "MASTERDOWN", "UNBLOCKED"),
    "BUSY ",  # with somebody's script
)
_DENIED_TEXT = re.compile(
    r"^(NOAUTH|WRONGPASS|NOPERM|DENIED)\b"
    r"|^(ERR )?AUTH <password> called without any password"
    # A right that a script lacks, or a command in it: as Valkey, as Redis, and as both say of keys.
    r"|ACL failure in script|can't run this command or subcommand|No permissions to (access|run)|can't access"
)
_OF_PIPELINE = re.compile(r"^Command # \d+ \(.*?\) of pipeline caused error: ", re.DOTALL)
"""What redis-py puts before an error: the command with its keys."""


def connect(url: str, timeout_s: float) -> Any:
    """Return a client for `url`; it waits no longer than `timeout_s` for a connection and for each piece of an answer.

    `deadline.within` limits whole calls.

    Raises:
        InputError: the URL has a scheme or form that is not understood.
        StoreUnavailable, StoreError: as `translated` says (clusters connect at once, single servers when used).
    """
    parsed = parse_redis_url(url)
    # Trying again is the fold's business: it re-reads first. The client would resend blindly.
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "health_check_interval": 30,
        "connection_class": limited_connection(parsed.scheme),
    }
    presented = credentials(parsed)
    if presented is not None:
        options["credential_provider"] = presented
    bare = parsed.without_credentials  # what redis-py is not told, its errors cannot quote
    try:
        if parsed.is_cluster:
            # Of a URL with TLS redis-py would have a cluster use its own connections, whatever it is told: our kind
            # brings TLS by itself.
            plain = bare.replace(f"{parsed.scheme}://", "redis://", 1)
            with translated(url):
                return RedisCluster.from_url(plain, **options)
        return redis.Redis.from_url(bare, retry=Retry(NoBackoff(), 0), **options)
    except ValueError as exc:
        raise InputError(f"expected a Redis URL such as redis://localhost:6379, got {masked(url)!r}: {exc}") from exc


def check_reachable(url: str, timeout_s: float) -> None:
    """Find out whether a server answers at `url`, and takes the user and the password.

    Raises:
        InputError, StoreUnavailable, StoreDenied, StoreError: it does not; as `connect` and `translated` say.
    """
    client = connect(url, timeout_s)
    try:
        with translated(url):
            client.ping()
    finally:
        client.close()


class translated:  # noqa: N801 - reads as the statement that it is part of
    """Turns what redis raises into our errors.

    Raises:
        StoreDenied: it refused the password, or a right that the user lacks.
        StoreUnavailable: the server cannot be reached, is loading, full or read-only.
        StoreError: it refused a command.
    """

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(value, ResponseError):
            raise translate_response(_where(self._url), value) from value
        if isinstance(value, RedisError | RedisClusterException | OSError):
            raise _unavailable(_where(self._url), value) from value


def _unavailable(where: str, exc: Exception) -> StoreError:
    denied = next((one for one in _chain(exc) if _is_denied(one)), None)
    if denied is not None:  # a cluster's client says no more than that it found no node
        return _denied(where, denied)
    return StoreUnavailable(f"{where} is not available: {_said(exc)}")


def _where(url: str) -> str:
    return f"Redis at {masked(url)}"


def translate_response(where: str, exc: Exception) -> StoreError:
    """Return our error for an error that the server answered with."""
    if _is_denied(exc):
        return _denied(where, exc)
    if isinstance(exc, _PASSING) or _said(exc).startswith(_PASSING_PREFIXES):
        return StoreUnavailable(f"{where} is not available: {_said(exc)}")
    return StoreError(f"{where} refused a command: {_said(exc)}")


def _denied(where: str, exc: BaseException) -> StoreDenied:
    return StoreDenied(
        f"{where} refused us: {_said(exc)}; check user and password (in the URL, USER_STATE_REDIS_PASSWORD or the"
        " password's file), and the user's ACL"
    )


def _is_denied(exc: BaseException) -> bool:
    return isinstance(exc, _DENIED) or (isinstance(exc, RedisError) and _DENIED_TEXT.search(_said(exc)) is not None)


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it, up to what we have translated already."""
    while exc is not None and not isinstance(exc, StoreError):
        yield exc
        exc = exc.__cause__ or exc.__context__


def _said(exc: BaseException) -> str:
    """Return what the server said, without the command that it said it of."""
    return _OF_PIPELINE.sub("", str(exc)).rstrip(".")


def broke_off(exc: StoreUnavailable) -> bool:
    """Return whether the connection broke, instead of the server being slow, full or not ready."""
    cause = exc.__cause__
    return isinstance(cause, RedisConnectionError) and not isinstance(cause, RedisTimeoutError | BusyLoadingError)


def other_types(client: Any, url: str, keys: Sequence[str]) -> dict[str, str]:
    """Return the types of those keys that hold something else than a string, in one round trip.

    MGET answers for such a key as for one that is not there. Raises as `translated` says.
    """
    if not keys:
        return {}
    with translated(url):
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.type(key)
        found = [answer.decode() for answer in pipeline.execute()]
    return {key: kind for key, kind in zip(keys, found, strict=True) if kind not in ("none", "string")}


def fetch(client: Any, url: str, keys: Sequence[str]) -> list[bytes | None]:
    """Return the values of keys, None where there is none, in one round trip; raises as `translated` says."""
    if not keys:
        return []
    with translated(url):
        # On a cluster the keys lie on many nodes: the client splits them, one round trip a node.
        values: list[bytes | None] = getattr(client, "mget_nonatomic", client.mget)(keys)
    return values
