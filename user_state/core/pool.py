"""Strings by number, so that every step but the first and the last compares integers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
NULL_CODE = -1
"""Stands for null in string columns."""


class StringPool:
    """Distinct strings, numbered in order of their first coming: equal codes mean equal strings.

    It only ever grows, and a code never changes, so records may share one.
    """

    __slots__ = ("_code_of", "_texts")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._code_of: dict[str, int] = {}
        self._texts: list[str] = []
        self.codes(texts)

    def __len__(self) -> int:
        return len(self._code_of)

    def __getitem__(self, code: int) -> str:
        return self.texts[code]

    @property
    def texts(self) -> list[str]:
        """All strings, by code; not to be changed."""
        if len(self._texts) != len(self._code_of):
            self._texts = list(self._code_of)
        return self._texts

    def find(self, text: str) -> int | None:
        """Return the code of a string, None if it was never added."""
        return self._code_of.get(text)

    def codes(self, texts: Iterable[str | None]) -> list[int]:
        """Return the strings' codes, adding those that are new; NULL_CODE for None.

        >>> StringPool().codes(["a", "b", None, "a"])
        [0, 1, -1, 0]
        """
        code_of = self._code_of
        return [NULL_CODE if text is None else code_of.setdefault(text, len(code_of)) for text in texts]

    def take_in(self, other: StringPool) -> I64:
        """Add another pool's strings; return (len(other) + 1,) what each of its codes becomes, a null staying one."""
        return np.array([*self.codes(other.texts), NULL_CODE], np.int64)
