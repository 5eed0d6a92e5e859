"""What the record codec must know of the plan that made a record; small enough to be stored beside the records.

A layout lists, for each family of state, the pieces that a record holds: the key that identifies the piece's
definition, and the numbers its bytes are cut by. Families without pieces leave no trace in it, so that a new family
changes no layout that does without. `kept` says beside them how far back and how finely the pieces go: no byte depends
on it, but what a changed spec can still tell from a record does (kept.py).

A newer release may have written a layout. A family that this one does not know is left out: its records are read, and
migrated, without what that family holds. A kind that this one does not know, of a family that it does, is refused by
name: the family's bytes cannot be cut without it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from typing import Any

from user_state.errors import CodecError, shorten
from user_state.plan.hll import LG_KS
from user_state.plan.kept import Kept, read_kept
from user_state.plan.kll import KS
from user_state.plan.lazily import cached_property
from user_state.plan.tile_kinds import TRACK_COLUMNS
from user_state.spec.aggregations import MOST_KEY_FIELDS

COMPONENT_BYTES = (2, 4)
"""How many bytes a component of a vector may take."""
VALUES, DAYS = LAST_SEEN_KINDS = ("values", "days")
"""What a track of last seen keeps: when each value of a field was seen last, or on which local days."""


@dataclass(frozen=True)
class TrackLayout:
    """A track of the tiles; `kind` says which numbers it keeps (native/families/tiles/tile_values.hpp)."""

    key: str
    kind: str


TIME_KIND = "time"
"""The kind of a log's field that is the event time: an int that needs no bytes of its own."""
LIST_KINDS = ("list of strings", "list of floats", "list of ints", "list of bools")
"""The kinds of a log's fields that are lists, each as one string (native/codec/list_text.hpp)."""
FIELD_KINDS = ("string", "float", "int", "bool", TIME_KIND, *LIST_KINDS)
"""The kinds of a log's fields."""
KEY_KINDS = ("string", "int", "bool")
"""The kinds of a key's columns."""


@dataclass(frozen=True)
class LogLayout:
    """A log; `fields` are (name, kind), of FIELD_KINDS."""

    key: str
    fields: tuple[tuple[str, str], ...]

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the fields."""
        return tuple(kind for _, kind in self.fields)


@dataclass(frozen=True)
class DecayLayout:
    """Decayed numbers, one a half-life."""

    key: str
    half_lives: int


@dataclass(frozen=True)
class VectorsLayout:
    """Decayed sums of vectors, one a half-life, in `component_bytes` bytes a component."""

    key: str
    half_lives: int
    dimensions: int
    component_bytes: int


@dataclass(frozen=True)
class LastSeenLayout:
    """A track of values or days last seen; `kind` says which (native/families/last_seen/fold.cpp)."""

    key: str
    kind: str


@dataclass(frozen=True)
class ProfileLayout:
    """Decayed counts by bin, one set a half-life."""

    key: str
    half_lives: int
    bins: int


@dataclass(frozen=True)
class SessionLayout:
    """Sessions of one filter and gap."""

    key: str


@dataclass(frozen=True)
class HllLayout:
    """Sketches of distinct values in tiles, of 2^lg_k registers."""

    key: str
    lg_k: int


@dataclass(frozen=True)
class KllLayout:
    """KLL sketches in tiles."""

    key: str
    k: int


@dataclass(frozen=True)
class KeyedTrackLayout:
    """A track of the keyed tiles; `kinds` are those of its keys' columns."""

    key: str
    kinds: tuple[str, ...]
    sums: bool


@dataclass(frozen=True)
class KeyedDecayLayout:
    """Decayed counts by key; `kinds` are those of the keys' columns."""

    key: str
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class GapLayout:
    """Longest gaps of one filter, in tiles."""

    key: str


