"""A limit for a whole call, whatever it sends and reads: redis-py's timeouts begin anew with every byte that comes.

A server that sends a byte now and then holds a caller for as long as it likes, if only the wait for each piece is
limited. So sockets look at when the call of their thread has to end. The connections here are redis-py's, with such
sockets; what they cannot limit is looking a host name up.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection

_call = threading.local()


@contextmanager
def within(timeout_s: float) -> Iterator[None]:
    """Limit all that this thread sends to and reads from Redis to so many seconds; of nested limits the outer holds."""
    if getattr(_call, "ends_s", None) is not None:
        yield
        return
    _call.ends_s = time.monotonic() + timeout_s
    try:
        yield
    finally:
        _call.ends_s = None


def _left_s(timeout_s: float | None) -> float | None:
    """Return how long a step may take that takes `timeout_s` without a limit.

    Raises:
        TimeoutError: the call has to be over.
    """
    ends_s = getattr(_call, "ends_s", None)
    if ends_s is None:
        return timeout_s
    left_s = float(ends_s - time.monotonic())
    if left_s <= 0:
        raise TimeoutError("timed out")
    return left_s if timeout_s is None else min(left_s, timeout_s)


class LimitedSocket:
    """A connected socket that waits no longer than the call of its thread may take."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._timeout_s = connected.gettimeout()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def settimeout(self, timeout_s: float | None) -> None:
        """Set how long a step may take."""
        self._timeout_s = timeout_s
        self._socket.settimeout(timeout_s)

    def recv_into(self, *arguments: Any) -> int:
        """Read what there is, waiting for it if there is nothing yet."""
        self._socket.settimeout(_left_s(self._timeout_s))
        return self._socket.recv_into(*arguments)

    def recv(self, *arguments: Any) -> bytes:
        """Read what there is, waiting for it if there is nothing yet."""
        self._socket.settimeout(_left_s(self._timeout_s))
        return self._socket.recv(*arguments)

    def sendall(self, *arguments: Any) -> None:
        """Write it all."""
        self._socket.settimeout(_left_s(self._timeout_s))
        self._socket.sendall(*arguments)


class _Limited:
    """Gives redis-py's connections such sockets."""

    socket_connect_timeout: float | None

    def _connect(self) -> Any:
        configured_s = self.socket_connect_timeout
        self.socket_connect_timeout = _left_s(configured_s)
        try:
            return LimitedSocket(super()._connect())  # type: ignore[misc]
        finally:
            self.socket_connect_timeout = configured_s


class LimitedConnection(_Limited, Connection):
    """Over TCP."""


class LimitedTlsConnection(_Limited, SSLConnection):
    """Over TLS."""


class LimitedUnixConnection(_Limited, UnixDomainSocketConnection):
    """Over a Unix socket."""


def limited_connection(scheme: str) -> type:
    """Return the kind of connection for a URL's scheme.

    >>> limited_connection("rediss").__name__
    'LimitedTlsConnection'
    """
    return {"unix": LimitedUnixConnection, "rediss": LimitedTlsConnection}.get(scheme, LimitedConnection)
