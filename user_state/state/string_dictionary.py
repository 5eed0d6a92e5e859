"""Strings by number, so that every step but the first and the last compares integers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
NULL_CODE = -1
"""Stands for null in string columns."""


class StringPool:
    """Strings by number: a code never changes, so records may share a pool, and it only ever grows.

    There are two ways to number. Equal codes mean equal strings, which are numbered in order of their first coming;
    that is how strings are added. Or the pool is `of_records`, and equal codes of one record mean equal strings.
    """

    __slots__ = ("_code_of", "_later", "_objects", "_size", "_texts", "utf8")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._code_of: dict[str, int] | None = {}
        self._texts: list[str] = []
        self._objects: npt.NDArray[Any] | None = None
        self._later: Callable[[], list[str]] | None = None
        self._size = 0
        self.utf8: tuple[bytes, bytes] | None = None
        self.codes(texts)

    @classmethod
    def of_codes(cls, code_of: dict[str, int]) -> StringPool:
        """Return a pool of strings that were numbered from 0 on, in order of their first coming; it keeps the dict.

        >>> StringPool.of_codes({"a": 0, "b": 1}).texts
        ['a', 'b']
        """
        pool = cls()
        pool._code_of = code_of
        return pool

    @classmethod
    def of_records(
        cls, size: int, texts: Callable[[], list[str]], utf8: tuple[bytes, bytes] | None = None
    ) -> StringPool:
        """Return a pool of the strings of several records, record by record, each record's own once and ascending.

        Decoded records are read much oftener than written, and reading needs nothing more; most of it does not need
        the strings themselves, so that the `size` strings are made by `texts` when they are asked for. Whoever needs no
        strings of Python's finds them in `utf8`: all of them one after the other, and the length of each in bytes, two
        bytes a length.
        """
        pool = cls.__new__(cls)
        pool._code_of, pool._texts, pool._objects, pool._later, pool._size = None, [], None, texts, size
        pool.utf8 = utf8
        return pool

    def __len__(self) -> int:
        return self._size if self._code_of is None else len(self._code_of)

    def __getitem__(self, code: int) -> str:
        return self.texts[code]

    @property
    def texts(self) -> list[str]:
        """All strings, by code; not to be changed."""
        if len(self._texts) != len(self):
            if self._code_of is not None:
                self._texts = list(self._code_of)
            elif self._later is not None:
                self._texts = self._later()
        return self._texts

    @property
    def objects(self) -> npt.NDArray[Any]:
        """(strings + 1,) objects by code, and None where a null's code of -1 points."""
        if self._objects is None or len(self._objects) != len(self) + 1:
            self._objects = np.array([*self.texts, None], object)
        return self._objects

    def find(self, text: str) -> int | None:
        """Return the code of a string, None if it was never added."""
        return self._distinct.get(text)

    def codes(self, texts: Iterable[str | None]) -> list[int]:
        """Return the strings' codes, adding those that are new; NULL_CODE for None.

        >>> StringPool().codes(["a", "b", None, "a"])
        [0, 1, -1, 0]
        """
        code_of = self._distinct
        return [NULL_CODE if text is None else code_of.setdefault(text, len(code_of)) for text in texts]

    def take_in(self, other: StringPool) -> I64:
        """Add another pool's strings; return (len(other) + 1,) what each of its codes becomes, a null staying one."""
        return np.array([*self.codes(other.texts), NULL_CODE], np.int64)

    @property
    def _distinct(self) -> dict[str, int]:
        if self._code_of is None:
            raise ValueError("expected a pool of distinct strings, got one of several records")
        return self._code_of
