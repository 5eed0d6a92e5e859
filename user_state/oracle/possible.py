"""Which events a record may hold when it is not known when they were read.

The pipeline judges by the wall clock whether an event is too old, or ahead of the clock. Whoever replays the events
later does not know when they were read, only that it was before now, and after the file was written. In doubt are

    old events     older than `retention` by now, or an hour short of it. Perhaps they were read while they were young
                   enough, and applied; perhaps they were not, or the record that held them has expired since.
    ahead events   published after their file was written, and not ahead any more. Perhaps they were read while they
                   were, and refused.

A record is right if it is what comes of all events but the old ones up to some moment and the ahead ones from some
moment on: all that is not in doubt has to be in it. Of the old events of a user, none can be missing if an older one
is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from user_state.oracle.events import AppliedEvent, Arrival
from user_state.oracle.replay import id_of, is_ahead, is_expired, replay, times_of
from user_state.spec.model import Spec

SLACK_US = 3600 * 1_000_000
"""For how far the clocks of two machines are apart, and for how long it takes to compare."""
NEVER_READ = ("ignored", "dead_letter/undecodable", "dead_letter/invalid")


@dataclass(frozen=True)
class Possible:
    """What one user's record may hold.

    Attributes:
        user: whose.
        arrivals: all events of the user that are judged by their times, in order of arrival.
        old_us: event times of those of them that are in doubt for their age, newest first.
        ahead_us: publish times of those that are in doubt for being ahead, newest first.
    """

    spec: Spec
    user: str
    arrivals: Sequence[Arrival]
    old_us: Sequence[int]
    ahead_us: Sequence[int]

    @property
    def events(self) -> list[Mapping[str, Any]]:
        """Return every event that may be in the record."""
        return [arrival.event for arrival in self.arrivals if arrival.event is not None]

    def choices(self, first_us: int | None = None) -> Iterator[tuple[int | None, list[AppliedEvent]]]:
        """Yield (time up to which old events are left out, what was applied then), the likeliest first.

        Args:
            first_us: the time that another user's record was right with.
        """
        moments: list[int | None] = [None, *self.old_us]
        if first_us is not None:
            likely = next((moment for moment in self.old_us if moment <= first_us), None)
            moments = [likely, *(moment for moment in moments if moment != likely)]
        for old_us in moments:
            for ahead_us in (None, *self.ahead_us):
                yield old_us, self._applied(old_us, ahead_us)

    def _applied(self, old_us: int | None, ahead_us: int | None) -> list[AppliedEvent]:
        """Return what is applied without events up to `old_us`, or published from `ahead_us` on."""
        kept = []
        for arrival in self.arrivals:
            time_us, published_us = times_of(self.spec, arrival)
            if (old_us is None or time_us > old_us) and (ahead_us is None or published_us < ahead_us):
                kept.append(arrival)
        return replay(self.spec, kept).applied.get(self.user, [])


def possible(
    spec: Spec, arrivals: Sequence[Arrival], bins: Sequence[str], written_us: Sequence[int], now_us: int
) -> dict[str, Possible]:
    """Return what may be in the records of those users who have events in doubt.

    Args:
        spec: the rules.
        arrivals: all messages, in order of arrival.
        bins: what `replay` says of each with `now_us`.
        written_us: for each, when the file that it is from was written, microseconds UTC.
        now_us: the wall clock, microseconds UTC.
    """
    old_us: dict[str, set[int]] = {}
    ahead_us: dict[str, set[int]] = {}
    for arrival, found, since_us in zip(arrivals, bins, written_us, strict=True):
        if arrival.event is None or found in NEVER_READ:
            continue
        time_us, published_us = times_of(spec, arrival)
        if not -spec.allowed_lateness <= time_us - published_us <= spec.max_clock_skew:
            continue  # refused whenever it was read
        user = id_of(arrival.event[spec.events.user])
        if is_expired(spec, time_us, now_us + SLACK_US):
            old_us.setdefault(user, set()).add(time_us)
        if is_ahead(spec, published_us, since_us) and not is_ahead(spec, published_us, now_us):
            ahead_us.setdefault(user, set()).add(published_us)
    of_user: dict[str, list[Arrival]] = {user: [] for user in old_us.keys() | ahead_us.keys()}
    for arrival, found in zip(arrivals, bins, strict=True):
        if arrival.event is None or found in NEVER_READ:
            continue
        held = of_user.get(id_of(arrival.event[spec.events.user]))
        if held is not None and not is_ahead(spec, times_of(spec, arrival)[1], now_us):
            held.append(arrival)
    return {
        user: Possible(
            spec,
            user,
            held,
            sorted(old_us.get(user, ()), reverse=True),
            sorted(ahead_us.get(user, ()), reverse=True),
        )
        for user, held in of_user.items()
    }
