"""Lists of different lengths side by side: what `last_k`, sequences and tables of keys are read as.

Made for sequence models: every column is one (n, last) array, padded behind each user's entries, and strings come as
whole numbers too, by a dictionary of their own or by the model's vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.errors import InputError
from user_state.plan.lazily import cached_property
from user_state.state.events import NULL_INT
from user_state.state.string_dictionary import StringPool

I64 = npt.NDArray[np.int64]
_DTYPES: dict[str, Any] = {"string": object, "float": np.float64}
"""Of values in lists, by kind; others are whole numbers."""


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
class Flat:
    """A column of lists, all values one behind the other: by user, then by entry, then as the event has them.

    Attributes:
        lengths: (n, last) int64, how many values each entry has; 0 for null and beyond a user's length.
        values: all of them: float64, int64 (booleans as 0 and 1), or objects for strings.
    """

    lengths: I64
    values: npt.NDArray[Any]


class Columns(Mapping[str, npt.NDArray[Any]]):
    """The columns of a `Padded`; those of strings and lists become objects when they are first asked for."""

    def __init__(
        self,
        grids: Mapping[str, npt.NDArray[Any]],
        strings: frozenset[str],
        pool: StringPool,
        lists: Collection[str] = (),
    ) -> None:
        self._grids = grids
        self._strings = strings
        self._pool = pool
        self._lists = lists
        self._objects: dict[str, npt.NDArray[Any]] = {}

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        if name not in self._strings and name not in self._lists:
            return self._grids[name]
        if name not in self._objects:
            grid = self._grids[name]
            self._objects[name] = _lists_of(grid, self._pool) if name in self._lists else self._pool.objects.take(grid)
        return self._objects[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._grids)

    def __len__(self) -> int:
        return len(self._grids)


@dataclass(frozen=True)
class Padded:
    """Lists of n users, padded to the longest that the spec allows. Sequences and `last_k` begin with the newest event.

    Attributes:
        length: (n,) int64, how many entries each user has.
        grids: field name -> (n, last): float64 with NaN for null, int64 with the smallest int64 for null (times in
            microseconds UTC, booleans as 0 and 1), or strings, and lists as JSON, as indices into `pool`, -1 for null;
            beyond `length` all are null.
        strings: the names of those that are strings.
        pool: the dictionary that all outputs share.
        single: whether this is one field's values (`last_k`) and not a sequence of several fields.
        lists: the names of those that are lists, each with the kind of its values: string, float, int or bool.
    """

    length: I64
    grids: dict[str, npt.NDArray[Any]]
    strings: frozenset[str] = frozenset()
    pool: StringPool = field(default_factory=StringPool, repr=False)
    single: bool = False
    lists: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def made(
        cls,
        length: I64,
        grids: dict[str, npt.NDArray[Any]],
        strings: frozenset[str],
        pool: StringPool,
        single: bool,
        lists: Mapping[str, str],
    ) -> Padded:
        """Return the same as the constructor, which takes four times as long: look-ups make many."""
        padded = cls.__new__(cls)
        padded.__dict__.update(length=length, grids=grids, strings=strings, pool=pool, single=single, lists=lists)
        return padded

    @cached_property
    def columns(self) -> Columns:
        """Field name -> (n, last): as in `grids`, but for strings and lists, which are objects: str, list or None."""
        return Columns(self.grids, self.strings, self.pool, self.lists)

    def __len__(self) -> int:
        return len(self.length)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return a column, (n, last)."""
        return self.columns[self._known(name, self.columns)]

    @property
    def last(self) -> int:
        """How many entries a user may have."""
        return int(next(iter(self.grids.values())).shape[1])

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(n, last) whether there is an entry: true before each user's length."""
        return np.asarray(np.arange(self.last) < self.length[:, None], np.bool_)

    def coded(self, name: str) -> Coded:
        """Return a column of strings as codes with their dictionary.

        Raises:
            InputError: there is no such column of strings.
        """
        grid = self.grids[self._known(name, self.strings)]
        used, which = np.unique(grid, return_inverse=True)
        # Several codes may stand for one string.
        texts = [None if text is None else str(text) for text in self.pool.objects[used]]
        different = sorted({text for text in texts if text is not None})
        code_of = dict(zip(different, range(len(different)), strict=True))
        codes = np.array([-1 if text is None else code_of[text] for text in texts], np.int64)
        held = np.empty(len(different), object)
        held[:] = different
        return Coded(codes[which].reshape(grid.shape), held)

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

    def flat(self, name: str) -> Flat:
        """Return a column of lists as lengths and values: what ragged tensors and bags of embeddings are made of.

        Raises:
            InputError: there is no such column of lists.
        """
        lists = self.columns[self._known(name, self.lists)]
        lengths = np.array([0 if one is None else len(one) for one in lists.ravel()], np.int64).reshape(lists.shape)
        values = [value for one in lists.ravel() if one is not None for value in one]
        kind = _DTYPES.get(self.lists[name], np.int64)
        return Flat(lengths, np.array(values, kind))

    def reversed(self) -> Padded:
        """Return the same lists the other way round, padded behind as before: sequences then end with the newest."""
        last = np.arange(self.last)
        place = np.where(self.mask, self.length[:, None] - 1 - last, last)
        grids = {name: np.take_along_axis(grid, place, axis=1) for name, grid in self.grids.items()}
        return Padded(self.length, grids, self.strings, self.pool, self.single, self.lists)

    def of_user(self, index: int) -> list[Any] | dict[str, list[Any]]:
        """Return one user's entries without padding, nulls as None: a list if `single`, else a list a field."""
        length = int(self.length[index])
        lists = {name: self._listed(name, grid[index, :length]) for name, grid in self.grids.items()}
        return next(iter(lists.values())) if self.single else lists

    def _listed(self, name: str, values: npt.NDArray[Any]) -> list[Any]:
        """Return values of a column with None for null, which each type has a value for."""
        if name in self.strings:
            texts: list[Any] = self.pool.objects[values].tolist()
            return texts
        if name in self.lists:
            listed: list[Any] = _lists_of(values, self.pool).tolist()
            return listed
        if values.dtype == np.int64:
            return [None if value == NULL_INT else value for value in values.tolist()]
        return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 - only NaN is not itself

    def _known(self, name: str, columns: Collection[str]) -> str:
        if name not in columns:
            kind = "a column of strings" if columns is self.strings else "a column"
            kind = "a column of lists" if columns is self.lists else kind
            known = [column for column in self.grids if column in columns]
            raise InputError(f"expected {kind} ({', '.join(known) or 'there is none'}), got {name!r}")
        return name


def _lists_of(codes: npt.NDArray[Any], pool: StringPool) -> npt.NDArray[Any]:
    """Return what JSON texts with these codes are, each different one parsed once: lists of their own, or None."""
    used, which = np.unique(codes, return_inverse=True)
    parsed = [None if text is None else json.loads(text) for text in pool.objects[used]]
    lists = np.empty(codes.size, object)
    for at, one in enumerate(which.ravel().tolist()):
        found = parsed[one]
        lists[at] = None if found is None else found.copy()
    return lists.reshape(codes.shape)
