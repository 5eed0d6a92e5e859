"""Small logs of interactions, made by chance or by hand, for tests of the evaluator."""

from __future__ import annotations

import numpy as np

from user_state.durations import SECOND_US
from user_state.evaluation.interactions import Interactions, in_order
from user_state.evaluation.log_files import YEAR_2000_US


def log_of(*triples: tuple[str, str, float], catalogue: tuple[str, ...] = ()) -> Interactions:
    """Return (user, item, seconds since 2000) as a log."""
    timed = [(user, item, YEAR_2000_US + round(seconds * SECOND_US)) for user, item, seconds in triples]
    return in_order("here", timed, catalogue=catalogue)


def random_log(seed: int, events: int = 300, users: int = 7, items: int = 12, span_s: int = 900) -> Interactions:
    """Return a log with repeats, several events a second, and users who come back to what they know."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.integers(0, span_s, events)).tolist()
    favourite = rng.integers(0, items, (users, 3))
    triples = []
    for second in seconds:
        user = int(rng.integers(users))
        item = int(rng.choice(favourite[user])) if rng.random() < 0.5 else int(rng.integers(items))
        triples.append((f"u{user}", f"i{item:02}", second))
    return log_of(*triples, catalogue=tuple(f"i{item:02}" for item in range(items)))
