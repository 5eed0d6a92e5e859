"""A bound on what one user may send: a bot at thousands of events a second must not take the place of everybody else.

Events are counted a user and second of publish time (not of arrival: a backlog is no burst). Those beyond the bound go
to the dead letters with reason `hot_user`, before the shuffle, so that they cost no fold and no state; their bytes are
kept, and can be published again. Each process that reads counts for itself: with two of them, a user may have twice as
much. Counting costs little, since only users who send much are looked at closely.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence

from user_state.core.events import EventRow

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

    def within(self, rows: Sequence[EventRow]) -> list[bool]:
        """Return for each row of a pull, in order, whether it is within its user's bound.

        >>> users = HotUsers(most=2)
        >>> row = ("bot", 0, 0, 5_000_000)
        >>> users.within([row, row, ("somebody", 0, 0, 5_000_000), row]), users.within([row])
        ([True, True, True, False], [False])
        """
        if not self._most:
            return [True] * len(rows)
        # Whoever has few rows here is within bounds, whatever the seconds.
        few = self._most / CLOSELY
        busy = {user for user, held in Counter([row[0] for row in rows]).items() if held >= few}
        if not busy:
            return [True] * len(rows)
        verdict = [True] * len(rows)
        for index, row in enumerate(rows):
            if row[0] in busy:
                key = (row[0], row[3] // SECOND_US)
                held = self._seconds.get(key, 0)
                verdict[index] = held < self._most
                self._seconds[key] = held + 1
                self._seconds.move_to_end(key)
        while len(self._seconds) > REMEMBERED:
            self._seconds.popitem(last=False)
        return verdict
