"""Stored bytes -> records in the plan's layout, whatever layout they were written in."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from user_state.codec.adopt import adopt
from user_state.codec.record import Outer, decode_records, encode_records, open_record, version_of
from user_state.codec.sound import decode_sound
from user_state.core.layout import Layout
from user_state.core.plan import Plan
from user_state.core.records import Records, merge
from user_state.errors import CodecError

_BLANK = bytes(8)
MOST_UNKNOWN = 1_000
"""How many unregistered layouts are remembered: damaged records may name any."""


class LayoutSource(Protocol):
    """Knows registered layouts."""

    def layout(self, fingerprint: bytes) -> Layout | None:
        """Return the layout with this fingerprint, or None.

        Raises:
            CodecError: what is registered is no layout.
        """
        ...


class RecordReader:
    """Decodes records of any registered layout for one plan; remembers the layouts it met.

    Args:
        plan: what records are decoded for.
        source: knows layouts.
        unknown_s: for how long a layout that nobody registered is not asked for again.
    """

    def __init__(self, plan: Plan, source: LayoutSource, unknown_s: float = 0.0) -> None:
        self._plan = plan
        self._source = source
        self._known = {plan.layout.fingerprint: plan.layout}
        self._unknown_s = unknown_s
        self._unknown_until_s: dict[bytes, float] = {}

    def decode(self, blobs: Sequence[bytes | None]) -> Records:
        """Return n users' records, None being a user without one.

        Raises:
            CodecError: bytes that make no sense, or of a layout that nobody registered.
            StoreUnavailable, StoreError: as the source of layouts.
        """
        outers = [None if blob is None else open_record(blob) for blob in blobs]
        found = {outer.layout for outer in outers if outer is not None}
        if found <= {self._plan.layout.fingerprint}:
            return decode_records(outers, self._plan.layout)
        records = Records.empty(self._plan, len(blobs))
        for fingerprint in sorted(found):
            layout = self._layout(fingerprint)
            of_layout: list[Outer | None] = [
                outer if outer is not None and outer.layout == fingerprint else None for outer in outers
            ]
            records = merge(self._plan, records, adopt(self._plan, decode_records(of_layout, layout), layout))
        return records

    def migrate(self, blobs: Sequence[bytes | None]) -> tuple[list[bytes | None], dict[int, str]]:
        """Return n users' records in the plan's layout, and by index why some could not be read; see `Migrate`.

        Raises:
            StoreUnavailable, StoreError: as the source of layouts.
        """
        records, broken = decode_sound(self.decode, blobs)
        versions = [_BLANK if blob is None or at in broken else version_of(blob) for at, blob in enumerate(blobs)]
        moved: list[bytes | None] = list(encode_records(records, self._plan.layout, versions))
        return [None if blobs[at] is None or at in broken else one for at, one in enumerate(moved)], broken

    def _layout(self, fingerprint: bytes) -> Layout:
        layout = self._known.get(fingerprint)
        if layout is None and self._unknown_until_s.get(fingerprint, 0.0) <= time.monotonic():
            layout = self._source.layout(fingerprint)
        if layout is None:
            self._remember_unknown(fingerprint)
            raise CodecError(f"expected a record of a registered layout, got layout {fingerprint.hex()}")
        if layout.fingerprint != fingerprint:
            # Whoever changed it: records read by another layout than wrote them would make sense that is none.
            raise CodecError(f"expected layout {fingerprint.hex()} under its name, got {layout.fingerprint.hex()}")
        self._known[fingerprint] = layout
        return layout

    def _remember_unknown(self, fingerprint: bytes) -> None:
        if self._unknown_s <= 0 or self._unknown_until_s.get(fingerprint, 0.0) > time.monotonic():
            return
        if len(self._unknown_until_s) >= MOST_UNKNOWN:
            self._unknown_until_s = {}
        self._unknown_until_s[fingerprint] = time.monotonic() + self._unknown_s
