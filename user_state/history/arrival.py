"""Events in the order in which history has them arrive, and in order of event time.

    order of arrival       (publish time, event time, hash of the event id)
    order of event time    (event time, hash of the event id), as outputs have it

What has no publish time arrives at its event time, so that files without publish times are sorted. Of copies that are
equal in all of these the contents decide, so that no result depends on the order of files and of their rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from user_state.state.events import I64, Events, ListColumn
from user_state.state.string_dictionary import NULL_CODE


def in_order_of_arrival(events: Events, kinds: str) -> Events:
    """Return events in order of arrival; `kinds` are the plan's."""
    return events.take(order_of_arrival(events, kinds))


def order_of_arrival(events: Events, kinds: str) -> I64:
    """Return the rows of events in order of arrival; `kinds` are the plan's."""
    # Most rows are in order of publish time already, which a stable sort makes use of; few share one.
    order = np.argsort(events.published_us, kind="stable")
    published_us = events.published_us[order]
    tied = published_us[1:] == published_us[:-1]
    if 2 * int(tied.sum()) > len(events):
        order = np.lexsort((events.id_hash, events.time_us, events.published_us))
    elif tied.any():
        _sort_ties(events, order, tied)
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for column in (events.published_us, events.time_us, events.id_hash):
        sorted_ = column[order]
        same &= sorted_[1:] == sorted_[:-1]
    if same.any():
        order = _ties_by_contents(events, order, same, kinds)
    return order


def stable_order(numbers: I64) -> I64:
    """Return the order in which numbers from 0 on ascend, equal ones as they came.

    numpy sorts whole numbers of 16 bits by their digits, and longer ones by comparing, which takes ten times as long.
    """
    order = np.argsort((numbers & 0xFFFF).astype(np.uint16), kind="stable")
    for shift in range(16, int(numbers.max(initial=0)).bit_length(), 16):
        digit = (numbers[order] >> shift & 0xFFFF).astype(np.uint16)
        order = order[np.argsort(digit, kind="stable")]
    return order


def _sort_ties(events: Events, order: I64, tied: npt.NDArray[np.bool_]) -> None:
    """Sort rows of one publish time; `tied[i]` is whether row i + 1 in order has that of row i. Mutates `order`."""
    among = np.zeros(len(order), np.bool_)
    among[1:] |= tied
    among[:-1] |= tied
    rows = order[among]
    order[among] = rows[np.lexsort((events.id_hash[rows], events.time_us[rows], events.published_us[rows]))]


def in_order_of_event_time(events: Events) -> Events:
    """Return events in order of event time, each arriving at it."""
    sorted_ = events.take(np.lexsort((events.id_hash, events.time_us)))
    return Events(
        sorted_.users,
        sorted_.user,
        sorted_.id_hash,
        sorted_.time_us,
        sorted_.time_us,
        sorted_.columns,
        sorted_.pool,
    )


def _ties_by_contents(events: Events, order: I64, same: npt.NDArray[np.bool_], kinds: str) -> I64:
    """Return the order with runs of equal keys sorted by user and contents; `same[i]` is whether i + 1 equals i."""
    differs = np.concatenate([[0], np.cumsum(same & _differ(events, order))])
    begins = np.flatnonzero(np.diff(np.concatenate([[0], same.astype(np.int8)])) == 1)
    ends = np.flatnonzero(np.diff(np.concatenate([same.astype(np.int8), [0]])) == -1) + 2
    # Copies of files are common, and of equal copies any may be the first.
    odd = differs[ends - 1] > differs[begins]
    for begin, end in zip(begins[odd].tolist(), ends[odd].tolist(), strict=True):
        rows = order[begin:end].tolist()
        order[begin:end] = sorted(rows, key=lambda row: _contents(events, row, kinds))
    return order


def _differ(events: Events, order: I64) -> npt.NDArray[np.bool_]:
    """Return whether row i + 1 in order has another user or other contents than row i; of lists it may have."""
    differ = np.zeros(len(order) - 1, np.bool_)
    for column in (events.user, *events.columns):
        if isinstance(column, ListColumn):
            differ[:] = True
        else:
            # As bits: NaN, which stands for null, is equal to itself then.
            bits = column.view(np.int64)[order]
            differ |= bits[1:] != bits[:-1]
    return differ


def _contents(events: Events, row: int, kinds: str) -> tuple[object, ...]:
    held: list[object] = [events.users[events.user[row]]]
    for column, kind in zip(events.columns, kinds, strict=True):
        if isinstance(column, ListColumn):
            values = column.values[column.ends[row] : column.ends[row + 1]].tolist()
        else:
            values = [column[row].item()]
        if kind in "sS":
            values = ["" if code == NULL_CODE else f"={events.pool[code]}" for code in values]
        # As text: NaN stands for null, and is not in order with anything.
        held.append([value if isinstance(value, str) else repr(value) for value in values])
    return tuple(held)
