"""Logs: some of the events a user did that pass a filter, with some of their fields.

Rows are sorted by (user, event time, tie), the tie being the top 32 bits of the event id's hash; joining two logs is
putting them side by side, sorting, and keeping

    last      each user's last K
    distinct  of rows with equal values the last, and of those each user's last K
    first     the first K of every tile of the log's time axis (user_state/core/track_axes.py)

None of which depends on the order in which a set of events was seen: what is dropped has K others that go before it
in any larger set too. A window begins at the edge of a tile, so its first K are among those of its tiles, and its last
K, or last K distinct, are the last K of all that lie inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.core.events import I64, Bool, Events
from user_state.core.histories import TIE_SHIFT, LogRows, newer_rows
from user_state.core.pieces import Log
from user_state.core.plan import Plan


def dtype_of(kind: str) -> type[np.float64] | type[np.int64]:
    """Return the dtype of a column of this kind; strings are codes."""
    return np.float64 if kind == "float" else np.int64


def kinds_of(plan: Plan, log: Log) -> tuple[str, ...]:
    """Return the kinds of a log's columns."""
    return tuple(plan.fields[field].kind for field in log.fields)


def empty_rows(kinds: tuple[str, ...]) -> LogRows:
    """Return no rows, with columns of these kinds."""
    none = np.empty(0, np.int64)
    return LogRows(none, none, none, tuple(np.empty(0, dtype_of(kind)) for kind in kinds))


def lift_logs(plan: Plan, events: Events, matched: list[Bool]) -> tuple[LogRows, ...]:
    """Return for each of `plan.logs` the rows of the events that it wants, unsorted."""
    return tuple(_lift(plan, log, events, matched) for log in plan.logs)


def _lift(plan: Plan, log: Log, events: Events, matched: list[Bool]) -> LogRows:
    wanted = matched[log.filter]
    if log.required is not None:
        wanted = wanted & events.has(plan, log.required)
    rows = np.flatnonzero(wanted)
    return LogRows(
        events.user[rows],
        events.time_us[rows],
        (events.id_hash[rows] >> TIE_SHIFT).astype(np.int64),
        tuple(events.columns[field][rows] for field in log.fields),
    )


def recode(rows: LogRows, kinds: tuple[str, ...], becomes: I64) -> LogRows:
    """Return rows whose string codes are exchanged: code c for `becomes[c]`, a null's for the last of them."""
    columns = tuple(
        becomes[column] if kind == "string" else column for kind, column in zip(kinds, rows.columns, strict=True)
    )
    return LogRows(rows.user, rows.time_us, rows.tie, columns)


def recode_logs(plan: Plan, logs: tuple[LogRows, ...], becomes: I64) -> tuple[LogRows, ...]:
    """Return the logs with their string codes exchanged; see `recode`."""
    return tuple(recode(rows, kinds_of(plan, log), becomes) for log, rows in zip(plan.logs, logs, strict=True))


def join_logs(plan: Plan, a: tuple[LogRows, ...], b: tuple[LogRows, ...], clock_us: I64) -> tuple[LogRows, ...]:
    """Return for each of `plan.logs` the last rows of both, whose codes share one pool; users' clocks are (n,)."""
    return tuple(
        _join(plan, index, [of_a, of_b], clock_us) for index, (of_a, of_b) in enumerate(zip(a, b, strict=True))
    )


def _join(plan: Plan, index: int, parts: list[LogRows], clock_us: I64) -> LogRows:
    log = plan.logs[index]
    rows = LogRows(
        np.concatenate([part.user for part in parts]),
        np.concatenate([part.time_us for part in parts]),
        np.concatenate([part.tie for part in parts]),
        tuple(np.concatenate(columns) for columns in zip(*(part.columns for part in parts), strict=True)),
    )
    if log.reach_us is not None:
        oldest = clock_us - plan.max_clock_skew_us - log.reach_us
        rows = rows.take(rows.time_us >= oldest[rows.user])
    if len(rows.user) == 0:
        return rows
    rows = rows.take(np.lexsort((rows.tie, rows.time_us, rows.user)))
    if log.keeps == "first":
        return _first_of_tiles(plan, index, rows, clock_us)
    if log.keeps == "distinct":
        assert log.required is not None  # the compiler sets it  # noqa: S101
        rows = _last_of_values(rows, rows.columns[log.fields.index(log.required)])
    newer = newer_rows(rows.user)
    return rows if newer.max() < log.cap else rows.take(newer < log.cap)


def _first_of_tiles(plan: Plan, index: int, rows: LogRows, clock_us: I64) -> LogRows:
    """Return the first `cap` rows of every tile: the first ones of any window are among them."""
    log = np.full(len(rows.user), index)
    start_s, kept = plan.log_axes.place(rows.user, rows.time_us // 1_000_000, log, clock_us)
    # Within a user tiles ascend with time, so rows of one tile stand together already.
    tile = np.cumsum(np.concatenate(([True], (rows.user[1:] != rows.user[:-1]) | (start_s[1:] != start_s[:-1]))))
    older = np.arange(len(tile)) - np.searchsorted(tile, tile, side="left")
    kept &= older < plan.logs[index].cap
    return rows if kept.all() else rows.take(kept)


def _last_of_values(rows: LogRows, value: npt.NDArray[Any]) -> LogRows:
    """Return of a user's rows with equal values the last one."""
    # Adding 0.0 makes one zero of two; integers stay what they are.
    bits = (value + 0.0).view(np.int64) if value.dtype == np.float64 else value
    order = np.lexsort((np.arange(len(bits)), bits, rows.user))
    user, bits = rows.user[order], bits[order]
    last = np.concatenate(((user[1:] != user[:-1]) | (bits[1:] != bits[:-1]), [True]))
    return rows if last.all() else rows.take(np.sort(order[last]))
