"""What a fold needs of the place where records live. Redis is one; a runner's keyed state can be another."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from user_state.core.layout import Layout
from user_state.store.registry import Writer


class Stored(NamedTuple):
    """A user's bytes as they were read.

    Attributes:
        record: None where there is nothing.
        seen: the remembered ids (`user_state.state.seen`), None where there are none.
        lost: a record without its ids, or ids without their record: the store has lost the other.
        elsewhere: they come from where the store does not keep them, so it wants them even if no event is new.
        refused: why the store cannot give this user's bytes, None where it can.
    """

    record: bytes | None
    seen: bytes | None
    lost: bool = False
    elsewhere: bool = False
    refused: str | None = None


class Replacement(NamedTuple):
    """What one user's bytes shall become, provided the record still has `expected` as its version.

    Attributes:
        user: whose.
        expected: the version that was read; empty for a user without a record.
        record: the new record; None to find out only whether the version is still the expected one.
        seen: the new remembered ids (`user_state.state.seen`).
        expire_at_ms: when the server shall forget both, milliseconds UTC.
        turn_ms: for how long nobody else may write the user, should this be refused; 0 asks for no such turn.
    """

    user: str
    expected: bytes
    record: bytes | None
    seen: bytes = b""
    expire_at_ms: int = 0
    turn_ms: int = 0


class Answer(IntEnum):
    """What became of one replacement."""

    DONE = 1
    """Replaced; or, where nothing was to be replaced, the version is the expected one."""
    CONFLICT = 0
    """The record has another version: somebody else was faster, or what was read is no longer there."""
    BUSY = -1
    """It is another writer's turn."""


class Refused(NamedTuple):
    """The store takes this user's bytes from nobody; it says nothing against the others."""

    reason: str


class Replaced(NamedTuple):
    """What became of a batch of replacements.

    Attributes:
        answers: one for each.
        went_back: the store no longer has what it had confirmed to this worker before: it has lost data.
    """

    answers: list[Answer | Refused]
    went_back: bool = False


class StateStore(Protocol):
    """Reads and conditionally replaces many users' bytes at once."""

    def claim(self, writer: Writer) -> None:
        """Say which spec is going to write; call it before anything else, and again whenever it fails.

        Raises:
            SpecSuperseded: a newer spec writes.
            StoreUnavailable, StoreError: as `read`.
        """
        ...

    def read(self, users: Sequence[str]) -> list[Stored]:
        """Return what is held of each user.

        Raises:
            StoreUnavailable: trying again later may help.
            StoreError: trying again will not help.
        """
        ...

    def replace(self, replacements: Sequence[Replacement]) -> Replaced:
        """Replace each user's record and remembered ids in one atomic step, if the version still matches.

        Returns only when what was replaced, compared or read before is as durable as the store was set up to make it;
        with no replacements it waits for that alone.

        Raises:
            SpecSuperseded: a newer spec writes; some may have been replaced before it did.
            StoreUnavailable: some may have been replaced and some not.
            StoreError: trying again will not help.
        """
        ...

    def layout(self, fingerprint: bytes) -> Layout | None:
        """Return a layout that was registered, or None.

        Raises:
            CodecError: what is registered is no layout.
        """
        ...
