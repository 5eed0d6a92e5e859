"""Records of many users as bytes: fold, merge, migrate.

    fold      records, events             -> records with the events
    merge     records, records of others  -> records of all their events
    migrate   records of other layouts    -> the same in the plan's

What is wrong with a record is said of that record, and costs no other one anything. A record of another layout is
migrated wherever one comes up: what still has the same definition stays, what is new starts empty, the rest is dropped.
Definitions are compared by key (`user_state.plan.state_definitions`). Windows are not part of a key: a window that was
made longer fills as time passes, since what was rolled up or dropped before cannot come back (`user_state.plan.kept`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

import numpy as np

from user_state import native
from user_state.errors import CodecError
from user_state.plan.plan import Plan
from user_state.state.events import I64, Events
from user_state.state.layouts import LayoutSource, Unregistered

T = TypeVar("T")
TOO_LARGE = "with these events the record would hold more than its bytes can count"
"""What is wrong with users whose records may stay as they are, and take other events."""
CORRUPT, OVERFLOWING, UNKNOWN_LAYOUT, TOO_EARLY = range(4)
"""The kinds of what is wrong, as `native/record/envelope.hpp` numbers them."""
Made = list[bytes | None]
Wrong = Iterable[tuple[int, int, str | bytes]]
"""(record, kind, text, or the fingerprint of a layout that is not known yet)."""


class PackedRecords:
    """Folds, merges and migrates records of one plan. Threads may share it.

    Args:
        plan: what the records hold from now on.
        source: knows the layouts that they may have had before; None knows none.
        unknown_s: for how long a layout that nobody registered is not asked for again.
    """

    def __init__(self, plan: Plan, source: LayoutSource | None = None, unknown_s: float = 0.0) -> None:
        self.native = native.Folding(plan)
        self._layouts = Unregistered(source, unknown_s)

    def fold(
        self, blobs: Sequence[bytes | None], events: Events, horizon_us: I64, versions: Sequence[bytes]
    ) -> tuple[Made, dict[int, str]]:
        """Return the records of the n users of `events` with the events folded in, and what is wrong by user.

        The records of users without events are None, and so are those of users whose bytes make no sense, or whose new
        record would be TOO_LARGE.

        Args:
            blobs: n records, None being a user without one.
            events: of those users, in their order.
            horizon_us: (n,) what the records say of it from now on, unless they say more already.
            versions: n new versions, 8 bytes each; those of users without events are not looked at.

        Raises:
            StoreUnavailable, StoreError: as the source of layouts.
        """

        def fold(users: list[int] | None) -> tuple[Made, Wrong]:
            if users is None:
                return self.native.fold(blobs, events, horizon_us, versions)
            theirs = np.isin(events.user, users)
            _, part = events.take(theirs).of_their_users()
            return self.native.fold(_chosen(blobs, users), part, horizon_us[users], _chosen(versions, users))

        made, wrong = self._made(fold)
        return made, {user: TOO_LARGE if kind == OVERFLOWING else text for user, (kind, text) in wrong.items()}

    def merge(
        self, a: Sequence[bytes | None], b: Sequence[bytes | None], versions: Sequence[bytes]
    ) -> tuple[Made, dict[int, str]]:
        """Return the records of the events of both, and what is wrong by user.

        A record is None where both are, or something is wrong. No event may be in both.

        Args:
            a: n records, None being a user without one.
            b: n records of the same users in the same order.
            versions: n new versions, 8 bytes each.

        Raises:
            StoreUnavailable, StoreError: as the source of layouts.
        """

        def merge(users: list[int] | None) -> tuple[Made, Wrong]:
            if users is None:
                return self.native.merge(a, b, versions)
            return self.native.merge(_chosen(a, users), _chosen(b, users), _chosen(versions, users))

        made, wrong = self._made(merge)
        return made, {user: text for user, (_, text) in wrong.items()}

    def migrate(self, blobs: Sequence[bytes | None]) -> tuple[Made, dict[int, str]]:
        """Return records in the plan's layout, of the same events, versions and times, and what is wrong by user.

        Raises:
            StoreUnavailable, StoreError: as the source of layouts.
        """

        def migrate(users: list[int] | None) -> tuple[Made, Wrong]:
            return self.native.migrate(blobs if users is None else _chosen(blobs, users))

        made, wrong = self._made(migrate)
        return made, {user: text for user, (_, text) in wrong.items()}

    def learn(self, fingerprints: Collection[bytes]) -> dict[bytes, str]:
        """Have layouts known from now on; return why some of them cannot be.

        Raises:
            StoreUnavailable, StoreError: as the source of layouts.
        """
        refused: dict[bytes, str] = {}
        for fingerprint in sorted(fingerprints):
            try:
                self.native.add_layout(self._layouts.find(fingerprint))
            except CodecError as exc:
                refused[fingerprint] = str(exc)
        return refused

    def reading(self, verb: Callable[[], tuple[T, Wrong]]) -> tuple[T, dict[int, str]]:
        """Return what a verb says of records, all layouts being known that can be; and what is wrong by record.

        Args:
            verb: reads records. It is asked again while it meets layouts that are not known yet.

        Raises:
            StoreUnavailable, StoreError: as the source of layouts.
        """
        refused: dict[bytes, str] = {}
        while True:
            found, wrong = verb()
            named = {text for _, _, text in wrong if isinstance(text, bytes)}
            refused |= self.learn(named - refused.keys())
            if named <= refused.keys():
                texts = ((record, refused[text] if isinstance(text, bytes) else text) for record, _, text in wrong)
                return found, dict(texts)

    def _made(self, verb: Callable[[list[int] | None], tuple[Made, Wrong]]) -> tuple[Made, dict[int, tuple[int, str]]]:
        """Return the records that a verb makes, and kind and text of what is wrong by record.

        Args:
            verb: does it for these records, None being all. It is asked again for those whose layout was not known.
        """
        made, found = verb(None)
        wrong: dict[int, tuple[int, str]] = {}
        again: list[tuple[int, bytes]] = []
        while True:
            places = [record for record, _ in again] or None
            again = []
            for place, kind, text in found:
                record = place if places is None else places[place]
                if isinstance(text, bytes):
                    again.append((record, text))
                else:
                    wrong[record] = kind, text
            refused = self.learn({fingerprint for _, fingerprint in again})
            wrong |= {record: (CORRUPT, refused[name]) for record, name in again if name in refused}
            again = [(record, name) for record, name in again if name not in refused]
            if not again:
                return made, wrong
            # Once more at most for each of two records that are merged.
            some, found = verb([record for record, _ in again])
            for (record, _), one in zip(again, some, strict=True):
                made[record] = one


def _chosen(all_of_them: Sequence[T], which: list[int]) -> list[T]:
    return [all_of_them[index] for index in which]
