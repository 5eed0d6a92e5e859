"""Specs, events and values small enough to be worked out by hand."""

from __future__ import annotations

import datetime
from typing import Any

import xxhash

from user_state.oracle import AppliedEvent, features
from user_state.spec.model import Spec

S = 1_000_000
M, H, D = 60 * S, 3600 * S, 86_400 * S
T0 = 19_000 * D  # midnight, so every tile width has an edge here


def spec_of(**parts: Any) -> Spec:
    """A spec with a lateness of an hour and a skew of a minute; counts everything if nothing else is asked."""
    settings: dict[str, Any] = {
        "name": "tried",
        "events": {"schema": "interaction.avsc", "user": "user_id", "id": "event_id", "time": "event_time"},
        "allowed_lateness": "1h",
        "max_clock_skew": "1m",
        "retention": "90d",
        **parts,
    }
    if not {"features", "sequences", "embeddings"} & set(settings):
        settings["features"] = {"all": {"aggregate": "count", "windows": "lifetime"}}
    return Spec.model_validate(settings)


def event(event_id: str, time_us: int | datetime.datetime, **fields: Any) -> dict[str, Any]:
    return {"event_id": event_id, "user_id": "u", "item_id": "i", "action": "view", "event_time": time_us, **fields}


def applied(*events: dict[str, Any]) -> list[AppliedEvent]:
    return [
        AppliedEvent(e["event_time"], xxhash.xxh64_intdigest(e["event_id"].encode()), e["event_time"], e)
        for e in events
    ]


def one_feature(at_us: int, events: list[dict[str, Any]], **feature: Any) -> dict[str, Any]:
    parts = {k: feature.pop(k) for k in ("tiles",) if k in feature}
    expected = features(spec_of(features={"f": feature}, **parts), applied(*events), at_us)
    return {**expected.scalars, **expected.sequences}
