"""A bound on what one user may send: a bot at thousands of events a second must not take the place of everybody else.

Events are counted a user and second of publish time (not of arrival: a backlog is no burst). Those beyond the bound go
to the dead letters with reason `hot_user`, before the shuffle, so that they cost no fold and no state; their bytes are
kept, and can be published again. Each process that reads counts for itself: with two of them, a user may have twice as
much. Counting costs little, since only users who send much are looked at closely.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from user_state.state.event_batch import EventBatch
from user_state.state.events import Bool, Events

SECOND_US = 1_000_000
CLOSELY = 20
"""Who has less than this part of the bound in a pull is not remembered; a second is seldom read in more pulls."""
REMEMBERED = 10_000


class HotUsers:
    """Counts events a user and second.

    Args:
        most: events of one user and second of publish time; 0 for no bound.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seconds: OrderedDict[tuple[str, int], int] = OrderedDict()

    def within(self, events: Events | EventBatch) -> Bool:
        """Return (m,) for each event of a pull, in order, whether it is within its user's bound."""
        within = np.ones(len(events), np.bool_)
        if not self._most:
            return within
        # Whoever has few events here is within bounds, whatever the seconds.
        user_of = events.user
        busy = np.bincount(user_of) >= self._most / CLOSELY
        looked_at = np.flatnonzero(busy[user_of])
        seconds = events.published_us[looked_at] // SECOND_US
        users = events.users if len(looked_at) else []
        for at, user, second in zip(looked_at.tolist(), user_of[looked_at].tolist(), seconds.tolist(), strict=True):
            key = (users[user], second)
            held = self._seconds.get(key, 0)
            within[at] = held < self._most
            self._seconds[key] = held + 1
            self._seconds.move_to_end(key)
        while len(self._seconds) > REMEMBERED:
            self._seconds.popitem(last=False)
        return within
