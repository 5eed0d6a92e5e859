"""The layouts that stored records have, asked for once.

A record names its layout by fingerprint. Whoever meets one that the plan does not write asks the registry for it.
"""

from __future__ import annotations

import time
from typing import Protocol

from user_state.errors import CodecError
from user_state.plan.layout import Layout

MOST_UNKNOWN = 1_000
"""How many unregistered layouts are remembered: damaged records may name any."""


class LayoutSource(Protocol):
    """Knows registered layouts."""

    def layout(self, fingerprint: bytes) -> Layout | None:
        """Return the layout with this fingerprint, or None.

        Raises:
            CodecError: what is registered is no layout.
            StoreUnavailable, StoreError: nobody can tell.
        """
        ...


class Unregistered:
    """Asks for layouts, and remembers for a while those that nobody registered.

    Args:
        source: knows layouts; None knows none.
        unknown_s: for how long a layout that nobody registered is not asked for again.
    """

    def __init__(self, source: LayoutSource | None, unknown_s: float = 0.0) -> None:
        self._source = source
        self._unknown_s = unknown_s
        self._unknown_until_s: dict[bytes, float] = {}

    def find(self, fingerprint: bytes) -> Layout:
        """Return a layout.

        Raises:
            CodecError: nobody registered it, or what is registered is no layout.
            StoreUnavailable, StoreError: as the source.
        """
        layout = None
        if self._source is not None and self._unknown_until_s.get(fingerprint, 0.0) <= time.monotonic():
            layout = self._source.layout(fingerprint)
        if layout is None:
            self._remember(fingerprint)
            raise CodecError(f"expected a record of a registered layout, got layout {fingerprint.hex()}")
        if layout.fingerprint != fingerprint:
            # Whoever changed it: records read by another layout than wrote them would make sense that is none.
            raise CodecError(f"expected layout {fingerprint.hex()} under its name, got {layout.fingerprint.hex()}")
        return layout

    def _remember(self, fingerprint: bytes) -> None:
        if self._unknown_s <= 0 or self._unknown_until_s.get(fingerprint, 0.0) > time.monotonic():
            return
        if len(self._unknown_until_s) >= MOST_UNKNOWN:
            self._unknown_until_s = {}
        self._unknown_until_s[fingerprint] = time.monotonic() + self._unknown_s