@dataclass(frozen=True)
class Layout:
    """The pieces of each family, in the order in which a record holds them."""

    tracks: tuple[TrackLayout, ...] = ()
    logs: tuple[LogLayout, ...] = ()
    decays: tuple[DecayLayout, ...] = ()
    vectors: tuple[VectorsLayout, ...] = ()
    last_seen: tuple[LastSeenLayout, ...] = ()
    profiles: tuple[ProfileLayout, ...] = ()
    sessions: tuple[SessionLayout, ...] = ()
    hlls: tuple[HllLayout, ...] = ()
    klls: tuple[KllLayout, ...] = ()
    keyed_tiles: tuple[KeyedTrackLayout, ...] = ()
    keyed_decays: tuple[KeyedDecayLayout, ...] = ()
    gaps: tuple[GapLayout, ...] = ()
    kept: tuple[Kept, ...] = ()
    text: str | None = field(default=None, compare=False, repr=False)
    """The JSON that it was read from, which may say more; None if it was not."""

    @cached_property
    def track_kinds(self) -> tuple[str, ...]:
        """The kind of each track."""
        return tuple(track.kind for track in self.tracks)

    @cached_property
    def keyed_kinds(self) -> tuple[tuple[str, ...], ...]:
        """The kinds of the keys' columns of each keyed track."""
        return tuple(track.kinds for track in self.keyed_tiles)

    @cached_property
    def keyed_width(self) -> int:
        """How many columns hold the sums of the keyed tracks: 1, or 0 if none sums."""
        return int(any(track.sums for track in self.keyed_tiles))

    @cached_property
    def keyed_decay_kinds(self) -> tuple[tuple[str, ...], ...]:
        """The kinds of the keys' columns of each keyed decay."""
        return tuple(decay.kinds for decay in self.keyed_decays)

    @property
    def keys(self) -> set[str]:
        """The keys of all pieces."""
        return {piece.key for family in _READERS for piece in getattr(self, family)}

    @cached_property
    def kept_of(self) -> dict[str, Kept]:
        """What is kept of the pieces that say so, by key."""
        return {kept.key: kept for kept in self.kept}

    def to_json(self) -> str:
        """Return the layout as JSON, the same text for the same layout."""
        if self.text is not None:
            return self.text
        pieces = {family: [list(asdict(piece).values()) for piece in getattr(self, family)] for family in _READERS}
        held = {family: listed for family, listed in pieces.items() if listed}
        return json.dumps(held, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Layout:
        """Return the layout that `to_json` wrote, of this release or a newer one.

        Raises:
            CodecError: it did not, or there is a kind in it that this release does not know.
        """
        try:
            families = dict(json.loads(text))
            if not all(isinstance(piece, list) for held in families.values() for piece in held):
                raise ValueError(families)
            known = {name: held for name, held in families.items() if name in _READERS}
            read = {name: tuple(_READERS[name](*piece) for piece in held) for name, held in known.items()}
            return cls(**read, text=text if isinstance(text, str) else text.decode())
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as exc:
            raise CodecError(f"expected a record layout as JSON, got {text[:80]!r}") from exc

    @cached_property
    def fingerprint(self) -> bytes:
        """Eight bytes that name this layout."""
        return hashlib.blake2b(self.to_json().encode(), digest_size=8).digest()


def _read_track(key: Any, kind: Any) -> TrackLayout:
    return TrackLayout(str(key), _known(kind, TRACK_COLUMNS, "tiles"))


def _read_log(key: Any, fields: Any) -> LogLayout:
    return LogLayout(str(key), tuple((str(name), _known(kind, FIELD_KINDS, "log columns")) for name, kind in fields))


def _read_last_seen(key: Any, kind: Any) -> LastSeenLayout:
    return LastSeenLayout(str(key), _known(kind, LAST_SEEN_KINDS, "last_seen"))


def _key_kinds(kinds: Any) -> tuple[str, ...]:
    if not isinstance(kinds, list) or not 1 <= len(kinds) <= MOST_KEY_FIELDS:
        raise ValueError(f"expected the kinds of a key's columns, got {kinds!r}")
    return tuple(_known(kind, KEY_KINDS, "keys") for kind in kinds)


def _known(kind: Any, known: Collection[str], of: str) -> str:
    """Return a kind.

    Raises:
        CodecError: this release does not know it: a newer one does, perhaps.
    """
    if not isinstance(kind, str) or kind not in known:
        raise CodecError(
            f"expected {of} of a kind that this release knows ({', '.join(known)}), got {shorten(kind)}: the layout was"
            " written by a newer release"
        )
    return kind


_READERS: dict[str, Callable[..., Any]] = {
    "tracks": _read_track,
    "logs": _read_log,
    "decays": lambda key, half_lives: DecayLayout(str(key), int(half_lives)),
    "vectors": lambda key, half_lives, dimensions, size: VectorsLayout(
        str(key), int(half_lives), int(dimensions), COMPONENT_BYTES[COMPONENT_BYTES.index(size)]
    ),
    "last_seen": _read_last_seen,
    "profiles": lambda key, half_lives, bins: ProfileLayout(str(key), int(half_lives), int(bins)),
    "sessions": lambda key: SessionLayout(str(key)),
    "hlls": lambda key, lg_k: HllLayout(str(key), LG_KS[LG_KS.index(lg_k)]),
    "klls": lambda key, k: KllLayout(str(key), KS[KS.index(k)]),
    "keyed_tiles": lambda key, kinds, sums: KeyedTrackLayout(str(key), _key_kinds(kinds), bool(sums)),
    "keyed_decays": lambda key, kinds: KeyedDecayLayout(str(key), _key_kinds(kinds)),
    "gaps": lambda key: GapLayout(str(key)),
    "kept": read_kept,
}
"""How each family's pieces are read back from JSON; raises KeyError, TypeError or ValueError."""
