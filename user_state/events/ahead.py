"""Rows of a file whose clock was wrong: far ahead of the rows around them.

Where a file has no publish times, the event time stands in for them and moves the user's clock. So one row of a phone
whose clock is ahead would make the rest of its user's rows too late. A row is refused as `from_future` if it lies more
than `allowed_lateness` after the rows around it, which are the NEIGHBOURS rows before and as many behind it in its
file:

    in a file sorted by user     after the user's own rows before it; and more of the user's rows behind it would be too
                                 late because of it than would not
    in any other file            after nearly all rows before it and nearly all behind it, which are themselves in order
                                 of time; and there are ENOUGH behind it, or most of those of its own user are among
                                 them

A file is sorted by user around a row if at least half of the neighbouring rows have the user of the row before them.
Rows that were refused are no neighbours before. The last rows of a file are never refused: nothing behind them
contradicts them. Rows whose publish time is known (it differs from the event time) are never refused.

Pure: arrays in, arrays out; no clock, no files.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

NEIGHBOURS = 200
ENOUGH = 100
"""Rows that contradict one of another user."""
NEARLY_ALL = 0.97
IN_ORDER = 0.95
"""Share of pairs of rows of which the second is not more than the lateness before the first."""
_LOOKED_AT = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 200)
_MOST = 0.5
_SECOND_US = 1_000_000


def rows_ahead(
    times_us: I64,
    users: npt.NDArray[Any],
    may_be: Bool,
    lateness_us: int,
    *,
    before: Bool | None = None,
    behind: int = 0,
) -> Bool:
    """Return which rows were written by a clock that was ahead, of those that are to be judged.

    Args:
        times_us: (m,) event times in the file's order, of the rows to be judged and of their neighbours; not mutated.
        users: (m,) what tells one user from another.
        may_be: (m,) whether the row's publish time is not known; others are never refused.
        lateness_us: the spec's `allowed_lateness`.
        before: (b,) of the first b rows, which were judged already, whether they were ahead.
        behind: how many of the last rows are not to be judged yet.
    """
    begin, end = 0 if before is None else len(before), len(times_us) - behind
    ahead = np.zeros(len(times_us), np.bool_)
    if before is not None:
        ahead[:begin] = before
    if end > begin and (np.maximum.accumulate(times_us) - times_us).max() > lateness_us:
        by_user = _sorted_by_user(users)
        beyond = np.where(
            by_user, _of_contradictory(times_us, users, lateness_us), _beyond_others(times_us, lateness_us)
        )
        for row in (np.flatnonzero((may_be & beyond)[begin:end]) + begin).tolist():
            judge = _is_beyond_own if by_user[row] else _is_beyond_others
            ahead[row] = judge(row, times_us, users, ahead, lateness_us)
    return ahead[begin:end]


def _beyond_others(times_us: I64, lateness_us: int) -> Bool:
    """Return which rows are much later than most of a few rows around them: a quick look, for all rows at once."""
    count = len(times_us)
    oldest_us = times_us - lateness_us
    far = np.ones(count, np.bool_)
    for direction in (-1, 1):
        older, there = np.zeros(count, np.int64), np.zeros(count, np.int64)
        for step in (step for step in _LOOKED_AT if step < count):
            here, other = (slice(None, -step), slice(step, None))[::direction]
            older[here] += times_us[other] < oldest_us[here]
            there[here] += 1
        far &= older >= _MOST * there
    return far


def _sorted_by_user(users: npt.NDArray[Any]) -> Bool:
    """Return whether at least half of the rows around each row have the user of the row before them."""
    same = np.concatenate([[0, 0], np.cumsum(users[1:] == users[:-1])])
    row = np.arange(len(users))
    begin, end = np.maximum(row - NEIGHBOURS, 0), np.minimum(row + NEIGHBOURS, len(users) - 1)
    return np.asarray(2 * (same[end + 1] - same[begin + 1]) >= end - begin)


def _of_contradictory(times_us: I64, users: npt.NDArray[Any], lateness_us: int) -> Bool:
    """Return which rows are of users of whom a row lies more than the lateness before an earlier one of theirs."""
    _, number = np.unique(users, return_inverse=True)
    order = np.argsort(number, kind="stable")
    seconds = (times_us - times_us.min()) // _SECOND_US
    # The greatest so far of each user: a user's numbers lie above those of all users before.
    raised = (seconds + number * (seconds.max() + 1))[order]
    contradicted = np.maximum.accumulate(raised) - raised >= lateness_us // _SECOND_US
    return np.asarray((np.bincount(number[order], contradicted) > 0)[number])


def _is_beyond_own(row: int, times_us: I64, users: npt.NDArray[Any], ahead: Bool, lateness_us: int) -> bool:
    begin, end = max(0, row - NEIGHBOURS), row + 1 + NEIGHBOURS
    oldest_us = times_us[row] - lateness_us
    own_before_us = times_us[begin:row][~ahead[begin:row] & (users[begin:row] == users[row])]
    own_behind_us = times_us[row + 1 : end][users[row + 1 : end] == users[row]]
    older = own_behind_us < oldest_us
    if len(own_before_us):
        latest_us = own_before_us.max()
        if latest_us >= oldest_us:
            return False
        older &= own_behind_us >= latest_us - lateness_us  # the others are too late with or without this row
    return bool(older.sum() > (own_behind_us >= oldest_us).sum())


def _is_beyond_others(row: int, times_us: I64, users: npt.NDArray[Any], ahead: Bool, lateness_us: int) -> bool:
    begin, end = max(0, row - NEIGHBOURS), row + 1 + NEIGHBOURS
    oldest_us = times_us[row] - lateness_us
    before_us, behind_us = times_us[begin:row][~ahead[begin:row]], times_us[row + 1 : end]
    if len(before_us) and (before_us < oldest_us).mean() < NEARLY_ALL:
        return False
    older = behind_us < oldest_us
    if not older.any() or older.mean() < NEARLY_ALL:
        return False
    rest_us = behind_us[older]
    if len(rest_us) > 1 and (rest_us[:-1] - rest_us[1:] <= lateness_us).mean() < IN_ORDER:
        return False
    own_older = older[users[row + 1 : end] == users[row]]
    return int(older.sum()) >= ENOUGH or 2 * int(own_older.sum()) > len(own_older)
