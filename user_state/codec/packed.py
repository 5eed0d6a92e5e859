"""Folding events into packed records.

The compiled code refuses whatever it was not made for, without a reason: bytes that are no record, and records of
another layout. Those are migrated, and folded then; migration also has the words for what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from user_state.codec.migrate import Blobs, Migrate
from user_state.codec.programs import blanks_of
from user_state.codec.record import MARKER, decode_records, encode_records, open_record
from user_state.core import compiled as native
from user_state.core.events import I64, Events
from user_state.core.kll import unite
from user_state.core.plan import Plan
from user_state.core.records import merge

TOO_LARGE = "with these events the record would hold more than its bytes can count"
"""What is wrong with users whose records may stay as they are, and take other events."""
_NO_RECORD = (0, 0, 0, 0)


@dataclass(frozen=True)
class Heads:
    """What n records say without being unpacked, each (n,).

    Attributes:
        clock_us: greatest publish time among the applied events; 0 for a user without any.
        last_event_us: greatest event time among the applied events; 0 for a user without any.
        horizon_us: event times from which on the remembered ids are complete, 0 for a user without any; earlier events
            are refused, whatever lateness the spec allows.
        applied: how many events the record is made of.
    """

    clock_us: I64
    last_event_us: I64
    horizon_us: I64
    applied: I64

    def __len__(self) -> int:
        return len(self.clock_us)


class PackedRecords:
    """Reads and folds the packed records of one plan.

    Args:
        plan: what they hold.
        migrate: for records that are of another layout.
    """

    def __init__(self, plan: Plan, migrate: Migrate) -> None:
        self._plan = plan
        self._migrate = migrate
        self._native = native.Folder(plan, MARKER, blanks_of(plan), unite)

    def heads(self, blobs: Blobs) -> Heads:
        """Return what n users' records say of their time, whatever layout they are of.

        Raises:
            CodecError: bytes that are no record.
        """
        found = self._native.heads(blobs)
        if found is None:
            longs = [_NO_RECORD if blob is None else open_record(blob).longs for blob in blobs]
            found = np.array(longs, np.int64).reshape(-1, len(_NO_RECORD)).T
        return Heads(*found)

    def fold(
        self, blobs: Blobs, events: Events, horizon_us: I64, versions: Sequence[bytes]
    ) -> tuple[list[bytes | None], dict[int, str]]:
        """Return the records of the n users of `events` with the events folded in, and what was wrong by user.

        The records of users without events are None, and so are those of users whose bytes make no sense, or whose new
        record would be TOO_LARGE.

        Args:
            blobs: n packed records, None being a user without one.
            events: of those users, in their order.
            horizon_us: (n,) what the records say of it from now on, unless they say more already.
            versions: n new versions, 8 bytes each; those of users without events are not looked at.

        Raises:
            StoreUnavailable, StoreError: as `migrate`.
        """
        folded = self._fold(blobs, events, horizon_us, versions)
        broken: dict[int, str] = {}
        if None not in folded:
            return folded, broken
        left = np.fromiter((record is None for record in folded), np.bool_, len(folded))
        users, rest = events.take(left[events.user]).of_their_users()
        if not len(rest):
            return folded, broken
        who = users.tolist()
        moved, wrong = self._migrate([blobs[user] for user in who])
        again = self._fold(moved, rest, horizon_us[users], [versions[user] for user in who])
        for at, user in enumerate(who):
            if at in wrong or again[at] is None:
                broken[user] = wrong.get(at, TOO_LARGE)
            else:
                folded[user] = again[at]
        return folded, broken

    def merge(self, a: Blobs, b: Blobs, versions: Sequence[bytes]) -> list[bytes]:
        """Return the records of the same n users, each made of two records of disjoint sets of events."""
        layout = self._plan.layout
        one, other = (
            decode_records([None if blob is None else open_record(blob) for blob in blobs], layout) for blobs in (a, b)
        )
        return encode_records(merge(self._plan, one, other), layout, versions)

    def _fold(self, blobs: Blobs, events: Events, horizon_us: I64, versions: Sequence[bytes]) -> list[bytes | None]:
        folded = self._native.fold(blobs, events, horizon_us, versions)
        if folded is None:
            raise ValueError("expected a record, a horizon and a version of 8 bytes for each user of the events")
        return folded
