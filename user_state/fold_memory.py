"""What a worker remembers of the records that it has written, and what it concludes when they turn out otherwise.

    recent      the bytes last written, which save a read
    attempts    writes whose answer was lost: found written later, they are this worker's own
    believed    what was remembered of records that the store turned out not to hold: is it newer there, or lost?

Nothing here decides what is acknowledged: whatever is remembered is compared with the store (`user_state.fold`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from user_state.state.envelope import heads_of, version_of
from user_state.store.recent import RecentBytes
from user_state.store.store import Answer, Replacement, Stored


@dataclass
class Attempt:
    """A user's write that was not confirmed: the version it would have made, and what it would have meant.

    Attributes:
        version: of the record.
        user: index of the user in the batch.
        user_of: (m,) the users of the batch's events.
        outcome: (m,) the outcomes of the batch's events.
    """

    version: bytes
    user: int
    user_of: npt.NDArray[np.int64]
    outcome: npt.NDArray[np.int8]

    def meant(self) -> npt.NDArray[np.int8]:
        """Return the outcomes of the user's events, in order of arrival."""
        return np.asarray(self.outcome[self.user_of == self.user], np.int8)


class FoldMemory:
    """The memory of one worker.

    Args:
        cache_bytes: how much of what was last written is kept.
        retention_us: how long after a user's last event the store forgets the user, microseconds.
    """

    def __init__(self, cache_bytes: int, retention_us: int) -> None:
        self._recent = RecentBytes(cache_bytes)
        self._retention_us = retention_us
        self._attempts: dict[str, Attempt] = {}
        self._believed: dict[str, bytes] = {}

    def begin(self) -> None:
        """Forget the attempts of a fold that gave up."""
        self._attempts.clear()

    def get(self, user: str) -> Stored | None:
        """Return what is remembered of a user."""
        return self._recent.get(user)

    def attempt(self, user: str, attempt: Attempt) -> None:
        """Note a write that is about to be made."""
        self._attempts[user] = attempt

    def unanswered(self) -> None:
        """Note that the attempts so far had no answer: what is remembered of their users may be out of date."""
        for user in self._attempts:
            self._recent.drop(user)

    def settled(self, users: Sequence[str], stored: Sequence[Stored]) -> dict[int, Attempt]:
        """Return the attempts that turn out to have been written, by place of their user."""
        if not self._attempts:
            return {}
        found = {}
        for index, (user, one) in enumerate(zip(users, stored, strict=True)):
            attempt = self._attempts.get(user)
            if attempt is not None and version_of(one.record) == attempt.version:
                found[index] = attempt
        return found

    def done(self, user: str) -> None:
        """Note that a user's attempt is over, however it ended."""
        self._attempts.pop(user, None)

    def written(self, replacement: Replacement) -> None:
        """Remember what the store has taken."""
        self.done(replacement.user)
        self._recent.put(replacement.user, Stored(replacement.record, replacement.seen))

    def refused(self, user: str, answer: Answer) -> None:
        """Note that the store did not take a user's write, or holds another version.

        The attempt stays: a client that sent it twice is refused by what it has written itself.
        """
        if answer == Answer.CONFLICT:
            cached = self._recent.get(user)
            if cached is not None and cached.record is not None:
                self._believed[user] = cached.record
            self._recent.drop(user)

    def is_lost(self, user: str, found: Stored, now_us: int) -> bool:
        """Return whether the store holds less of a user than was remembered; asked once, as the user is read anew.

        The first half of a record's version only grows.
        """
        believed = self._believed.pop(user, None)
        if believed is None or (found.record is None and found.lost):
            return False  # ids without their record are counted as lost in any case
        if found.record is not None:
            return version_of(found.record)[:4] < version_of(believed)[:4]
        heads, _ = heads_of([believed])
        return int(heads.last_event_us[0]) + self._retention_us > now_us  # if not, it has expired
