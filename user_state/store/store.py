"""What a fold needs of the place where records live. Redis is one; a runner's keyed state can be another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from user_state.core.layout import Layout


class Stored(NamedTuple):
    """A user's bytes as they were read.

    Attributes:
        record: None where there is nothing.
        seen: the remembered ids, None where there are none.
        elsewhere: they come from where the store does not keep them, so it wants them even if no event is new.
    """

    record: bytes | None
    seen: bytes | None
    elsewhere: bool = False


class Replacement(NamedTuple):
    """What one user's bytes shall become, provided the record still has `expected` as its version.

    Attributes:
        user: whose.
        expected: the version that was read; empty for a user without a record.
        record: the new record.
        seen: the new remembered ids.
        expire_at_ms: when the server shall forget both, milliseconds UTC.
    """

    user: str
    expected: bytes
    record: bytes
    seen: bytes
    expire_at_ms: int


class StateStore(Protocol):
    """Reads and conditionally replaces many users' bytes at once."""

    def read(self, users: Sequence[str]) -> list[Stored]:
        """Return what is held of each user.

        Raises:
            StoreUnavailable: trying again later may help.
            StoreError: trying again will not help.
        """
        ...

    def replace(self, replacements: Sequence[Replacement]) -> list[bool]:
        """Replace each user's record and remembered ids in one atomic step; return which versions still matched.

        Returns only when what was replaced is as durable as the store was set up to make it.

        Raises:
            StoreUnavailable: some may have been replaced and some not.
            StoreError: trying again will not help.
        """
        ...

    def confirm(self) -> None:
        """Return when all that has been read is as durable as the store was set up to make it.

        Raises:
            StoreUnavailable, StoreError: as `replace`.
        """
        ...

    def layout(self, fingerprint: bytes) -> Layout | None:
        """Return a layout that was registered, or None.

        Raises:
            CodecError: what is registered is no layout.
        """
        ...

    def register(self, layout: Layout) -> None:
        """Remember a layout by its fingerprint, for as long as there may be records of it."""
        ...
