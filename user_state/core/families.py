"""The families of state a record is made of, and what every family must be able to do.

A family keeps its pieces of all users of a batch side by side as columns. It can

    empty    hold nothing, for so many users
    lift     hold a batch of events and nothing else
    join     hold what two of its states held: commutative and associative, so that neither order nor batching matters
    recode   follow when the pool that its string codes point into changes

and has a file in `user_state.core.compile` that declares its pieces, and one in `user_state.codec` that packs them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from user_state.core.decays import DecayedNumbers, join_decays, lift_decays
from user_state.core.events import I64, Bool, Events
from user_state.core.hll_tiles import HllTiles, join_hlls, lift_hlls
from user_state.core.keyed_decays import KeyedDecays, join_keyed_decays, lift_keyed_decays, recode_keyed_decays
from user_state.core.keyed_tiles import empty_keyed_tiles, join_keyed_tiles, lift_keyed_tiles, recode_keyed_tiles
from user_state.core.kll_tiles import KllTiles, join_klls, lift_klls
from user_state.core.last_seen import LastSeenRows, join_last_seen, lift_last_seen
from user_state.core.logs import empty_rows, join_logs, kinds_of, lift_logs, recode_logs
from user_state.core.plan import Plan
from user_state.core.profiles import DecayedBins, join_profiles, lift_profiles
from user_state.core.sessions import Sessions, join_sessions, lift_sessions
from user_state.core.tile_values import width_of
from user_state.core.tiles import Tiles, join_tiles, lift_tiles
from user_state.core.vectors import DecayedSums, join_vectors, lift_vectors


def _without_strings(_plan: Plan, state: Any, _becomes: I64) -> Any:
    return state


@dataclass(frozen=True)
class Family:
    """One kind of state.

    Attributes:
        name: the field of `Records` that holds it.
        empty: (plan, users) -> state.
        lift: (plan, events, masks of the plan's filters) -> state, not necessarily sorted or bounded: it is joined
            before anybody reads it.
        join: (plan, state, state, users' clocks (n,) in microseconds) -> state; codes of both point into one pool.
        recode: (plan, state, what each code becomes, the last one being a null's) -> state.
    """

    name: str
    empty: Callable[[Plan, int], Any]
    lift: Callable[[Plan, Events, list[Bool]], Any]
    join: Callable[[Plan, Any, Any, I64], Any]
    recode: Callable[[Plan, Any, I64], Any] = _without_strings


FAMILIES = (
    Family("tiles", lambda plan, _: Tiles.empty(width_of(plan.layout.track_kinds)), lift_tiles, join_tiles),
    Family(
        "logs",
        lambda plan, _: tuple(empty_rows(kinds_of(plan, log)) for log in plan.logs),
        lift_logs,
        join_logs,
        recode_logs,
    ),
    Family(
        "decays",
        lambda plan, users: tuple(DecayedNumbers.empty(users, len(d.half_lives_us)) for d in plan.decays),
        lift_decays,
        join_decays,
    ),
    Family(
        "vectors",
        lambda plan, users: tuple(DecayedSums.empty(users, len(v.half_lives_us), v.dimensions) for v in plan.vectors),
        lift_vectors,
        join_vectors,
    ),
    Family("last_seen", lambda _plan, _users: LastSeenRows.empty(), lift_last_seen, join_last_seen),
    Family(
        "profiles",
        lambda plan, users: tuple(DecayedBins.empty(users, len(p.half_lives_us), p.bins) for p in plan.profiles),
        lift_profiles,
        join_profiles,
    ),
    Family("sessions", lambda plan, users: Sessions.empty(users, len(plan.sessions)), lift_sessions, join_sessions),
    Family("hlls", lambda _plan, _users: HllTiles.empty(), lift_hlls, join_hlls),
    Family("klls", lambda _plan, _users: KllTiles.empty(), lift_klls, join_klls),
    Family("keyed_tiles", empty_keyed_tiles, lift_keyed_tiles, join_keyed_tiles, recode_keyed_tiles),
    Family(
        "keyed_decays",
        lambda plan, users: KeyedDecays.empty(users, plan.layout.keyed_decay_kinds),
        lift_keyed_decays,
        join_keyed_decays,
        recode_keyed_decays,
    ),
)
