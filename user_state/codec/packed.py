"""Folding events into packed records: compiled where it can be, in numpy where it cannot.

Both ways come to the same record, but for the last bits of floating-point sums; docs/design/native.md says what is
compiled and why. The compiled code refuses whatever it was not made for (bytes that are no record, a record of another
layout), without a reason: numpy is asked then, and has the words for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from user_state.codec.record import MARKER, encode_records, open_record
from user_state.codec.sections import SECTIONS
from user_state.codec.sound import decode_sound
from user_state.codec.strings import EMPTY
from user_state.core import compiled as native
from user_state.core.events import I64, Events
from user_state.core.plan import Plan
from user_state.core.records import Records, apply
from user_state.errors import RecordTooLarge

TOO_LARGE = "with these events the record would hold more than its bytes can count"
"""What is wrong with users whose records may stay as they are, and take other events."""
_NO_RECORD = (0, 0, 0, 0)


@dataclass(frozen=True)
class Heads:
    """What n records say without being unpacked: the fields of that name of `Records`, each (n,)."""

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
        decode: packed records -> records, of whatever layout; None is a user without one.
        compiled: whether to use the compiled code where there is any.
    """

    def __init__(
        self, plan: Plan, decode: Callable[[Sequence[bytes | None]], Records], *, compiled: bool = True
    ) -> None:
        self._plan = plan
        self._decode = decode
        self._compiled = _compiled_for(plan) if compiled else None

    @property
    def compiled(self) -> bool:
        """Whether compiled code folds."""
        return self._compiled is not None

    def heads(self, blobs: Sequence[bytes | None]) -> Heads:
        """Return what n users' records say of their time, whatever layout they are of.

        Raises:
            CodecError: bytes that are no record.
        """
        if self._compiled is not None and (found := self._compiled.heads(blobs)) is not None:
            return Heads(*found)
        longs = [_NO_RECORD if blob is None else open_record(blob).longs for blob in blobs]
        return Heads(*np.array(longs, np.int64).reshape(-1, len(_NO_RECORD)).T)

    def fold(
        self, blobs: Sequence[bytes | None], events: Events, horizon_us: I64, versions: Sequence[bytes]
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
            StoreUnavailable, StoreError: as `decode`.
        """
        folded: list[bytes | None] | None = None
        if self._compiled is not None:
            folded = self._compiled.fold(blobs, events, horizon_us, versions)
        if folded is None:
            folded = [None] * len(blobs)
        broken: dict[int, str] = {}
        if None in folded:
            left = np.fromiter((record is None for record in folded), np.bool_, len(folded))
            users, rest = events.take(left[events.user]).of_their_users()
            who = users.tolist()
            new, wrong = self._fold_in_numpy(
                [blobs[user] for user in who], rest, horizon_us[users], [versions[user] for user in who]
            )
            for at, user in enumerate(who):
                folded[user] = None if at in wrong else new[at]
            broken = {who[at]: reason for at, reason in wrong.items()}
        return folded, broken

    def _fold_in_numpy(
        self, blobs: Sequence[bytes | None], events: Events, horizon_us: I64, versions: Sequence[bytes]
    ) -> tuple[list[bytes], dict[int, str]]:
        if not len(events):
            return [], {}
        records, broken = decode_sound(self._decode, blobs)
        records = apply(self._plan, replace(records, horizon_us=horizon_us), events)
        try:
            return encode_records(records, self._plan.layout, versions), broken
        except RecordTooLarge:
            if len(blobs) == 1:
                return [b""], {0: TOO_LARGE}
        # Somebody's is too large: with each user alone, the others' are not.
        new: list[bytes] = []
        for user in range(len(blobs)):
            _, alone = events.take(events.user == user).of_their_users()
            mine = slice(user, user + 1)
            one, wrong = self._fold_in_numpy(blobs[mine], alone, horizon_us[mine], versions[mine])
            new += one
            if wrong:
                broken[user] = wrong[0]
        return new, broken


def _compiled_for(plan: Plan) -> native.Folder | None:
    if not native.used:
        return None
    blanks = [EMPTY, *(section.blank(plan.layout) for section in SECTIONS)]
    try:
        return native.Folder(plan, MARKER, blanks)
    except NotImplementedError:
        return None
