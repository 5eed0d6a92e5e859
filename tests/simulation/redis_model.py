"""A model of Redis: the commands that the store uses, in Python, with a clock of its own and every way to lose data.

`test_redis_model.py` holds it against a real Valkey: the same calls give the same answers and leave the same keys. The
Lua scripts are written here once more; nothing else of the store is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, ResponseError

import user_state.store

SCRIPTS = Path(user_state.store.__file__).parent
Value = bytes | dict[bytes, bytes] | list[bytes]
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
WRITES = frozenset({"SET", "HSET", "DEL", "EVALSHA"})


class RedisModel:
    """One server.

    Attributes:
        now_ms: its clock.
        refuses: an error that it answers writes with, None for none.
        most_bytes: of one argument; a larger one breaks the connection.
    """

    def __init__(self) -> None:
        self.now_ms = 0
        self.refuses: str | None = None
        self.most_bytes = 512 << 20
        self._data: dict[bytes, tuple[Value, int]] = {}
        self._scripts: dict[str, Callable[[list[bytes], list[bytes]], Any]] = {}
        self._synced: dict[bytes, tuple[Value, int]] = {}

    def call(self, *command: Any) -> Any:
        """Run a command; return its answer, an error among them."""
        name, *arguments = command
        try:
            if self.refuses is not None and (name in WRITES or self.refuses.startswith(("LOADING", "NOPERM"))):
                raise _error(self.refuses)
            return getattr(self, f"_{name.lower()}")(*map(_bytes, arguments))
        except ResponseError as exc:
            return exc

    # What is lost, and how

    def copy(self) -> dict[bytes, tuple[Value, int]]:
        """Return what it holds, as a snapshot or a replica would."""
        return {key: (_copied(value), expires) for key, (value, expires) in self._data.items()}

    def restart(self, data: Mapping[bytes, tuple[Value, int]] | None) -> None:
        """Start again with a snapshot, or with what was synced to its append-only file; scripts are forgotten."""
        source = self._synced if data is None else data
        self._data = {key: (_copied(value), expires) for key, (value, expires) in source.items()}
        self._scripts = {}

    def flush(self) -> None:
        """Forget every key, and no script."""
        self._data = {}

    def evict(self, key: bytes) -> None:
        """Forget one key."""
        self._data.pop(key, None)

    def all_keys(self) -> list[bytes]:
        """Return the keys that are there."""
        return [key for key in self._data if self._live(key) is not None]

    def get(self, key: str) -> Value | None:
        """Return what a key holds."""
        return self._live(key.encode())

    def put(self, key: str, value: Value) -> None:
        """Have a key hold something, whoever wrote it."""
        self._data[key.encode()] = (value, 0)

    # Commands

    def _live(self, key: bytes) -> Value | None:
        held = self._data.get(key)
        if held is None or (held[1] and held[1] <= self.now_ms):
            return None
        return held[0]

    def _text(self, key: bytes) -> bytes | None:
        value = self._live(key)
        if value is not None and not isinstance(value, bytes):
            raise ResponseError(WRONG_TYPE)
        return value

    def _hash(self, key: bytes) -> dict[bytes, bytes]:
        value = self._live(key)
        if value is not None and not isinstance(value, dict):
            raise ResponseError(WRONG_TYPE)
        return {} if value is None else value

    def _get(self, key: bytes) -> bytes | None:
        return self._text(key)

    def _mget(self, *keys: bytes) -> list[bytes | None]:
        found = (self._live(key) for key in keys)
        return [value if isinstance(value, bytes) else None for value in found]

    def _exists(self, *keys: bytes) -> int:
        return sum(self._live(key) is not None for key in keys)

    def _del(self, *keys: bytes) -> int:
        return sum(self._data.pop(key, None) is not None for key in keys)

    def _hget(self, key: bytes, field: bytes) -> bytes | None:
        return self._hash(key).get(field)

    def _hgetall(self, key: bytes) -> dict[bytes, bytes]:
        return dict(self._hash(key))

    def _hset(self, key: bytes, *pairs: bytes) -> int:
        self._data[key] = ({**self._hash(key), **dict(zip(pairs[::2], pairs[1::2], strict=True))}, 0)
        return 0

    def _set(self, key: bytes, value: bytes, *options: bytes) -> bytes | None:
        before = self._text(key) if b"GET" in options else None
        expires = self.now_ms + int(options[options.index(b"PX") + 1]) if b"PX" in options else 0
        if not (b"NX" in options and self._live(key) is not None):
            self._data[key] = (value, expires)
        return before

    def _waitaof(self, *_: bytes) -> list[int]:
        self._synced = self.copy()
        return [1, 0]

    def _ping(self) -> bool:
        return True

    def load(self, text: str) -> str:
        """SCRIPT LOAD of one of the store's files."""
        sha = hashlib.sha1(text.encode()).hexdigest()
        for name, script in (
            ("replace.lua", self._replace),
            ("registry.lua", self._registry),
            ("beat.lua", self._beat),
        ):
            if text == (SCRIPTS / name).read_text():
                self._scripts[sha] = script
        assert sha in self._scripts, "a script that the model does not know"
        return sha

    def _evalsha(self, sha: bytes, count: bytes, *rest: bytes) -> Any:
        script = self._scripts.get(sha.decode())
        if script is None:
            raise NoScriptError("NOSCRIPT No matching script. Please use EVAL.")
        return script(list(rest[: int(count)]), list(rest[int(count) :]))

    def _replace(self, keys: list[bytes], argv: list[bytes]) -> Any:
        """replace.lua."""
        epoch, writer, keys_a_user, turn_ms = int(argv[0]), argv[1], int(argv[2]), argv[3]
        registry, of_users = None, keys
        if len(keys) % keys_a_user:
            registry, of_users = keys[0], keys[1:]
            held = self._hash(registry)
            current = int(held.get(b"epoch", b"0"))
            if current != epoch:
                return -2 if current > epoch else -3
            if keys_a_user == 2 and int(held.get(b"turns_until", b"0")) > self.now_ms:
                return -4
        answers = []
        for at in range(0, len(of_users), keys_a_user):
            user = 4 + at // keys_a_user * 4
            turn = of_users[at + 2] if keys_a_user == 3 else None
            pair = (of_users[at], of_users[at + 1])
            try:
                answers.append(self._replace_one(pair, turn, argv[user : user + 4], writer, turn_ms, registry, epoch))
            except ResponseError as exc:
                answers.append(str(exc).encode())
        return answers

    def _replace_one(
        self,
        pair: tuple[bytes, bytes],
        turn: bytes | None,
        values: list[bytes],
        writer: bytes,
        turn_ms: bytes,
        registry: bytes | None,
        epoch: int,
    ) -> int:
        expected, record, seen, expire_at = values
        if (self._text(pair[0]) or b"")[10:18] != expected:
            if turn is not None and turn_ms != b"0":
                self._set(turn, writer, b"NX", b"PX", turn_ms)
                if registry is not None:
                    until = max(int(self._hash(registry).get(b"turns_until", b"0")), self.now_ms + int(turn_ms))
                    self._hset(registry, b"turns_until", str(until).encode())
            return 0
        beside = (self._text(pair[1]) or b"")[9:17]
        if len(beside) == 8 and int.from_bytes(beside, "big") > epoch:
            return -2
        if record == b"":
            return 1
        holder = None if turn is None else self._text(turn)
        if holder is not None and turn is not None:
            if holder != writer:
                return -1
            self._del(turn)
        for key, value in zip(pair, (record, seen), strict=True):
            self._data[key] = (value, int(expire_at))
        return 1

    def _beat(self, keys: list[bytes], argv: list[bytes]) -> bytes:
        """beat.lua."""
        batch, _, loss = (self._text(keys[0]) or b"0").partition(b":")
        if loss == argv[3]:
            loss = b""
        if int(batch) < int(argv[1]):
            loss = argv[0]
        self._set(keys[0], argv[0] + b":" + loss if loss else argv[0], b"PX", argv[2])
        return loss

    def _registry(self, keys: list[bytes], argv: list[bytes]) -> list[Any]:
        """registry.lua."""
        mode, definition, proposed, fingerprint, layout = argv
        held = self._hash(keys[0])
        current, epoch = held.get(b"current"), int(held.get(b"epoch", b"0"))
        new = int(proposed)
        if mode in (b"propose", b"force"):
            new = max(new, epoch + 1)
        if current == definition and mode != b"force":
            epoch = max(epoch, new) if mode == b"assert" else epoch
        elif new > epoch and not (mode in (b"claim", b"propose") and b"spec:" + definition in held):
            epoch = new
        else:
            return [0, str(epoch).encode()]
        number = str(epoch).encode()
        if mode != b"propose":
            fields = (b"current", definition, b"epoch", number, b"spec:" + definition, number)
            self._hset(keys[0], *fields, b"layout:" + fingerprint, layout)
        return [1, number]


def _bytes(argument: Any) -> bytes:
    return argument if isinstance(argument, bytes) else str(argument).encode()


def _copied(value: Value) -> Value:
    return dict(value) if isinstance(value, dict) else value


def _error(text: str) -> ResponseError:
    kind = {"OOM": OutOfMemoryError, "READONLY": ReadOnlyError}.get(text.split(maxsplit=1)[0], ResponseError)
    return kind(text)
