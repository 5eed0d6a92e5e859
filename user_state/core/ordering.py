"""Sorting rows by several columns of whole numbers, as one column where they fit one.

Sorting 64-bit numbers once is several times as fast as `np.lexsort`, which sorts once a column. Columns whose ranges
fit 63 bits together are packed, the first one on top; others are left to `np.lexsort`. Both are stable.

State comes in runs that are in order already, tile by tile, which numpy's stable sort finds and merges: it takes a
quarter of the time of the other one. Real numbers by group have shorter runs. They are packed with their group, rounded
to fit, and sorted by digits of 16 bits, the lowest first, which numpy counts instead of comparing; only what rounding
made equal is compared.

Compiled code (native/loops/orders.cpp) sorts everything by digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.core import compiled
from user_state.core.ragged import begins_of

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
BITS = 63
DIGIT_BITS = 16
FEW = 256
"""Of fewer rows it is the number of calls that costs."""
NUMBER_BITS = 20
"""A number is not rounded to fewer bits than this, so that rounding makes few equal."""


def order_of(columns: Sequence[I64]) -> I64:
    """Return the order (m,) of rows by the first column, equal ones by the second, and so on; stable.

    >>> order_of((np.array([1, 0, 1, 1]), np.array([5, 9, -5, 5]))).tolist()
    [1, 2, 0, 3]
    """
    return compiled.order_of(columns) if compiled.used else _order_of(columns)


def _order_of(columns: Sequence[I64]) -> I64:
    if len(columns[0]) == 0:
        return np.empty(0, np.int64)
    packed = packed_columns(columns)
    return np.asarray(np.lexsort(tuple(columns[::-1])), np.int64) if packed is None else _order(packed)


def _order(packed: I64) -> I64:
    if bool((packed[1:] >= packed[:-1]).all()):
        return np.arange(len(packed))
    return np.argsort(packed, kind="stable")


def grouped(columns: Sequence[I64]) -> tuple[I64, I64, I64]:
    """Return (the order of rows, where runs of equal ones begin in it, which run each row of it is in).

    >>> [found.tolist() for found in grouped((np.array([1, 0, 1]), np.array([5, 9, 5])))]
    [[1, 0, 2], [0, 1], [0, 1, 1]]
    """
    return compiled.grouped(columns) if compiled.used else _grouped(columns)


def _grouped(columns: Sequence[I64]) -> tuple[I64, I64, I64]:
    packed = packed_columns(columns) if len(columns[0]) else None
    if packed is None:
        order = _order_of(columns)
        return order, *runs_of([column[order] for column in columns])
    order = _order(packed)
    return order, *runs_of((packed.take(order),))


def order_by_number(group: I64, numbers: F64) -> I64:
    """Return the order (m,) of rows by group, then by number; none of these is NaN.

    >>> order_by_number(np.array([1, 0, 1]), np.array([1.0 + 1e-12, 5.0, 1.0])).tolist()
    [1, 2, 0]
    """
    return compiled.order_by_number(group, numbers) if compiled.used else _order_by_number(group, numbers)


def _order_by_number(group: I64, numbers: F64) -> I64:
    if len(group) < FEW:
        return np.asarray(np.lexsort((numbers, group)), np.int64)
    rough = _rough(group, _ordinals(numbers))
    order = np.argsort(rough.astype(np.uint16), kind="stable")
    for shift in range(DIGIT_BITS, int(rough.max()).bit_length(), DIGIT_BITS):
        order = order.take(np.argsort((rough >> shift).astype(np.uint16).take(order), kind="stable"))
    sorted_, rough = numbers.take(order), rough.take(order)
    wrong = (sorted_[1:] < sorted_[:-1]) & (rough[1:] == rough[:-1])
    if wrong.any():
        heads, run = runs_of((rough,))
        disordered = np.zeros(len(heads), np.bool_)
        disordered[run[1:][wrong]] = True
        rows = np.flatnonzero(disordered[run])
        order[rows] = order[rows[np.lexsort((sorted_[rows], run[rows]))]]
    return order


def heaviest(of_list: I64, weight: I64, most: I64) -> tuple[I64, I64]:
    """Return (which rows lists begin with, the place of each in its list), the heaviest first, of equal ones the first.

    Args:
        of_list: (m,) the list that each row is of, ascending.
        weight: (m,) what it weighs.
        most: (lists,) how many rows a list has at most.

    >>> [found.tolist() for found in heaviest(np.array([0, 0, 0, 1]), np.array([3, 5, 5, 1]), np.array([2, 2]))]
    [[1, 2, 3], [0, 1, 0]]
    """
    return compiled.heaviest(of_list, weight, most) if compiled.used else _heaviest(of_list, weight, most)


def _heaviest(of_list: I64, weight: I64, most: I64) -> tuple[I64, I64]:
    order = _order_of((of_list, -weight))
    place = np.arange(len(of_list)) - begins_of(np.bincount(of_list))[of_list]
    listed = np.flatnonzero(place < most[of_list])
    return order[listed], place[listed]


def _rough(group: I64, ordinals: npt.NDArray[np.int32]) -> npt.NDArray[np.integer[Any]]:
    """Return (m,) with m > 0: group and number in one, the number's last bits left out if that saves a digit."""
    least = int(ordinals.min())
    of_group, of_number = int(group.max()).bit_length(), (int(ordinals.max()) - least).bit_length()
    digits = -(-(of_group + min(of_number, NUMBER_BITS)) // DIGIT_BITS)
    left_out = max(0, of_group + of_number - digits * DIGIT_BITS)
    # As unsigned numbers they wrap around to their distance.
    distance = (ordinals.view(np.uint32) - np.uint32(least & 0xFFFFFFFF)) >> left_out
    shift = of_number - left_out
    if digits * DIGIT_BITS <= 32:  # half as many bytes to go through
        return np.asarray(group.astype(np.uint32) << shift | distance)
    return np.asarray(group << shift | distance.astype(np.int64))


def ordinals_of(numbers: F64) -> I64:
    """Return whole numbers (m,) that order as numbers do in single precision; what is no number is the least.

    >>> ordinals_of(np.array([0.0, -0.0, 1.0, 1.0 + 1e-12, -1.0])).tolist()
    [0, 0, 1065353216, 1065353216, -1065353216]
    """
    return _ordinals(numbers).astype(np.int64)


def _ordinals(numbers: F64) -> npt.NDArray[np.int32]:
    with np.errstate(over="ignore", invalid="ignore"):
        # Adding 0 makes one zero of two.
        bits = (numbers.astype(np.float32) + np.float32(0)).view(np.int32)
    if bits.min(initial=0) < 0:
        bits = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    none = np.isnan(numbers)
    return np.where(none, np.int32(-(1 << 31)), bits) if none.any() else bits


def packed_columns(columns: Sequence[I64]) -> I64 | None:
    """Return one column (m,), m > 0, that orders as these do one after the other; None if they do not fit."""
    packed: I64 | None = None
    bits = 0
    for column in columns:
        least, greatest = int(column.min()), int(column.max())
        width = (greatest - least).bit_length()
        bits += width
        if bits > BITS:
            return None
        if width:
            packed = column - least if packed is None else packed << width | (column - least)
    return np.zeros(len(columns[0]), np.int64) if packed is None else packed


def runs_of(columns: Sequence[npt.NDArray[np.integer[Any]]]) -> tuple[I64, I64]:
    """Return (where runs of equal rows begin, which run each row (m,) is in).

    >>> heads, run = runs_of([np.array([3, 3, 1, 1]), np.array([0, 0, 0, 1])])
    >>> heads.tolist(), run.tolist()
    ([0, 2, 3], [0, 0, 1, 2])
    """
    new = np.ones(len(columns[0]), np.bool_)
    if len(new):
        new[1:] = columns[0][1:] != columns[0][:-1]
    for column in columns[1:]:
        new[1:] |= column[1:] != column[:-1]
    return new.nonzero()[0], np.cumsum(new) - 1
