"""Reading many keys within one limit of time: what a ranking service waits for.

Keys are asked for in pieces of bounded size, so that no answer blocks the server for long. Of redis-py this takes the
connections, which know of TLS, passwords and timeouts, and not the commands, whose layers cost more than the reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse

from user_state import native
from user_state.errors import StoreError
from user_state.store.connection import translated
from user_state.store.deadline import RECEIVE_BYTES, within
from user_state.store.look_up_cluster import Value, look_up_cluster
from user_state.store.server import Server

MOST_KEYS = 1_000
"""How many keys one command asks for."""
CLOSED = "Connection closed by server."
"""As redis-py says it."""


class Taking(Protocol):
    """Takes values out of answers while those come; `user_state.reading.features.ComingRecords` says more."""

    @property
    def taken(self) -> int: ...  # noqa: D102
    @property
    def foreign(self) -> bool: ...  # noqa: D102
    @property
    def broken(self) -> bool: ...  # noqa: D102
    def take(self, buffer: bytearray, filled: int) -> int: ...  # noqa: D102
    def put(self, blobs: Sequence[Value]) -> None: ...  # noqa: D102


def look_up(server: Server, keys: Sequence[str]) -> list[Value | StoreError]:
    """Return the values of keys, None where there is none; on a cluster an error where a node did not answer.

    Raises:
        StoreUnavailable, StoreError: as `translated`: the server, or every node that was asked, did not answer.
    """
    found: list[Value | StoreError] = []
    with within(server.timeout_s):
        for begin in range(0, len(keys), MOST_KEYS):
            some = keys[begin : begin + MOST_KEYS]
            found += look_up_cluster(server.client, server.url, some) if server.is_cluster else _values(server, some)
    return found


def look_up_into(server: Server, keys: Sequence[str], into: Taking) -> None:
    """Have the values of keys taken while the server sends them; of a single server. Raises as `look_up`."""
    with within(server.timeout_s), translated(server.url):
        for begin in range(0, len(keys), MOST_KEYS):
            some = keys[begin : begin + MOST_KEYS]
            server.converse(partial(_take, _pack(some), len(some), into))


def _pack(keys: Sequence[str]) -> list[bytes]:
    return [native.pack_mget(keys)]


def _values(server: Server, keys: Sequence[str]) -> list[Value]:
    packed = _pack(keys)

    def ask(connection: Any) -> list[Value]:
        connection.send_packed_command(packed, check_health=False)
        values: list[Value] = connection.read_response()
        return values

    with translated(server.url):
        return server.converse(ask)


def _take(packed: list[bytes], values: int, into: Taking, connection: Any) -> None:
    """Send a command, and have so many values taken.

    Raises:
        ConnectionError: nothing came, since the connection is closed.
        RedisError, OSError: something else went wrong.
    """
    connection.send_packed_command(packed, check_health=False)
    stream, buffer, filled = connection.stream, connection.received, 0
    has_begun = False
    wanted = into.taken + values
    while into.taken < wanted:
        if filled == len(buffer):
            buffer.extend(bytes(max(RECEIVE_BYTES, len(buffer))))
        try:
            received = stream.recv_into(memoryview(buffer)[filled:] if filled else buffer)
        except ConnectionError as exc:
            raise _closed(has_begun) from exc
        if received == 0:
            raise _closed(has_begun)
        has_begun = True
        filled = into.take(buffer, filled + received)
        if into.foreign:  # an error, or what a server tells unasked: redis-py knows what it is
            stream.put_back(bytes(buffer[:filled]))
            into.put(connection.read_response())
            return
        if into.broken:
            raise InvalidResponse("expected an array of values")


def _closed(has_begun: bool) -> Exception:
    return OSError(CLOSED) if has_begun else RedisConnectionError(CLOSED)
