"""Which spec writes the records of a name, and the layouts of all that did: one hash beside the records (registry.lua).

    {name}:registry    current            the definition of the spec that writes, hex
                       epoch         when it began to, microseconds UTC: a greater one is newer
                       spec:<definition>  the epoch of each that did
                       layout:<fingerprint>  each layout, as JSON (`user_state.plan.layout`)

A spec that was never seen supersedes the current one; one that was is an older spec, and goes on only if somebody says
so (`user-state rollback`). Whoever writes records names its epoch, and is refused once there is a newer one. A
epoch is a time, so that after Redis has lost the hash, the newer of two runs is still the newer.

Everything lies in one hash, so that it is lost together: whoever finds the epoch finds the layouts.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from user_state.errors import CodecError, SpecSuperseded, StoreError
from user_state.plan.layout import Layout
from user_state.store.connection import masked, translated
from user_state.store.keys import registry_key
from user_state.store.script import Script

_LAYOUT = "layout:"
_SPEC = b"spec:"
SUPERSEDED, UNREGISTERED = -2, -3
"""What the scripts that write records answer where a newer spec writes, and where the registry does not know theirs."""
Mode = Literal["propose", "claim", "assert", "force"]


@dataclass(frozen=True)
class Writer:
    """A spec that writes records.

    Attributes:
        layout: of the records.
        definition: eight bytes that name what the spec writes (`Plan.definition`).
        epoch: when the spec began to write, microseconds UTC.
    """

    layout: Layout
    definition: bytes
    epoch: int


@dataclass(frozen=True)
class Registered:
    """What a registry says of the specs that write, or wrote, records of a name.

    Attributes:
        current: the definition of the spec that writes now, None if none ever did.
        epoch: when it began to, microseconds UTC; 0 if none did.
        known: the epoch of each definition that ever wrote.
    """

    current: bytes | None
    epoch: int
    known: Mapping[bytes, int]


class Registry:
    """The registry of one name, and who writes by it; every method raises as `translated` says.

    Args:
        redis: a client of the server at `url`.
        url: where, for messages.
        name: of the spec.
    """

    def __init__(self, redis: Any, url: str, name: str) -> None:
        self._redis, self._url, self._name = redis, url, name
        self._script = Script("registry.lua")
        self._writer: Writer | None = None
        self._met: dict[bytes, Layout] = {}

    @property
    def key(self) -> str:
        """The hash's key."""
        return registry_key(self._name)

    @property
    def claimed(self) -> Writer:
        """The writer that has claimed the records.

        Raises:
            StoreError: none has yet.
        """
        if self._writer is None:
            raise StoreError(f"expected a claim of {self._name} before records are written, got none")
        return self._writer

    @property
    def epoch_claimed(self) -> int:
        """The epoch of the writer that has claimed the records, 0 before."""
        return 0 if self._writer is None else self._writer.epoch

    def propose(self, writer: Writer) -> Writer:
        """Return the writer with the epoch that it can write with; nothing changes yet.

        Raises:
            SpecSuperseded: it is an older spec.
        """
        return self._ask("propose", writer)

    def claim(self, writer: Writer) -> None:
        """Make a spec the one that writes, unless it is already.

        Raises:
            SpecSuperseded: it is an older spec, or a newer one came in between.
        """
        self._writer = self._ask("claim", writer)

    def restore(self) -> None:
        """Register the claimed writer anew, and the layouts that were met: Redis may have lost them.

        If another run of the same spec has claimed a later epoch, that is taken over.

        Raises:
            SpecSuperseded: there is a newer spec.
        """
        # Layouts first: a newer spec has to read what this one has written.
        layouts = [self.claimed.layout, *self._met.values()]
        with translated(self._url):
            self._redis.hset(self.key, mapping={_field(one.fingerprint): one.to_json() for one in layouts})
        self._writer = self._ask("assert", self.claimed)

    def force(self, writer: Writer) -> Writer:
        """Make a spec the one that writes, though it be an older one; return the writer with its epoch."""
        return self._ask("force", writer)

    def layout(self, fingerprint: bytes) -> Layout | None:
        """Return a registered layout, or None.

        Raises:
            CodecError: what is registered is no layout.
        """
        with translated(self._url):
            text = self._redis.hget(self.key, _field(fingerprint))
        if text is None:
            return None
        self._met[fingerprint] = layout = Layout.from_json(text)
        return layout

    def layouts(self) -> dict[bytes, Layout]:
        """Return all registered layouts, by fingerprint.

        Raises:
            CodecError: one is no layout, or lies under another's name.
        """
        with translated(self._url):
            held: Mapping[bytes, bytes] = self._redis.hgetall(self.key)
        layouts = {}
        for field, text in held.items():
            if field.startswith(_LAYOUT.encode()):
                layout = Layout.from_json(text)
                if field != _field(layout.fingerprint).encode():
                    raise CodecError(
                        f"expected layout {field.decode(errors='replace').removeprefix(_LAYOUT)} under its name, got"
                        f" {layout.fingerprint.hex()}"
                    )
                layouts[layout.fingerprint] = layout
        return layouts

    def epoch(self) -> int:
        """Return the epoch of the spec that writes now, 0 if none is registered."""
        with translated(self._url):
            return int(self._redis.hget(self.key, "epoch") or 0)

    def registered(self) -> Registered:
        """Return which specs write, or wrote."""
        with translated(self._url):
            held: Mapping[bytes, bytes] = self._redis.hgetall(self.key)
        current = held.get(b"current")
        return Registered(
            None if current is None else bytes.fromhex(current.decode()),
            int(held.get(b"epoch", 0)),
            {
                bytes.fromhex(field.removeprefix(_SPEC).decode()): int(epoch)
                for field, epoch in held.items()
                if field.startswith(_SPEC)
            },
        )

    def superseded(self, epoch: int) -> SpecSuperseded:
        """Return the error for a writer when a spec of another, newer epoch writes: microseconds UTC."""
        since = datetime.datetime.fromtimestamp(epoch / 1e6, datetime.UTC).isoformat(" ", "seconds")
        return SpecSuperseded(
            f"another spec named {self._name} writes the records in Redis at {masked(self._url)} since {since}, so this"
            " one no longer may: nothing more is written or acknowledged. To try two specs side by side, give them"
            " different names; to go back to this one, run `user-state rollback`"
        )

    def _ask(self, mode: Mode, writer: Writer) -> Writer:
        layout = writer.layout
        values = (mode, writer.definition.hex(), writer.epoch, layout.fingerprint.hex(), layout.to_json())
        with translated(self._url):
            wins, epoch = self._script.run(self._redis, [self.key], *values)
        if not wins:
            raise self.superseded(int(epoch))
        return Writer(layout, writer.definition, int(epoch))


def _field(fingerprint: bytes) -> str:
    return f"{_LAYOUT}{fingerprint.hex()}"
