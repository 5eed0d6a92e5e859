"""Reading many keys of a cluster: every node is asked at once, in one pipeline of GETs each.

An MGET would be a command a slot. A node that does not answer costs only its own keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import AskError, ClusterDownError, MovedError, RedisError, ResponseError

from user_state.errors import StoreError
from user_state.store.connection import translated

Value = bytes | None


def look_up_cluster(client: Any, url: str, keys: Sequence[str]) -> list[Value | StoreError]:
    """Return the values of keys, None where there is none; an error where a node did not answer.

    Raises:
        StoreUnavailable, StoreError: as `translated`: no node that was asked answered.
    """
    of_node: dict[Any, list[int]] = {}
    with translated(url):
        for place, key in enumerate(keys):
            node = client.nodes_manager.get_node_from_slot(client.keyslot(key))
            of_node.setdefault(node, []).append(place)
    found: list[Value | StoreError] = [None] * len(keys)
    asked: list[tuple[Any, Any, list[int]]] = []
    failed: StoreError | None = None
    for node, places in of_node.items():
        try:
            with translated(url):
                asked.append((*_ask(client, node, [keys[place] for place in places]), places))
        except StoreError as exc:
            failed = _fail(found, places, exc)
    moved: list[int] = []
    for pool, connection, places in asked:
        try:
            with translated(url):
                _take(pool, connection, places, found, moved)
        except StoreError as exc:
            failed = _fail(found, places, exc)
    for place in moved:
        try:
            with translated(url):
                found[place] = client.get(keys[place])
        except StoreError as exc:
            failed = _fail(found, [place], exc)
    if failed is not None and all(isinstance(value, StoreError) for value in found):
        raise failed
    return found


def _ask(client: Any, node: Any, keys: Sequence[str]) -> tuple[Any, Any]:
    """Send a node all GETs at once; return its pool and the connection that the answers come by."""
    pool = client.get_redis_connection(node).connection_pool
    connection = pool.get_connection()
    try:
        connection.send_packed_command(connection.pack_commands([("GET", key) for key in keys]))
    except BaseException:
        pool.release(connection)
        raise
    return pool, connection


def _take(pool: Any, connection: Any, places: Sequence[int], found: list[Value | StoreError], moved: list[int]) -> None:
    """Read the answers; keys that another node has by now are added to `moved`."""
    refused: ResponseError | None = None
    try:
        for place in places:
            try:
                found[place] = connection.read_response()
            except (MovedError, AskError, ClusterDownError):
                moved.append(place)
            except ResponseError as exc:
                refused = exc
    except RedisError:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)
    if refused is not None:
        raise refused


def _fail(found: list[Value | StoreError], places: Sequence[int], exc: StoreError) -> StoreError:
    for place in places:
        found[place] = exc
    return exc
