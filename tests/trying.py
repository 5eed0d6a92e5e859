"""Specs, events and records in few words, for tests of the core, the codec and what lies above them.

Events are those of `tried.avsc`: a field of every kind. A spec has a lateness of an hour, a skew of a minute and
whatever a test asks for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from user_state.codec.record import decode_records, encode_records, open_record
from user_state.core.compile import compile_plan
from user_state.core.events import EventRow, Events
from user_state.core.keyed_rows import KeyedRows
from user_state.core.plan import Plan
from user_state.core.reading import features
from user_state.core.records import Records, apply
from user_state.core.tiles import MAX_TRACKS
from user_state.events.decode import EventDecoder
from user_state.spec import LoadedSpec, parse_spec

S = 1_000_000
M, H, D = 60 * S, 3600 * S, 86_400 * S
T0 = 19_000 * D
"""Midnight, so that tiles of every width have an edge here."""
VERSION = bytes(range(1, 9))
_IDS = itertools.count()


def spec_of(**parts: Any) -> LoadedSpec:
    """Return the spec with these parts, by way of YAML text; counts everything if no output is asked for."""
    settings: dict[str, Any] = {
        "name": "tried",
        "events": {"schema": "tried.avsc", "user": "user_id", "id": "event_id", "time": "event_time"},
        "allowed_lateness": "1h",
        "max_clock_skew": "1m",
        "retention": "400d",
    }
    if not {"features", "sequences", "embeddings"} & parts.keys():
        settings["features"] = {"all": {"aggregate": "count", "windows": ["1h"]}}
    text = yaml.safe_dump({**settings, **parts}, sort_keys=False, allow_unicode=True)
    return parse_spec(text, beside=Path(__file__).parent)


def plan_of(**parts: Any) -> Plan:
    """Return the compiled spec with these parts."""
    return compile_plan(spec_of(**parts))


def event(time_us: int = T0, user: str = "u", event_id: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a view by `user`, with an id of its own unless one is given."""
    made = {"event_id": f"e{next(_IDS)}" if event_id is None else event_id, "user_id": user, "event_time": time_us}
    blank = {"published_at": None, "action": "view", "item_id": None, "value": None, "amount": None, "bought": None}
    return {**made, **blank, **fields}


def row(plan: Plan, made: Mapping[str, Any], published_us: int | None = None) -> EventRow:
    """Return the event's row, published when it happened unless said otherwise."""
    return EventDecoder(plan, spec_of().schema).row(made, published_us)


def batch(plan: Plan, events: Iterable[Mapping[str, Any]], published_us: Sequence[int] | None = None) -> Events:
    """Return events as a batch; `published_us` one for each, or all published when they happened."""
    listed = list(events)
    times = [None] * len(listed) if published_us is None else published_us
    decoder = EventDecoder(plan, spec_of().schema)
    return Events.from_rows(plan, [decoder.row(e, p) for e, p in zip(listed, times, strict=True)])


def record_of(plan: Plan, events: Iterable[Mapping[str, Any]], published_us: Sequence[int] | None = None) -> Records:
    """Return the records of the events' users, in order of their first event, made of these events alone."""
    folded = batch(plan, events, published_us)
    return apply(plan, Records.empty(plan, len(folded.users)), folded)


def fold_all(plan: Plan, batches: Iterable[Iterable[Mapping[str, Any]]]) -> Records:
    """Return one user's record, folded batch by batch, through bytes and back each time."""
    records = Records.empty(plan, 1)
    for events in batches:
        records = again(plan, apply(plan, records, batch(plan, events)))
    return records


def again(plan: Plan, records: Records) -> Records:
    """Return the records after they were bytes."""
    blobs = encode_records(records, plan.layout, [VERSION] * len(records))
    return decode_records([open_record(blob) for blob in blobs], plan.layout)


def value_of(plan: Plan, records: Records, name: str, at_us: int, user: int = 0) -> float:
    """Return one scalar output of one user."""
    column = [output.name for output in plan.scalars].index(name)
    return float(features(plan, records, at_us).values[user, column])


