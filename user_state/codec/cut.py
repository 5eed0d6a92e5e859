"""Cutting n records' sections into columns, front to back, all records at once.

The sections stand one after the other, and where each one's next column begins is known. A column of all records is
then one gathering of numbers: the joined bytes are looked at as numbers that begin at every byte, and those are taken
that are asked for. No Python object is made a record, and a single record's columns are looked at where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import need
from user_state.codec.narrow import U64, WIDTHS
from user_state.core.events import I64, Bool
from user_state.core.ragged import begins_of

_IS_WIDTH = np.isin(np.arange(256), WIDTHS)


class Cut:
    """Cuts n users' sections into columns.

    Attributes:
        lengths: (n,) how many bytes each section has in all.
    """

    def __init__(self, sections: Sequence[bytes], what: str) -> None:
        """Begin at the beginning; `what` names the section in errors."""
        self.lengths = np.fromiter(map(len, sections), np.int64, len(sections))
        self._joined = sections[0] if len(sections) == 1 else b"".join(sections)
        self._ends = np.cumsum(self.lengths)
        self._at = self._ends - self.lengths
        self._what = what

    @property
    def left(self) -> I64:
        """(n,) how many bytes each section still has."""
        return self._ends - self._at

    def head(self, dtype: npt.DTypeLike, *, optional: bool = False) -> npt.NDArray[Any]:
        """Return (n,) what each section begins with, zeros if `optional` and there is nothing at all.

        Raises:
            CodecError: a section ends before.
        """
        some = self.lengths > 0 if optional else np.ones(len(self.lengths), np.bool_)
        heads = self.fixed(dtype, some.astype(np.int64))
        if len(heads) == len(some):
            return heads
        every = np.zeros(len(some), heads.dtype)
        every[some] = heads
        return every

    def fixed(self, dtype: npt.DTypeLike, sizes: I64) -> npt.NDArray[Any]:
        """Return (m,) the next column of so many numbers (n,); not to be changed.

        Raises:
            CodecError: a section ends before.
        """
        kind = np.dtype(dtype)
        return self._gather(self._passed(sizes * kind.itemsize), sizes, kind)

    def marked(self, dtype: npt.DTypeLike, sizes: I64, marks: Bool) -> npt.NDArray[Any] | None:
        """Return (m,) the next column of so many numbers (n,), zeros for users (n,) not marked; None if nobody is.

        Raises:
            CodecError: a section ends before.
        """
        if not marks.any():
            return None
        held = self.fixed(dtype, np.where(marks, sizes, 0))
        numbers = np.zeros(int(sizes.sum()), held.dtype)
        numbers[np.repeat(marks, sizes)] = held
        return numbers

    def narrow(self, widths: I64, sizes: I64) -> U64:
        """Return (m,) the next narrow column of so many numbers (n,), of widths (n,).

        Raises:
            CodecError: a section ends before, or a width is none.
        """
        if len(widths) == 1:
            width = int(widths[0])
            need(width in WIDTHS, f"{self._what} have a width that there is not")
            if width:
                return self.fixed(f"<u{width}", sizes).astype(np.uint64)
            return np.zeros(int(sizes[0]), np.uint64)
        need(bool(_IS_WIDTH[widths].all()), f"{self._what} have a width that there is not")
        return self._by_width("u", widths, sizes).astype(np.uint64)

    def floats(self, single: Bool, sizes: I64) -> npt.NDArray[np.float64]:
        """Return (m,) the next column of so many numbers (n,), of single precision or not (n,).

        Raises:
            CodecError: a section ends before, or a number is not finite.
        """
        return self._by_width("f", np.where(single, 4, 8), sizes)

    def end(self) -> None:
        """Refuse sections that go on.

        Raises:
            CodecError: one does.
        """
        need(bool((self._at == self._ends).all()), f"{self._what} have another length than they say")

    def _by_width(self, kind: str, widths: I64, sizes: I64) -> npt.NDArray[Any]:
        """Return the next column of numbers of a kind, whose widths differ by user."""
        begins = self._passed(widths * sizes)
        present = set(widths[sizes > 0].tolist()) - {0}
        numbers = np.zeros(int(sizes.sum()), f"{kind}8")
        for width in present:
            mine = widths == width
            held = self._gather(begins[mine], sizes[mine], np.dtype(f"<{kind}{width}"))
            # Before they are converted, which not every bit pattern survives without a warning.
            need(kind == "u" or bool(np.isfinite(held).all()), f"{self._what} have numbers that are not finite")
            if mine.all():
                return held.astype(numbers.dtype)
            numbers[np.repeat(mine, sizes)] = held
        return numbers

    def _passed(self, lengths: I64) -> I64:
        """Move on by so many bytes (n,); return where each section was.

        Raises:
            CodecError: a section ends before.
        """
        begins = self._at
        self._at = begins + lengths
        # A single section is met by most who fold, and an array of one number is slow to ask.
        inside = self._at[0] <= self._ends[0] if len(begins) == 1 else (self._at <= self._ends).all()
        need(bool(inside), f"{self._what} are cut off")
        return begins

    def _gather(self, begins: I64, sizes: I64, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return (m,) rows of so many numbers, each row beginning at a byte."""
        if len(sizes) == 1:
            size = int(sizes[0])
            return np.frombuffer(self._joined, dtype, size, int(begins[0])) if size else np.empty(0, dtype)
        total = int(sizes.sum())
        if total == 0:
            return np.empty(0, dtype)
        width = dtype.itemsize
        at_every_byte: npt.NDArray[Any] = np.ndarray(len(self._joined) - width + 1, dtype, self._joined, strides=(1,))
        places = np.repeat(begins - width * begins_of(sizes), sizes)
        places += width * np.arange(total)
        return at_every_byte[places]
