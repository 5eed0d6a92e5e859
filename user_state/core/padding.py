"""Lists of different lengths side by side: what `last_k`, sequences and tables of keys are read as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.core.events import NULL_INT
from user_state.core.pool import NULL_CODE

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Padded:
    """Sequences of n users, newest first, padded to the longest that the spec allows.

    Attributes:
        length: (n,) how many entries each user has.
        columns: field name -> (n, last): objects (str or None) for strings, float64 with NaN for null, or int64 with
            the smallest int64 for null. Beyond `length`: None, NaN, or the smallest int64.
        single: whether this is one field's values (`last_k`) and not a sequence of several fields.
    """

    length: I64
    columns: dict[str, npt.NDArray[Any]]
    single: bool = False

    def of_user(self, index: int) -> list[Any] | dict[str, list[Any]]:
        """Return one user's entries without padding, nulls as None: a list if `single`, else a list a field."""
        length = int(self.length[index])
        lists = {name: [_or_none(v) for v in grid[index, :length].tolist()] for name, grid in self.columns.items()}
        return next(iter(lists.values())) if self.single else lists


def _or_none(value: Any) -> Any:
    return None if value == NULL_INT or value != value else value  # noqa: PLR0124 - only NaN differs from itself


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
    padded = {}
    for name, (values, kind) in columns.items():
        if kind == "string":
            grid = np.full((users, width), NULL_CODE, np.int64)
            grid[user, place] = values
            padded[name] = texts[grid]
        else:
            grid = np.full((users, width), np.nan if kind == "float" else NULL_INT, values.dtype)
            grid[user, place] = values
            padded[name] = grid
    return Padded(np.bincount(user, minlength=users).astype(np.int64), padded, single)
