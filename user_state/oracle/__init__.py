"""Brute force: what every event's fate and every feature's value must be, worked out the obvious way.

This is the independent reference the pipeline is checked against. It shares nothing with `native/`, `user_state.state`,
`store` or `fold` but the spec, keeps every event as the dict it arrived as, and loops over lists. It is meant to be
read and believed, not to be fast, and must not borrow a formula or a constant from the code it checks.

    replay    judges messages in order, one at a time, by the rules in docs/design/layers.md
    files     says in what order the rows of several files arrive
    history   says which events a label in the past may know, and which a backfilled record holds
    possible  says which events may have been applied where it is not known when they were read
    features  computes one user's features at one moment from the events that were applied

Each group of aggregations has a file here; `features.py` lists them.

The server's own expiry ends a whole record `retention` after its last event: `replay` models it where it is told when
messages arrive (`delay_us`), and `known_at` always. One thing is not modelled: `seen_ids_cap` (memory is no limit here,
so keep test users below the cap).
An event id is remembered while its event would not be `too_late` itself, so a copy that comes after that is
`too_late` and not `duplicate`. Which of the two it is changes no feature.
"""

from __future__ import annotations

from user_state.oracle.composed import ItemTable
from user_state.oracle.embeddings import item_vector
from user_state.oracle.events import AppliedEvent, Arrival, microseconds
from user_state.oracle.features import Expected, features
from user_state.oracle.files import FileRow, in_order_of_time
from user_state.oracle.history import backfilled, in_order_of_arrival, known_at, replay_history
from user_state.oracle.possible import Possible, possible
from user_state.oracle.replay import Replay, id_of, replay, used_fields
from user_state.oracle.view import View

__all__ = [
    "AppliedEvent",
    "Arrival",
    "Expected",
    "FileRow",
    "ItemTable",
    "Possible",
    "Replay",
    "View",
    "backfilled",
    "features",
    "id_of",
    "in_order_of_arrival",
    "in_order_of_time",
    "item_vector",
    "known_at",
    "microseconds",
    "possible",
    "replay",
    "replay_history",
    "used_fields",
]
