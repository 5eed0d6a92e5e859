"""Lists of different lengths side by side: what `last_k`, sequences and tables of keys are read as.

Made for sequence models: every column is one (n, last) array, padded behind each user's entries, and strings come as
whole numbers too, by a dictionary of their own or by the model's vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.core.events import NULL_INT
from user_state.core.pool import NULL_CODE
from user_state.errors import InputError

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Coded:
    """A column of strings as whole numbers.

    Attributes:
        codes: (n, last) int64 indices into `texts`; -1 for null and beyond a user's length.
        texts: (m,) objects: the different strings of the column, ascending.
    """

    codes: I64
    texts: npt.NDArray[Any]


@dataclass(frozen=True)
class Padded:
    """Lists of n users, padded to the longest that the spec allows. Sequences and `last_k` begin with the newest event.

    Attributes:
        length: (n,) int64, how many entries each user has.
        columns: field name -> (n, last): objects (str or None) for strings, float64 with NaN for null, or int64 with
            the smallest int64 for null (times in microseconds UTC, booleans as 0 and 1). Beyond `length`: None, NaN,
            or the smallest int64.
        single: whether this is one field's values (`last_k`) and not a sequence of several fields.
        pooled: field name -> (n, last) indices of the strings in a dictionary that other outputs share.
        pool: that dictionary, and None where the index -1 points.
    """

    length: I64
    columns: dict[str, npt.NDArray[Any]]
    single: bool = False
    pooled: Mapping[str, I64] = field(default_factory=dict, repr=False)
    pool: npt.NDArray[Any] = field(default_factory=lambda: np.array([None], object), repr=False)

    def __len__(self) -> int:
        return len(self.length)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return a column, (n, last)."""
        return self.columns[self._known(name, self.columns)]

    @property
    def last(self) -> int:
        """How many entries a user may have."""
        return int(next(iter(self.columns.values())).shape[1])

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(n, last) whether there is an entry: true before each user's length."""
        return np.asarray(np.arange(self.last) < self.length[:, None], np.bool_)

    def coded(self, name: str) -> Coded:
        """Return a column of strings as codes with their dictionary.

        Raises:
            InputError: there is no such column of strings.
        """
        grid = self.pooled[self._known(name, self.pooled)]
        used, which = np.unique(grid, return_inverse=True)
        texts = self.pool[used]
        order = sorted(np.flatnonzero(used != NULL_CODE).tolist(), key=texts.__getitem__)
        code_of = np.full(len(used), -1, np.int64)
        code_of[order] = np.arange(len(order))
        return Coded(code_of[which].reshape(grid.shape), texts[order])

    def ids(self, name: str, vocabulary: Mapping[str, int], *, unknown: int = 0, padding: int = 0) -> I64:
        """Return a column of strings as a model's ids, (n, last); each different string is looked up once.

        Args:
            name: the column.
            vocabulary: string -> id.
            unknown: the id of null and of strings that the vocabulary does not have.
            padding: the id beyond a user's length.

        Raises:
            InputError: there is no such column of strings.
        """
        coded = self.coded(name)
        id_of = np.array([*(vocabulary.get(text, unknown) for text in coded.texts), unknown], np.int64)
        return np.where(self.mask, id_of[coded.codes], padding)

    def reversed(self) -> Padded:
        """Return the same lists the other way round, padded behind as before: sequences then end with the newest."""
        last = np.arange(self.last)
        place = np.where(self.mask, self.length[:, None] - 1 - last, last)
        columns, pooled = (
            {name: np.take_along_axis(grid, place, axis=1) for name, grid in grids.items()}
            for grids in (self.columns, self.pooled)
        )
        return Padded(self.length, columns, self.single, pooled, self.pool)

    def of_user(self, index: int) -> list[Any] | dict[str, list[Any]]:
        """Return one user's entries without padding, nulls as None: a list if `single`, else a list a field."""
        length = int(self.length[index])
        lists = {name: _with_none(grid[index, :length]) for name, grid in self.columns.items()}
        return next(iter(lists.values())) if self.single else lists

    def _known(self, name: str, columns: Mapping[str, Any]) -> str:
        if name not in columns:
            kind = "a column" if columns is self.columns else "a column of strings"
            raise InputError(f"expected {kind} ({', '.join(columns) or 'there is none'}), got {name!r}")
        return name


def _with_none(values: npt.NDArray[Any]) -> list[Any]:
    """Return values with None for null, which each type has a value for."""
    if values.dtype == np.int64:
        return [None if value == NULL_INT else value for value in values.tolist()]
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 - only NaN differs from itself


def pad(
    user: I64,
    place: I64,
    *,
    users: int,
    width: int,
    columns: Mapping[str, tuple[npt.NDArray[Any], str]],
    texts: npt.NDArray[Any],
    single: bool = False,
) -> Padded:
    """Return rows as padded lists.

    Args:
        user: (m,) whose row it is.
        place: (m,) its place in the user's list, from 0 on without gaps, below `width`.
        users: n.
        width: length of the padded lists.
        columns: name -> (values (m,), kind of field); strings are codes into `texts`.
        texts: objects by code, with one more than there are strings, None, for a null's code of -1.
        single: as `Padded.single`.
    """
    padded, pooled = {}, {}
    for name, (values, kind) in columns.items():
        if kind == "string":
            grid = np.full((users, width), NULL_CODE, np.int64)
            grid[user, place] = values
            padded[name], pooled[name] = texts[grid], grid
        else:
            grid = np.full((users, width), np.nan if kind == "float" else NULL_INT, values.dtype)
            grid[user, place] = values
            padded[name] = grid
    return Padded(np.bincount(user, minlength=users).astype(np.int64), padded, single, pooled, texts)
