"""Stored bytes -> records in the plan's layout, whatever layout they were written in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from user_state.codec.adopt import adopt
from user_state.codec.record import Outer, decode_records, open_record
from user_state.core.layout import Layout
from user_state.core.plan import Plan
from user_state.core.records import Records, merge
from user_state.errors import CodecError


class LayoutSource(Protocol):
    """Knows registered layouts."""

    def layout(self, fingerprint: bytes) -> Layout | None:
        """Return the layout with this fingerprint, or None.

        Raises:
            CodecError: what is registered is no layout.
        """
        ...


class RecordReader:
    """Decodes records of any registered layout for one plan; remembers the layouts it met."""

    def __init__(self, plan: Plan, source: LayoutSource) -> None:
        self._plan = plan
        self._source = source
        self._known = {plan.layout.fingerprint: plan.layout}

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

    def _layout(self, fingerprint: bytes) -> Layout:
        layout = self._known.get(fingerprint) or self._source.layout(fingerprint)
        if layout is None:
            raise CodecError(f"expected a record of a registered layout, got layout {fingerprint.hex()}")
        if layout.fingerprint != fingerprint:
            # Whoever changed it: records read by another layout than wrote them would make sense that is none.
            raise CodecError(f"expected layout {fingerprint.hex()} under its name, got {layout.fingerprint.hex()}")
        self._known[fingerprint] = layout
        return layout
