"""How large a user's record can get, whatever the user does: an upper bound for every plan.

Nothing in a record grows without end: lists keep so many rows, tables so many keys a tile, tiles and sessions leave
with the longest window (or, before that, with what may still arrive: `allowed_lateness`), and what is kept for life is
one tile or three totals a track. So the bound is a sum over the pieces of state: how many rows each can have, times
the bytes of a row with every optional column there; docs/record.md lists them.
Strings count at their longest, once for every row that could bring its own.

The bound is that of a record folded under this plan alone. One that was folded under another may be larger until what
only that kept has left the windows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from user_state.durations import SECOND_US
from user_state.events.limits import MAX_ID_BYTES, MAX_TEXT_BYTES
from user_state.native import FAMILIES
from user_state.plan.conditions import OneOf
from user_state.plan.hll import most_coupons
from user_state.plan.kll import MAX_LEVELS, capacity
from user_state.plan.layout import DAYS, TIME_KIND
from user_state.plan.plan import Plan
from user_state.plan.state_definitions import HllTrack, KeyedDecay, KeyedTrack, LastSeen, Log, SessionTrack
from user_state.plan.tile_kinds import TRACK_COLUMNS
from user_state.state.remembered_ids import BYTES_AN_ID

SEEN_HEAD_BYTES = 32
"""More than what stands before the remembered ids."""
OUTER_BYTES = 26 + 4 * 9 + 6 + 2 + 4
"""The outer record: marker, version, layout, four numbers, the size of the dictionary, how many families, checksum."""
SHARED = "shared by all"
"""The part of what belongs to no feature alone: the outer record, heads of columns, the times of tiles."""
MOST_ROWS = MOST_BUCKETS = 0xFFFF
"""Rows of a log, and tiles that begin at different times: as many as their numbers of two bytes can count."""
SHORTEST_DAY_S = 23 * 3600
SESSION_TOP_US = 1 << 48


@dataclass(frozen=True)
class WorstCase:
    """The most bytes that a user can take.

    Attributes:
        record_bytes: of the record.
        seen_bytes: of the remembered ids.
        by_part: what the record is made of, the largest first. A part is named by the features, sequences and
            embeddings that read it, joined by " + ", and by SHARED.
    """

    record_bytes: int
    seen_bytes: int
    by_part: Mapping[str, int]


def worst_case(plan: Plan, longest_text: int = MAX_TEXT_BYTES) -> WorstCase:
    """Return the most bytes that a user of this plan can take, if no text has more than `longest_text` bytes."""
    bound = _Bound(plan, longest_text)
    parts = Counter({SHARED: OUTER_BYTES + _names(plan) + bound.shared()})
    for key, size in bound.pieces():
        parts[" + ".join(name for name in plan.declared_by[key] if name) or key] += size
    return WorstCase(sum(parts.values()), SEEN_HEAD_BYTES + BYTES_AN_ID * plan.seen_ids_cap, dict(parts.most_common()))


def longest_text_within(plan: Plan, record_bytes: int) -> int | None:
    """Return how many bytes all texts may have so that no record exceeds `record_bytes`; None if it can anyway."""
    if worst_case(plan, 0).record_bytes > record_bytes:
        return None
    low, high = 0, MAX_TEXT_BYTES
    while low < high:
        middle = (low + high + 1) // 2
        if worst_case(plan, middle).record_bytes <= record_bytes:
            low = middle
        else:
            high = middle - 1
    return low


class _Bound:
    """The most that each piece of a plan can hold."""

    def __init__(self, plan: Plan, longest_text: int) -> None:
        self._plan = plan
        self._longest_text = longest_text
        self._log_rows = [
            self._rows_of_log(log, tiles) for log, tiles in zip(plan.logs, plan.log_axes.most_tiles, strict=True)
        ]
        self._tile_keys = [
            tiles * min(track.most_keys, self._keys(track))
            for track, tiles in zip(plan.keyed_tracks, plan.keyed_axes.most_tiles, strict=True)
        ]
        self._decay_keys = [min(decay.most_keys, self._keys(decay)) for decay in plan.keyed_decays]
        held: list[tuple[Log | KeyedTrack | KeyedDecay, tuple[int, ...], int]] = [
            *((log, log.fields, rows) for log, rows in zip(plan.logs, self._log_rows, strict=True)),
            *((track, track.by, keys) for track, keys in zip(plan.keyed_tracks, self._tile_keys, strict=True)),
            *((decay, decay.by, keys) for decay, keys in zip(plan.keyed_decays, self._decay_keys, strict=True)),
        ]
        self._texts = Counter[str]()
        strings = 0.0
        for piece, fields, rows in held:
            for field in fields:
                if plan.fields[field].value_kind == "string":
                    self._texts[piece.key] += self._dictionary_bytes(field, piece.filter, rows)
                    strings += min(rows, self._values(field, piece.filter))
        self._code_bytes = 1 if strings < 1 << 8 else 2 if strings < 1 << 16 else 4

    def shared(self) -> int:
        """Return the bytes of heads, and of what tracks of one family have in common."""
        plan = self._plan
        heads = 4 + 10 + 9 + 2 * len(plan.logs) + 5 + 2 * len(plan.last_seen) + 5 + 5 + 17 + 7
        heads += 9 + 4 * len(plan.sessions) + _mask_bytes(len(plan.sessions))
        heads += 9 + 8 * len(plan.gaps)
        return heads + min(plan.track_axes.most_starts, MOST_BUCKETS) * (4 + _mask_bytes(len(plan.tracks)))

    def pieces(self) -> Iterator[tuple[str, int]]:
        """Yield (key, bytes) of every piece of state, with its strings."""
        plan = self._plan
        yield from self._texts.items()
        for track, tiles in zip(plan.tracks, plan.track_axes.most_tiles, strict=True):
            yield track.key, tiles * (1 + 8 + 8 * TRACK_COLUMNS[track.kind])
        for log, held, rows in zip(plan.logs, plan.layout.logs, self._log_rows, strict=True):
            texts = sum(kind == "string" for kind in held.kinds)
            numbers = sum(kind not in ("string", TIME_KIND) for kind in held.kinds)
            yield log.key, rows * (4 + 2 + 2 + 4 + self._code_bytes * texts + 8 * numbers)
        for decay in plan.decays:
            yield decay.key, 1 + 8 + 8 * len(decay.half_lives_us)
        for vectors in plan.vectors:
            yield vectors.key, 9 + len(vectors.half_lives_us) * (16 + vectors.component_bytes * vectors.dimensions)
        for seen in plan.last_seen:
            yield seen.key, self._rows_last_seen(seen) * (4 + 8 * (seen.kind != DAYS))
        for profile in plan.profiles:
            yield profile.key, 9 + _mask_bytes(profile.bins) + 8 * profile.bins * len(profile.half_lives_us)
        for session in plan.sessions:
            yield session.key, self._session_bytes(session)
        for hll, tiles in zip(plan.hlls, plan.hll_axes.most_tiles, strict=True):
            yield hll.key, tiles * (4 + _track_bytes(len(plan.hlls)) + 2 + self._hll_bytes(hll))
        for kll, tiles in zip(plan.klls, plan.kll_axes.most_tiles, strict=True):
            sketch = 1 + 2 * MAX_LEVELS + 16 + 8 * capacity(kll.k, MAX_LEVELS)
            yield kll.key, tiles * (4 + _track_bytes(len(plan.klls)) + 2 + max(8 * kll.k, sketch))
        for keyed, tiles, keys in zip(plan.keyed_tracks, plan.keyed_axes.most_tiles, self._tile_keys, strict=True):
            sums = 8 * (keyed.of is not None)
            tile = 4 + _track_bytes(len(plan.keyed_tracks)) + 2 + 8 + sums
            yield keyed.key, tiles * tile + keys * (self._key_bytes(keyed) + 1 + 8 + sums)
        for fading, keys in zip(plan.keyed_decays, self._decay_keys, strict=True):
            yield fading.key, 2 + 2 + 1 + 8 + 8 + keys * (self._key_bytes(fading) + 8)
        for gaps, tiles in zip(plan.gaps, plan.gap_axes.most_tiles, strict=True):
            # No more times are kept apart than ids are remembered (native/families/gaps/fold.cpp).
            yield gaps.key, tiles * (4 + 8 + 8 + 8) + 8 * plan.seen_ids_cap

    def _rows_of_log(self, log: Log, tiles: int) -> int:
        if log.keeps == "first":
            return min(log.cap * tiles, MOST_ROWS)
        if log.keeps == "distinct" and log.required is not None:
            return int(min(log.cap, self._values(log.required, log.filter)))
        return log.cap

    def _rows_last_seen(self, track: LastSeen) -> int:
        if track.of is not None:
            return int(min(track.cap, self._values(track.of, track.filter)))
        if track.reach_s is None:
            return track.cap
        return min(track.cap, (track.reach_s + 2 * self._plan.axis.skew_s) // SHORTEST_DAY_S + 2)

    def _session_bytes(self, track: SessionTrack) -> int:
        """Return the bytes of sessions that lie more than a gap apart, each ending within the horizon or later."""
        plan = self._plan
        span_us = plan.allowed_lateness_us + track.gap_us
        if track.horizon is not None and track.horizon.reach_s is not None:
            reach_s = plan.axis.skew_s + track.horizon.reach_s + track.horizon.width_s
            span_us = max(span_us, (reach_s + 1) * SECOND_US)
        span_us += plan.max_clock_skew_us
        sessions = span_us // (track.gap_us + 1) + 1
        row = 4 + 2 + 2 * (span_us >= SESSION_TOP_US) + 4 + 4 + 1 + 8
        return sessions * row + 24 * track.lifetime

    def _hll_bytes(self, track: HllTrack) -> int:
        """Return the bytes of a tile: coupons, or registers of which all but one are too high for four bits."""
        coupons = min(most_coupons(track.lg_k), self._values(track.of, track.filter))
        if coupons < most_coupons(track.lg_k):
            return int(4 * coupons)
        registers = 1 << track.lg_k
        return max(4 * most_coupons(track.lg_k), registers // 2 + registers)

    def _keys(self, piece: KeyedTrack | KeyedDecay) -> int:
        """Return how many different keys there can be, a great number for no bound."""
        found = math.prod(self._values(field, piece.filter) for field in piece.by)
        return int(min(found, 1 << 62))

    def _key_bytes(self, piece: KeyedTrack | KeyedDecay) -> int:
        return sum(self._code_bytes if self._plan.fields[field].value_kind == "string" else 8 for field in piece.by)

    def _accepted(self, field: int, filter_: int) -> frozenset[object] | None:
        """Return the values that a filter lets pass, None for any."""
        conditions = self._plan.filters[filter_].conditions
        return next((c.accepted for c in conditions if isinstance(c, OneOf) and c.field == field), None)

    def _values(self, field: int, filter_: int) -> float:
        """Return how many different values of a field, nulls left out, can pass a filter."""
        accepted = self._accepted(field, filter_)
        most = math.inf if accepted is None else len(accepted)
        if self._plan.fields[field].name == self._plan.user_field:
            return 1
        return min(most, 2) if self._plan.fields[field].value_kind == "bool" else most

    def _dictionary_bytes(self, field: int, filter_: int, rows: int) -> int:
        """Return the bytes of the strings that so many rows can have in a field, each with the length before it."""
        accepted = self._accepted(field, filter_)
        if accepted is not None:
            return sum(sorted((2 + len(str(text).encode()) for text in accepted), reverse=True)[:rows])
        ids = (self._plan.user_field, self._plan.id_field)
        longest = MAX_ID_BYTES if self._plan.fields[field].name in ids else self._longest_text
        return int(min(rows, self._values(field, filter_))) * (2 + min(longest, self._longest_text))


def _names(plan: Plan) -> int:
    """Return the bytes of the names and sizes of the families that a record may have."""
    pieces = {**vars(plan.layout), "tiles": plan.layout.tracks}
    return sum(1 + len(name) + 6 for name in FAMILIES if pieces[name])


def _mask_bytes(bits: int) -> int:
    return -(-bits // 8)


def _track_bytes(tracks: int) -> int:
    return 1 if tracks <= 1 << 8 else 2
