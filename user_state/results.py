"""What the client returns: the state of users at one time, finished, in the types that rankers take."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.errors import shorten
from user_state.state.padding import Padded
from user_state.times import format_time


@dataclass(frozen=True)
class UserStateBatch:
    """The state of several users at one time.

    Attributes:
        users: whose, in the order asked for.
        names: the columns of `values`.
        values: (users, features) float32.
        present: (users,) whether there is a record that could be read.
        as_of_us: the reading time that windows were finished at, microseconds UTC.
        last_event_us: (users,) time of each user's newest event, microseconds UTC; 0 for unknown users.
        arrays: by name: (users, size) float32: features of several numbers, such as histograms.
        sequences: by name: features that are lists, and sequences, padded.
        embeddings: by name: (users, dimensions) float32; interests (users, K, dimensions).
        item_versions: table of item vectors -> the version that embeddings over it were composed with; empty if there
            is none in Redis.
        missing_items: by name of an embedding over a table: (users,) how many of the last events name an item that has
            no vector.
        errors: user -> why the record could not be read; such users have the defaults, as unknown ones do.
    """

    users: tuple[str, ...]
    names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    present: npt.NDArray[np.bool_]
    as_of_us: int
    last_event_us: npt.NDArray[np.int64]
    arrays: dict[str, npt.NDArray[np.float32]]
    sequences: dict[str, Padded]
    embeddings: dict[str, npt.NDArray[np.float32]]
    item_versions: dict[str, str]
    missing_items: dict[str, npt.NDArray[np.int64]]
    errors: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return what there is, in a line; the arrays are there to be looked at one by one."""
        absent = len(self.users) - int(np.count_nonzero(self.present))
        parts = [
            f"{len(self.users)} users",
            *([f"{absent} of them without a record"] if absent else []),
            *([f"{len(self.errors)} of these unreadable"] if self.errors else []),
            *_numbers(self.names, self.arrays, self.sequences, self.embeddings),
        ]
        return f"UserStateBatch({', '.join(parts)}, as of {format_time(self.as_of_us)})"

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, index: int) -> UserState:
        """Return one user's state by position."""
        return UserState(
            user=self.users[index],
            present=bool(self.present[index]),
            as_of_us=self.as_of_us,
            last_event_us=int(self.last_event_us[index]),
            features=dict(zip(self.names, self.values[index].tolist(), strict=True)),
            arrays={name: values[index] for name, values in self.arrays.items()},
            sequences={name: padded.of_user(index) for name, padded in self.sequences.items()},
            embeddings={name: vectors[index] for name, vectors in self.embeddings.items()},
            item_versions=self.item_versions,
            missing_items={name: int(missing[index]) for name, missing in self.missing_items.items()},
            error=self.errors.get(self.users[index]),
        )


@dataclass(frozen=True)
class UserState:
    """The state of one user at one time.

    Attributes:
        user, present, as_of_us, last_event_us: as in `UserStateBatch`.
        features: name -> value.
        arrays: name -> (size,) float32.
        sequences: name -> a list of values (`last_k`), or a dict of lists by field (sequences, tables).
        embeddings: name -> (dimensions,) float32; interests (K, dimensions).
        item_versions, missing_items: as in `UserStateBatch`, of this user.
        error: why the record could not be read, None if it could, or if there is none.
    """

    user: str
    present: bool
    as_of_us: int
    last_event_us: int
    features: dict[str, float]
    arrays: dict[str, npt.NDArray[np.float32]]
    sequences: dict[str, list[Any] | dict[str, list[Any]]]
    embeddings: dict[str, npt.NDArray[np.float32]]
    item_versions: dict[str, str]
    missing_items: dict[str, int]
    error: str | None = None

    def __repr__(self) -> str:
        """Return what there is, in a line."""
        seen = f"last event {format_time(self.last_event_us)}" if self.present else "no record"
        if self.error is not None:
            seen = f"unreadable: {self.error}"
        parts = (seen, *_numbers(self.features, self.arrays, self.sequences, self.embeddings))
        return f"UserState({shorten(self.user)}, {', '.join(parts)}, as of {format_time(self.as_of_us)})"


def _numbers(features: Sized, arrays: Sized, sequences: Sized, embeddings: Sized) -> list[str]:
    """Return how many outputs of each kind there are, in words."""
    kinds = {"features": len(features) + len(arrays), "sequences": len(sequences), "embeddings": len(embeddings)}
    return [f"{number} {kind}" for kind, number in kinds.items() if number]