def same_record(plan: Plan, a: Records, b: Records, values: bool = True) -> None:
    """Assert that two records say the same: exactly, but for floating-point sums.

    `values` False leaves out the numbers in tiles, for events whose values cancel one another.
    """
    for name in ("clock_us", "last_event_us", "horizon_us", "applied"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), name)
    np.testing.assert_array_equal(a.tiles.key, b.tiles.key)
    np.testing.assert_array_equal(a.tiles.count, b.tiles.count)
    if values:
        # The deviations of one tile may cancel in its third moment: what that is off by is judged by the other moments.
        off = 1e-12 * np.abs(b.tiles.values).max(axis=0, initial=0.0)
        with np.errstate(invalid="ignore"):  # sums of logarithms may be infinite, or no numbers
            near = np.isclose(a.tiles.values, b.tiles.values, rtol=1e-12, atol=off, equal_nan=True)
        assert near.all(), (a.tiles.values, b.tiles.values)
    for log, of_a, of_b in zip(plan.logs, a.logs, b.logs, strict=True):
        for column in ("user", "time_us", "tie"):
            np.testing.assert_array_equal(getattr(of_a, column), getattr(of_b, column))
        for field, of_field_a, of_field_b in zip(log.fields, of_a.columns, of_b.columns, strict=True):
            if plan.fields[field].kind == "string":
                assert texts_of(a, of_field_a) == texts_of(b, of_field_b)
            else:
                np.testing.assert_array_equal(of_field_a, of_field_b)
    for column in ("user", "track", "start_us", "end_us", "events", "totals"):
        np.testing.assert_array_equal(getattr(a.sessions, column), getattr(b.sessions, column), column)
    np.testing.assert_array_equal(a.hlls.key, b.hlls.key)
    np.testing.assert_array_equal(a.hlls.coupon, b.hlls.coupon)
    np.testing.assert_array_equal(a.hlls.dense_key, b.hlls.dense_key)
    for of_a, of_b in zip(a.hlls.registers, b.hlls.registers, strict=True):
        np.testing.assert_array_equal(of_a, of_b)
    np.testing.assert_array_equal(a.klls.key, b.klls.key)
    np.testing.assert_array_equal(a.klls.value, b.klls.value)
    np.testing.assert_array_equal(a.klls.dense_key, b.klls.dense_key)
    for of_a, of_b in zip(a.klls.sketches, b.klls.sketches, strict=True):
        # What else they hold is drawn by lot.
        assert (of_a.seen, of_a.least, of_a.greatest) == (of_b.seen, of_b.least, of_b.greatest)
    for vectors, of_a, of_b in zip(plan.vectors, a.vectors, b.vectors, strict=True):
        np.testing.assert_array_equal(of_a.time_us, of_b.time_us)
        np.testing.assert_allclose(of_a.weight, of_b.weight, rtol=1e-9)
        near = 1e-6 if vectors.component_bytes == 4 else 1e-3
        np.testing.assert_allclose(of_a.sums, of_b.sums, rtol=0, atol=near * of_a.weight.max(initial=0.0))
    for decay, of_a, of_b in zip(plan.decays, a.decays, b.decays, strict=True):
        np.testing.assert_array_equal(of_a.time_us, of_b.time_us)
        if decay.of is None:  # values may cancel one another
            np.testing.assert_allclose(of_a.sums, of_b.sums, rtol=1e-9, atol=1e-290)
    for column in ("key", "value", "second"):
        np.testing.assert_array_equal(getattr(a.last_seen, column), getattr(b.last_seen, column))
    for of_a, of_b in zip(a.profiles, b.profiles, strict=True):
        np.testing.assert_array_equal(of_a.time_us, of_b.time_us)
        np.testing.assert_allclose(of_a.sums, of_b.sums, rtol=1e-9, atol=1e-290)

    for rows_a, rows_b in (
        (keyed_of(a, plan.layout.keyed_kinds, a.keyed_tiles), keyed_of(b, plan.layout.keyed_kinds, b.keyed_tiles)),
        (
            keyed_of(a, plan.layout.keyed_decay_kinds, a.keyed_decays.rows),
            keyed_of(b, plan.layout.keyed_decay_kinds, b.keyed_decays.rows),
        ),
    ):
        assert list(rows_a) == list(rows_b)
        for (weight_a, *sums_a), (weight_b, *sums_b) in zip(rows_a.values(), rows_b.values(), strict=True):
            np.testing.assert_allclose(weight_a, weight_b, rtol=1e-9 if isinstance(weight_a, float) else 0)
            if values:
                np.testing.assert_allclose(sums_a, sums_b, rtol=1e-12)
    np.testing.assert_array_equal(a.keyed_decays.time_us, b.keyed_decays.time_us)


def keyed_of(records: Records, kinds_of: tuple[tuple[str, ...], ...], rows: KeyedRows) -> dict[Any, list[Any]]:
    """Return (group, key) -> weight and sums, in order; a rest's key is empty."""
    found = {}
    for group, rest, weight, *numbers in zip(
        rows.group.tolist(),
        rows.rest.tolist(),
        rows.weight.tolist(),
        *rows.sums.tolist(),
        *rows.keys.tolist(),
        strict=True,
    ):
        sums, key = numbers[: len(rows.sums)], numbers[len(rows.sums) :]
        kinds = kinds_of[group & (MAX_TRACKS - 1)]
        parts = [] if rest else zip(key, kinds, strict=False)
        plain = tuple(records.pool[part] if kind == "string" else part for part, kind in parts)
        found[group, plain] = [weight, *sums]
    assert len(found) == len(rows)
    return dict(sorted(found.items()))


def texts_of(records: Records, codes: np.ndarray) -> list[str | None]:
    """Return the strings that codes stand for."""
    return [None if code < 0 else records.pool[code] for code in codes.tolist()]
