"""A model of users on stored state: items in, a user vector out, with an event's cost independent of the history.

    x_n = E[item_n];   x = x + retention_l(norm(x)) for each layer l;   u_n = norm(x);   score(j) = E[j] . u_n

E (items + 1, d) are the items' vectors, the last one that of an item the model does not know. Weights come from a file
of numpy's (`examples/sequence_models/train.py` makes one):

    version        int, 1
    items          (items,) text
    embedding      (items + 1, d)
    l.query, l.key, l.value, l.out     of layer l = 0, 1, ...
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from examples.sequence_models.retention import EPSILON, F64, Retention
from user_state.errors import InputError

VERSION = 1
_PARTS = ("query", "key", "value", "out")


@dataclass(frozen=True)
class UserState:
    """What is kept of a user: the layers' states, and the last output.

    Attributes:
        layers: (heads, d_k, d_v) a layer.
        vector: (d,) the user vector after the last event; zeros before the first.
        events: how many events it has seen.
    """

    layers: tuple[F64, ...]
    vector: F64
    events: int


class UserModel:
    """The model; safe to share between threads."""

    def __init__(self, items: Sequence[str], embedding: F64, layers: Sequence[Retention]) -> None:
        if embedding.shape[0] != len(items) + 1:
            raise ValueError(f"expected {len(items) + 1} vectors, one more than items, got {embedding.shape[0]}")
        self.items = tuple(items)
        self.embedding = embedding
        self.layers = tuple(layers)
        self._code = {item: code for code, item in enumerate(items)}

    def start(self) -> UserState:
        """Return the state of a user who did nothing yet."""
        return UserState(tuple(layer.start() for layer in self.layers), np.zeros(self.embedding.shape[1]), 0)

    def update(self, state: UserState, items: Sequence[str]) -> UserState:
        """Return the state after further events, oldest first; `state` stays as it was."""
        if not items:
            return state
        x = self.embedding[[self._code.get(item, len(self.items)) for item in items]]
        after = []
        for layer, held in zip(self.layers, state.layers, strict=True):
            kept, out = layer.chunk(held, _norm(x))
            after.append(kept)
            x = x + out
        return UserState(tuple(after), _norm(x)[-1], state.events + len(items))

    def scores(self, state: UserState) -> F64:
        """Return (items,) how likely each item is next, higher for likelier."""
        scores: F64 = self.embedding[:-1] @ state.vector
        return scores

    def save(self, path: str | Path) -> None:
        """Write the weights, as float32.

        Raises:
            InputError: the file cannot be written.
        """
        arrays: dict[str, Any] = {"version": np.int64(VERSION), "items": np.array(self.items, np.str_)}
        arrays["embedding"] = self.embedding.astype(np.float32)
        for number, layer in enumerate(self.layers):
            arrays |= {f"{number}.{part}": getattr(layer, part).astype(np.float32) for part in _PARTS}
        try:
            with Path(path).open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
        except OSError as exc:
            raise InputError(f"cannot write {path}: {exc.strerror or exc}") from exc

    @classmethod
    def load(cls, path: str | Path) -> UserModel:
        """Read weights.

        Raises:
            InputError: it is no file of weights, or has numbers that are none; says what is wrong.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                held = {name: file[name] for name in file.files}
        except OSError as exc:
            raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
        except (ValueError, BadZipFile, EOFError) as exc:
            raise InputError(f"expected a file of weights, .npz, got {path}: {exc}") from exc
        if int(held.get("version", np.int64(0))) != VERSION:
            raise InputError(f"expected weights of version {VERSION} in {path}, got {held.get('version', 'none')}")
        numbers = sorted({int(name.split(".")[0]) for name in held if re.fullmatch(r"\d+\.\w+", name)})
        wanted = ["items", "embedding", *(f"{number}.{part}" for number in numbers for part in _PARTS)]
        for name in wanted:
            if name not in held:
                raise InputError(f"expected an array {name} in {path}, which has {', '.join(sorted(held))}")
            if name != "items" and not np.isfinite(held[name]).all():
                raise InputError(f"expected finite numbers in {name} of {path}, got some that are not")
        layers = [[held[f"{number}.{part}"].astype(np.float64) for part in _PARTS] for number in numbers]
        try:
            return cls(
                held["items"].tolist(), held["embedding"].astype(np.float64), [Retention(*one) for one in layers]
            )
        except ValueError as exc:
            raise InputError(f"weights in {path} do not go together: {exc}") from exc


def _norm(x: F64) -> F64:
    """Return x over its root mean square, row by row."""
    normed: F64 = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + EPSILON)
    return normed
