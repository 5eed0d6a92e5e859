"""How much is asked, and what of it follows from the spec alone: bytes a user, writes a second.

    mean rate        R = events a second at the peak / peak_to_mean
    a user's day     a = R * 86,400 / users                      events
    bytes a user         what `user_state.costs` weighs for a user of a/k sessions a day of k events, for `days` days
    writes an event      w = n * (1 - (1 - 1/n)^k) / k,  n = max(1, session / interval)

The last: k events fall at random into n intervals of a session, and each interval that has any is one write. The mean
user stands for all; since a record grows less than its events do, users who differ need a little less.
"""

from __future__ import annotations

from dataclasses import dataclass

from user_state.costs import SESSION_US, Activity, Cost, cost
from user_state.errors import InputError
from user_state.spec import LoadedSpec

DAY_S = 86_400
MOST_EVENTS_A_USER = 50_000
"""Of no more events is the mean user made up and weighed."""


@dataclass(frozen=True)
class Demand:
    """What is asked for.

    Attributes:
        events_per_second: at the peak, all of them wanted by the spec.
        users: with a record, that is, with an event within `retention`.
        peak_to_mean: the peak over the mean of a day.
        events_a_session: events of a user within a session, which lasts a quarter of an hour.
        days: for how many days a mean user has been active.
        write_interval_s: a user is written at most so often: a bundle's length, or `--flush_interval`.
        event_bytes: body of an event.
    """

    events_per_second: float
    users: float
    peak_to_mean: float = 2.0
    events_a_session: int = 10
    days: int = 30
    write_interval_s: float = 1.0
    event_bytes: int = 200

    def __post_init__(self) -> None:
        """Refuse what no pipeline could be asked.

        Raises:
            InputError: a value is out of its range, or a user would act more than anybody can.
        """
        for name, value, least, most in (
            ("--events-per-second", self.events_per_second, 0.001, 1e9),
            ("--users", self.users, 1, 1e11),
            ("--peak-to-mean", self.peak_to_mean, 1, 100),
            ("--events-a-session", self.events_a_session, 1, 10_000),
            ("--days", self.days, 1, 365),
            ("--write-interval", self.write_interval_s, 0.001, 3600),
            ("--event-bytes", self.event_bytes, 1, 10_000_000),
        ):
            if not least <= value <= most:
                raise InputError(f"expected {name} between {least:,g} and {most:,g}, got {value:,g}")
        if self.events_a_user_and_day * self.days > MOST_EVENTS_A_USER:
            raise InputError(
                f"expected a mean user of at most {MOST_EVENTS_A_USER:,} events in {self.days} days, got"
                f" {self.events_a_user_and_day:,.0f} a day: too few --users for so many --events-per-second"
            )

    @property
    def mean_rate(self) -> float:
        """Events a second in the mean of a day."""
        return self.events_per_second / self.peak_to_mean

    @property
    def events_a_user_and_day(self) -> float:
        """What a mean user does on a day."""
        return self.mean_rate * DAY_S / self.users

    @property
    def writes_an_event(self) -> float:
        """See the top of this file."""
        bins = max(1.0, SESSION_US / 1e6 / self.write_interval_s)
        events = self.events_a_session
        return bins * (1 - (1 - 1 / bins) ** events) / events

    def bytes_of_user(self, spec: LoadedSpec) -> Cost:
        """Return what the mean user's record and remembered ids take."""
        sessions = self.events_a_user_and_day / self.events_a_session
        if sessions * self.days < 1:  # somebody who came once
            return cost(spec, Activity("mean", 1, self.events_a_session, 1))
        return cost(spec, Activity("mean", sessions, self.events_a_session, self.days))
