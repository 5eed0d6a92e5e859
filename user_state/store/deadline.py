"""A limit for a whole call, whatever it sends and reads: redis-py's timeouts begin anew with every byte that comes.

A server that sends a byte now and then holds a caller for as long as it likes, if only the wait for each piece is
limited. So sockets look at when the call of their thread has to end. The connections here are redis-py's, with such
sockets; what they cannot limit is looking a host name up.
"""

from __future__ import annotations

import email.parser
import encodings.idna
import socket
import threading
import time
from types import TracebackType
from typing import Any

import hiredis
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection

# What Python and redis-py import when the first connection opens, under a lock that a child forked at that moment would
# wait for for ever.
IMPORTED_EARLY = (email.parser, encodings.idna, hiredis)
RECEIVE_BYTES = 128 * 1024
"""How much is read from a socket at once: little enough to stay in the processor's cache until it is taken apart."""

_call = threading.local()


class within:  # noqa: N801 - reads as the statement that it is part of
    """Limits all that this thread sends to and reads from Redis, in seconds; of nested limits the outer holds."""

    __slots__ = ("_is_outer", "_timeout_s")

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    def __enter__(self) -> None:
        self._is_outer = getattr(_call, "ends_s", None) is None
        if self._is_outer:
            _call.ends_s = time.monotonic() + self._timeout_s

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_outer:
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
        self._unread = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def settimeout(self, timeout_s: float | None) -> None:
        """Set how long a step may take."""
        self._timeout_s = timeout_s
        self._socket.settimeout(timeout_s)

    def recv_into(self, buffer: Any, *arguments: Any) -> int:
        """Read what there is, waiting for it if there is nothing yet."""
        if self._unread:
            taken = memoryview(buffer).cast("B")
            size = min(len(taken), len(self._unread))
            taken[:size], self._unread = self._unread[:size], self._unread[size:]
            return size
        self._socket.settimeout(_left_s(self._timeout_s))
        return self._socket.recv_into(buffer, *arguments)

    def recv(self, *arguments: Any) -> bytes:
        """Read what there is, waiting for it if there is nothing yet."""
        if self._unread:
            unread, self._unread = self._unread, b""
            return unread
        self._socket.settimeout(_left_s(self._timeout_s))
        return self._socket.recv(*arguments)

    def put_back(self, unread: bytes) -> None:
        """Have `recv_into` find these bytes before all others."""
        self._unread = unread + self._unread

    def sendall(self, *arguments: Any) -> None:
        """Write it all."""
        self._socket.settimeout(_left_s(self._timeout_s))
        self._socket.sendall(*arguments)


class _Limited:
    """Gives redis-py's connections such sockets."""

    socket_connect_timeout: float | None
    stream: LimitedSocket
    """The socket while it is connected, for who reads answers himself."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.received = bytearray()

    def _connect(self) -> Any:
        configured_s = self.socket_connect_timeout
        self.socket_connect_timeout = _left_s(configured_s)
        try:
            self.stream = LimitedSocket(super()._connect())  # type: ignore[misc]
        finally:
            self.socket_connect_timeout = configured_s
        return self.stream


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
    if scheme == "unix":
        return LimitedUnixConnection
    return LimitedTlsConnection if scheme.startswith("rediss") else LimitedConnection
