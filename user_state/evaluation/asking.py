"""Asking the store, while a pipeline fills it: reads at given moments, and when each event became readable.

    due          a wall time a question and age, at which the state is read and scored
    readable     from the moment at which an event was due until a read of its user's state shows it

One loop in one thread: what is due is read, at most `AT_ONCE` users in one call of the serving client, and scored at
once, so that nothing but ranks is kept. A read that shows what it is asked to foretell came too late: it is marked.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from user_state.answers import UserStateBatch
from user_state.client import UserStateClient
from user_state.errors import StoreError
from user_state.evaluation.interactions import F64, I64, Bool
from user_state.evaluation.scoring import mean_rank
from user_state.evaluation.served import ServedScorer

AT_ONCE = 200
WATCH_EVERY_S = 0.05
"""How often it is looked whether events have become readable: what is measured is this much too long at most."""
IDLE_S = 0.004
OVERTIME_S = 30.0
"""How long after the end it is still waited for events to become readable."""


@dataclass(frozen=True)
class Reads:
    """r reads in order of `due_s`.

    Attributes:
        due_s: (r,) Unix time.
        user: (r,) names.
        item: (r,) code of what came.
        at_us: (r,) when it came, event time: a read that shows as much came too late.
        newest_us: (r,) event time of the newest event of the user that a state of no delay would show.
    """

    due_s: F64
    user: list[str]
    item: I64
    at_us: I64
    newest_us: I64


@dataclass(frozen=True)
class Watched:
    """m events whose way is timed, in order of `due_s`: Unix times, whose they are, and their event times."""

    due_s: F64
    user: list[str]
    time_us: I64


@dataclass(frozen=True)
class Answers:
    """What came of it.

    Attributes:
        rank: (r,) of what came, by the state that was read; NaN where the read came too late.
        behind: (r,) whether the state lacked an event that one without delay would show.
        late_s: (r,) by how much the read itself was late.
        readable_s: (m,) from due to readable; NaN where it was not seen until the end.
    """

    rank: F64
    behind: Bool
    late_s: F64
    readable_s: F64


def ask(
    client: UserStateClient,
    scorer: ServedScorer,
    reads: Reads,
    watched: Watched,
    clock_us: Callable[[float], int],
    each_second: Callable[[float], None],
) -> Answers:
    """Read, score and watch until all is done; return the answers.

    Args:
        client: reads the states.
        scorer: scores them.
        reads: what is read, and when.
        watched: which events' way is timed.
        clock_us: Unix time -> event time.
        each_second: called about once a second with the share that is done; raises to give up.

    Raises:
        StoreUnavailable, StoreError: records cannot be read, be it a single one.
    """
    count = len(reads.due_s)
    rank, late_s = np.full(count, np.nan), np.full(count, np.nan)
    behind = np.zeros(count, np.bool_)
    readable_s = np.full(len(watched.due_s), np.nan)
    done = next_watched = 0
    pending: deque[int] = deque()
    looked_s = told_s = 0.0
    last_due_s = max(reads.due_s.max(initial=0.0), watched.due_s.max(initial=0.0))
    while done < count or ((pending or next_watched < len(watched.due_s)) and time.time() < last_due_s + OVERTIME_S):
        now_s = time.time()
        end = min(int(np.searchsorted(reads.due_s, now_s, side="right")), done + AT_ONCE)
        if end > done:
            batch = _read(client, reads.user[done:end], clock_us(now_s))
            late_s[done:end] = time.time() - reads.due_s[done:end]
            rank[done:end], behind[done:end] = _judged(scorer, reads, batch, slice(done, end))
            done = end
        elif now_s - looked_s >= WATCH_EVERY_S:
            looked_s = now_s
            until = int(np.searchsorted(watched.due_s, now_s, side="right"))
            pending.extend(range(next_watched, until))
            next_watched = until
            _look(client, watched, pending, readable_s, clock_us(now_s))
        else:
            time.sleep(IDLE_S)
        if now_s - told_s >= 1:
            told_s = now_s
            each_second(done / max(count, 1))
    return Answers(rank, behind, late_s, readable_s)


def _read(client: UserStateClient, users: Sequence[str], at_us: int) -> UserStateBatch:
    """Return users' states. One that could not be read would count as a state without events, and be judged as such."""
    batch = client.get_many(users, at_us)
    if batch.errors:
        reason = next(iter(batch.errors.values()))
        raise StoreError(f"cannot read the records of {len(batch.errors)} of {len(users)} users: {reason}")
    return batch


def _judged(scorer: ServedScorer, reads: Reads, batch: UserStateBatch, part: slice) -> tuple[F64, Bool]:
    scores = scorer.scores(batch)
    ranks = np.array([mean_rank(row, item) for row, item in zip(scores, reads.item[part].tolist(), strict=True)])
    ranks[batch.last_event_us >= reads.at_us[part]] = np.nan
    return ranks, np.asarray(batch.last_event_us < reads.newest_us[part], np.bool_)


def _look(client: UserStateClient, watched: Watched, pending: deque[int], readable_s: F64, at_us: int) -> None:
    """Note which of the pending events can be read now, and drop them."""
    if not pending:
        return
    chosen = [pending.popleft() for _ in range(min(AT_ONCE, len(pending)))]
    batch = _read(client, [watched.user[index] for index in chosen], at_us)
    now_s = time.time()
    seen = batch.last_event_us >= watched.time_us[chosen]
    for index, is_seen in zip(chosen, seen.tolist(), strict=True):
        if is_seen:
            readable_s[index] = now_s - watched.due_s[index]
        else:
            pending.append(index)  # behind those that were not looked at
