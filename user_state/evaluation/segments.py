"""The tested part of a trial, cut into segments of time that are played side by side.

Played as it happened, a month of a small log would take a month, and sped up a thousandfold a pipeline's tenth of a
second would be a hundred seconds of event time. So the tested part is cut into segments of, say, twenty minutes, and
all of them are played at once, each with users of its own: user `u` of segment 7 is `7.u`. That changes nothing, since
what a user's record holds depends on that user's events alone, and decay on differences of time alone. What a user did
before a segment is there when it begins; each segment begins `lead` before its first question, so that a state of an
hour's age has been an hour in the pipeline's hands.

    time      ... history ....|-- lead --|---- segment: asked ----|
    here           warm       |        played, in order           |
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from user_state.errors import InputError
from user_state.evaluation.interactions import I64
from user_state.evaluation.trials import Age, Trial


@dataclass(frozen=True)
class Segments:
    """What is played and asked; times are moved so that all segments begin at one time.

    Attributes:
        begin_us, end_us: between which everything is played.
        users: names of the users, each with the number of the segment.
        played, played_user: (m,) positions in the log, in order of the moved time, and whose they are (into `users`).
        played_us: (m,) the moved times, ascending.
        warm, warm_user: (w,) positions in the log that come before their segment, users together, each in order.
        warm_us: (w,) the moved times.
        asked: (q,) indices of the trial's questions, in order of the moved time.
        asked_user, asked_us: (q,) whose they are, and the moved time.
    """

    begin_us: int
    end_us: int
    users: list[str]
    played: I64
    played_user: I64
    played_us: I64
    warm: I64
    warm_user: I64
    warm_us: I64
    asked: I64
    asked_user: I64
    asked_us: I64

    def moments(self, trial: Trial, age: Age) -> I64:
        """Return (q,) when a state of that age is read for each question, in moved time."""
        at_us = trial.log.time_us[trial.tested[self.asked]]
        seen_us = at_us // age.refreshed_us * age.refreshed_us if age.refreshed_us else at_us
        return self.asked_us - (at_us - seen_us) - age.lag_us

    def newest_before(self, moments_us: I64) -> I64:
        """Return (q,) the moved time of the newest event that each question's user had strictly before the moment.

        0 for users without any. `moments_us` (q,) as of `moments`.
        """
        of_user: dict[int, I64] = {}
        times = np.concatenate((self.warm_us, self.played_us))
        users = np.concatenate((self.warm_user, self.played_user))
        order = np.lexsort((times, users))
        times, users = times[order], users[order]
        begins = np.searchsorted(users, np.arange(len(self.users) + 1))
        newest = np.zeros(len(moments_us), np.int64)
        for at, (user, moment) in enumerate(zip(self.asked_user.tolist(), moments_us.tolist(), strict=True)):
            mine = of_user.get(user)
            if mine is None:
                mine = of_user[user] = times[begins[user] : begins[user + 1]]
            before = int(np.searchsorted(mine, moment, side="left"))
            newest[at] = mine[before - 1] if before else 0
        return newest

    def warm_users(self, rows: int) -> Iterator[slice]:
        """Yield slices of `warm` with whole users, about so many rows each."""
        begin = 0
        while begin < len(self.warm):
            end = min(begin + rows, len(self.warm))
            if end < len(self.warm):
                end = int(np.searchsorted(self.warm_user, self.warm_user[end - 1], side="right"))
            yield slice(begin, end)
            begin = end


def cut(trial: Trial, segment_us: int, lead_us: int) -> Segments:
    """Cut a trial's tested part into segments of `segment_us`, each with `lead_us` played before it.

    Raises:
        InputError: a segment of no length.
    """
    if segment_us <= 0:
        raise InputError(f"expected a segment longer than 0, got {segment_us} us")
    log = trial.log
    asked_us = log.time_us[trial.tested]
    first_us = int(asked_us[0])
    number = (asked_us - first_us) // segment_us
    last_begin_us = first_us + int(number[-1]) * segment_us
    positions = _positions_of_users(log.user)
    users: list[str] = []
    parts: dict[str, list[I64]] = defaultdict(list)
    for segment in np.unique(number).tolist():
        begin_us = first_us + segment * segment_us
        moved_us = last_begin_us - begin_us
        questions = np.flatnonzero(number == segment)
        for user in np.unique(log.user[trial.tested[questions]]).tolist():
            mine = positions[user]
            times = log.time_us[mine]
            start, end = np.searchsorted(times, (begin_us - lead_us, begin_us + segment_us)).tolist()
            theirs = questions[log.user[trial.tested[questions]] == user]
            for name, chosen in (("warm", mine[:start]), ("played", mine[start:end]), ("asked", theirs)):
                of = trial.tested[chosen] if name == "asked" else chosen
                parts[name].append(chosen)
                parts[f"{name}_user"].append(np.full(len(chosen), len(users)))
                parts[f"{name}_us"].append(log.time_us[of] + moved_us)
            users.append(f"{segment}.{log.users[user]}")
    columns = {name: np.concatenate(listed).astype(np.int64) for name, listed in parts.items()}
    for name in ("played", "asked"):
        # Equal times keep the log's order within a user, which is all that matters.
        order = np.argsort(columns[f"{name}_us"], kind="stable")
        for column in (name, f"{name}_user", f"{name}_us"):
            columns[column] = columns[column][order]
    return Segments(last_begin_us - lead_us, last_begin_us + segment_us, users, **columns)


def _positions_of_users(user: I64) -> dict[int, I64]:
    """Return each user's positions, ascending."""
    order = np.argsort(user, kind="stable")
    names, begins = np.unique(user[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, begins[1:]), strict=True))
