"""Folding events of a small spec into a store, and looking at what is then in it: for tests that lose or damage it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.packed import Records, features
from tests.trying import M, S, event, spec_of
from user_state.errors import StoreUnavailable
from user_state.events.decode import EventDecoder
from user_state.fold_report import FoldReport
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.state.events import EventRow
from user_state.state.outcome import Outcome
from user_state.state.records import PackedRecords
from user_state.store.store import Replaced, Replacement, StateStore, Stored

APPLIED, DUPLICATE, TOO_LATE, BAD_RECORD, OVERSIZED, CONTENDED = (
    Outcome.APPLIED,
    Outcome.DUPLICATE,
    Outcome.TOO_LATE,
    Outcome.BAD_RECORD,
    Outcome.OVERSIZED,
    Outcome.CONTENDED,
)
COUNTS = {
    "f": {"aggregate": "count", "windows": ["1h", "lifetime"]},
    "g": {"aggregate": "sum", "of": "value", "windows": ["1h", "lifetime"]},
}
SPEC = spec_of(features=COUNTS)
PLAN = compile_plan(SPEC)
NOW = time.time_ns() // 1000 // M * M
"""The server expires what is older than the retention by its own clock, so these events are of today."""


def rows(*events: Mapping[str, Any], plan: Plan = PLAN) -> list[EventRow]:
    """Return events' rows, each published when it happened."""
    decoder = EventDecoder(plan, SPEC.schema)
    return [decoder.row(one, None) for one in events]


def views(user: str = "u", begin: int = 0, count: int = 3) -> list[dict[str, Any]]:
    """Return views by a user, a second apart."""
    return [event(NOW + n * S, user, value=1.0, item_id=f"i{n}") for n in range(begin, begin + count)]


def outcomes(report: FoldReport) -> list[Outcome]:
    """Return what became of each event."""
    return [Outcome(one) for one in report.outcome.tolist()]


def counted(store: StateStore, user: str = "u", plan: Plan = PLAN, at_us: int = NOW + 10 * M) -> tuple[int, float]:
    """Return (events in the user's record, how many of them the first output counts)."""
    (stored,) = store.read([user])
    moved, broken = PackedRecords(plan, store).migrate([stored.record])
    assert not broken, broken
    records = Records(plan, moved)
    return int(records.heads.applied[0]), float(features(plan, records, at_us).values[0, 0])


def version_of_events(events: int) -> bytes:
    """Return a version of a view's record of so many events; the second half is chance."""
    return min(events, 2**32 - 1).to_bytes(4, "big") + secrets.token_bytes(4)


def go_on(_: StoreUnavailable) -> None:
    """Try again at once."""


class Wrapped:
    """A store between a folder and the real one, which does something before or after a call.

    `before_replace` and `after_replace` are done once, with the next call.
    """

    def __init__(self, store: Any) -> None:
        self.store = store
        self.before_replace: Callable[[], None] = lambda: None
        self.before_call: Callable[[], None] = lambda: None
        self.after_call: Callable[[], None] = lambda: None
        self.after_replace: Callable[[], None] = lambda: None
        self.replaced: list[Sequence[Replacement]] = []
        self.reads = 0

    def read(self, users: Sequence[str]) -> list[Stored]:
        """See `StateStore.read`."""
        self.reads += 1
        self.before_call()
        answers: list[Stored] = self.store.read(users)
        self.after_call()
        return answers

    def replace(self, replacements: Sequence[Replacement]) -> Replaced:
        """See `StateStore.replace`."""
        act, self.before_replace = self.before_replace, lambda: None
        act()
        self.replaced.append(replacements)
        self.before_call()
        answers: Replaced = self.store.replace(replacements)
        act, self.after_replace = self.after_replace, lambda: None
        act()
        self.after_call()
        return answers

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)
