"""Columns of whole numbers, each user's in as few bytes a number as their largest one needs.

A section says each of its columns' widths, in bytes a number: 1, 2, 4 or 8, or 0 for a column of zeros, which is left
out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import column, need
from user_state.core.events import I64

U64 = npt.NDArray[np.uint64]
WIDTHS = (0, 1, 2, 4, 8)
_IS_WIDTH = np.isin(np.arange(256), WIDTHS)
LEAST_OF_WIDTH = np.array([1, 1 << 8, 1 << 16, 1 << 32], np.uint64)


def pack_narrow(values: npt.NDArray[np.int64] | U64, sizes: npt.NDArray[np.int64]) -> tuple[list[int], list[bytes]]:
    """Return (each user's width, each user's column).

    Args:
        values: (m,) none negative, users one after the other.
        sizes: (n,) how many of them each user has.
    """
    numbers = values.astype(np.uint64)
    largest = np.zeros(len(sizes), np.uint64)
    held = sizes > 0
    if held.any():
        largest[held] = np.maximum.reduceat(numbers, (np.cumsum(sizes) - sizes)[held])
    width = np.array(WIDTHS)[np.searchsorted(LEAST_OF_WIDTH, largest, side="right")]
    width_of_number = np.repeat(width, sizes)
    joined = {w: numbers[width_of_number == w].astype(f"<u{w}").tobytes() for w in WIDTHS[1:]}
    at = dict.fromkeys(WIDTHS, 0)
    widths = width.tolist()
    columns = []
    for w, size in zip(widths, sizes.tolist(), strict=True):
        begin = at[w]
        at[w] = end = begin + w * size
        columns.append(joined[w][begin:end] if w else b"")
    return widths, columns


class Cut:
    """Cuts n users' sections into columns, front to back.

    Attributes:
        lengths: (n,) how many bytes each section has in all.
    """

    def __init__(self, sections: Sequence[bytes], head_bytes: int, what: str) -> None:
        self.lengths = np.array([len(section) for section in sections], np.int64)
        self._sections = sections
        self._at = [head_bytes if section else 0 for section in sections]
        self._what = what

    def fixed(self, dtype: str, sizes: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return (m,) the next column of so many numbers (n,) of a fixed size.

        Raises:
            CodecError: a section ends before.
        """
        return column(self.bytes_of(sizes * np.dtype(dtype).itemsize), dtype)

    def narrow(self, widths: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> U64:
        """Return (m,) the next narrow column of so many numbers (n,), of widths (n,).

        Raises:
            CodecError: a section ends before, or a width is none.
        """
        need(bool(_IS_WIDTH[widths].all()), f"{self._what} have a width that there is not")
        columns = self.bytes_of(widths * sizes)
        first = int(widths[0]) if len(widths) else 0
        if first and (widths == first).all():
            return column(columns, f"<u{first}").astype(np.uint64)
        numbers = np.zeros(int(sizes.sum()), np.uint64)
        width_of_number = np.repeat(widths, sizes)
        widths_of = widths.tolist()
        for w in WIDTHS[1:]:
            mine = [packed for packed, of_user in zip(columns, widths_of, strict=True) if of_user == w]
            if mine:
                numbers[width_of_number == w] = column(mine, f"<u{w}")
        return numbers

    def end(self) -> None:
        """Refuse sections that go on.

        Raises:
            CodecError: one does.
        """
        need(self._at == self.lengths.tolist(), f"{self._what} have another length than they say")

    def bytes_of(self, lengths: npt.NDArray[np.int64]) -> list[bytes]:
        """Return each user's next bytes, of lengths (n,).

        Raises:
            CodecError: a section ends before.
        """
        begins = self._at
        ends = np.array(begins, np.int64) + lengths
        need(bool((ends <= self.lengths).all()), f"{self._what} are cut off")
        self._at = ends.tolist()
        return [section[a:b] for section, a, b in zip(self._sections, begins, self._at, strict=True)]


def folded(numbers: I64) -> U64:
    """Return signed numbers as unsigned ones that are small where those are near 0: 0, -1, 1, -2 as 0, 1, 2, 3.

    >>> folded(np.array([0, -1, 1, -2])).tolist()
    [0, 1, 2, 3]
    """
    return ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)


def unfolded(numbers: U64) -> I64:
    """Return the signed numbers that `folded` made unsigned.

    >>> unfolded(np.array([0, 1, 2, 3], np.uint64)).tolist()
    [0, -1, 1, -2]
    """
    half = (numbers >> np.uint64(1)).view(np.int64)
    return half ^ -(numbers & np.uint64(1)).astype(np.int64)
