"""Redis as those use it who read a lot: connections at hand, and a new beginning in a forked process.

redis-py's pool looks at a connection's health at every use, and counts what it hands out, under a lock: that costs more
than reading a record. So connections are taken from its pool once, and then lie on a stack; there are as many as calls
ran at one time, at most the URL's `max_connections`. One that the server has closed meanwhile shows when it is used:
nothing has been answered then, and the question is put again on a new one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from user_state.store.connection import connect, masked

T = TypeVar("T")


class _Connections:
    """What one process has open.

    Attributes:
        client: redis-py's, whose pool the connections come from.
        idle: connections that no call uses. Lists give and take in one step, so that threads need no lock.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.process = os.getpid()
        self.client = connect(url, timeout_s)
        self.idle: list[Any] = []

    def give_back_all(self) -> None:
        """Give redis-py's pool what lies idle."""
        with suppress(IndexError):
            while True:
                self.client.connection_pool.release(self.idle.pop())


class Server:
    """A Redis server, or a cluster, at a URL. Threads may share it, and processes that are forked.

    Args:
        url: where.
        timeout_s: how long a call may take in all.

    Raises:
        InputError, StoreUnavailable, StoreError: as `connect`.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self._open = _Connections(url, timeout_s)
        self.is_cluster = hasattr(self._open.client, "nodes_manager")

    def __repr__(self) -> str:
        return f"Server({masked(self.url)!r})"

    @property
    def client(self) -> Any:
        """redis-py's client, for whatever is seldom asked."""
        opened = self._opened()
        if not self.is_cluster:
            opened.give_back_all()  # it may be allowed no more connections than lie here
        return opened.client

    @property
    def idle(self) -> int:
        """How many connections no call uses."""
        return len(self._open.idle)

    def close(self) -> None:
        """Close the connections; whoever asks again opens others."""
        opened = self._opened()
        if not self.is_cluster:
            opened.give_back_all()
        opened.client.close()

    def converse(self, talk: Callable[[Any], T]) -> T:
        """Return what `talk` does with a connection of its own; of a single server.

        Should it raise `ConnectionError` on a connection that was used before, it is called again with a new one: it
        has to come to the same the second time, or to raise something else.

        Raises:
            RedisError, OSError: as redis-py does; see `translated`.
        """
        opened = self._opened()
        pool = opened.client.connection_pool
        try:
            connection, is_new = opened.idle.pop(), False
        except IndexError:
            connection, is_new = pool.get_connection(), True
        while True:
            try:
                found = talk(connection)
            except ResponseError:
                opened.idle.append(connection)  # the server has answered: nothing is wrong with it
                raise
            except BaseException as exc:
                connection.disconnect()  # it may be in the middle of an answer
                pool.release(connection)
                if is_new or not isinstance(exc, RedisConnectionError):
                    raise
            else:
                opened.idle.append(connection)
                return found
            # Whatever closed this one has closed the others too.
            for other in (opened.idle.pop() for _ in range(len(opened.idle))):
                other.disconnect()
                pool.release(other)
            connection, is_new = pool.get_connection(), True

    def _opened(self) -> _Connections:
        """Return the connections of this process.

        redis-py sees a fork too, but waits for a lock for it, which the thread that held it did not bring along.
        """
        opened = self._open
        if opened.process != os.getpid():
            opened = self._open = _Connections(self.url, self.timeout_s)
        return opened
