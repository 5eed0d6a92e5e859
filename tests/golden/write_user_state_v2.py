"""Writes `user_state_v2.json`: records of version 2 as hex, with what they are made of and what they say; and
`user_state_v2_lists.json`, of sequences with lists.

    python -m tests.golden.write_user_state_v2

Run it only before a version is released: afterwards the file is what today's code must still read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.judging import judged
from tests.packed import Records, apply, features
from tests.trying import T0, D, H, M, S, event, spec_of
from user_state.events.decode import EventDecoder
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.state.events import Events

PATH = Path(__file__).parent / "user_state_v2.json"
PARTS: dict[str, Any] = {
    "timezone": "Europe/Berlin",
    "features": {
        "views": {"aggregate": "count", "where": {"action": "view"}, "windows": ["10m", "1h", "1d", "lifetime"]},
        "watched": {"aggregate": ["sum", "mean", "min", "max", "variance"], "of": "value", "windows": ["1h", "1d"]},
        "shape": {"aggregate": ["skew", "kurtosis"], "of": "amount", "windows": ["1d"]},
        "times": {"aggregate": ["recency", "first_seen", "gap_mean"], "windows": ["1d", "lifetime"]},
        "lately_all": {"aggregate": "decayed_count", "half_life": ["1h", "1d"]},
        "lately": {"aggregate": "decayed_sum", "of": "amount", "half_life": ["1h", "1d"]},
        "seen": {"aggregate": "distinct", "of": "item_id", "windows": ["1h", "lifetime"]},
        "amounts": {"aggregate": "distinct", "of": "value", "cap": 3, "windows": ["lifetime"]},
        "days": {"aggregate": ["active_days", "streak_days"], "windows": ["1d", "lifetime"]},
        "rhythm": {"aggregate": ["hour_of_day", "day_of_week"], "half_life": ["1h", "1d"]},
        "kinds": {"aggregate": "approx_distinct", "of": "amount", "error": 0.1, "windows": ["1d", "lifetime"]},
        "spread": {
            "aggregate": "approx_quantiles",
            "of": "value",
            "quantiles": [0, 0.5, 1],
            "where": {"action": ["like", "skip"]},
            "windows": ["1d"],
            "default": -1,
        },
        "visits": {"aggregate": ["session_count", "session_length_mean"], "gap": "30m", "windows": ["1d", "lifetime"]},
        "pause": {"aggregate": "longest_gap", "windows": ["1d", "lifetime"]},
        "liked": {"aggregate": "last_k", "of": "item_id", "k": 2, "where": {"action": "like"}, "windows": ["1d"]},
        "edges": {
            "aggregate": ["first_k", "last_distinct_k"],
            "of": "item_id",
            "with": "amount",
            "k": 2,
            "windows": ["1d", "lifetime"],
        },
        "bins": {"aggregate": "histogram", "of": "value", "edges": [0, 1.5], "windows": ["1h", "lifetime"]},
        "items": {
            "aggregate": ["count_by", "share_by", "entropy_by"],
            "by": "item_id",
            "keys": 2,
            "k": 2,
            "windows": ["1h", "lifetime"],
        },
        "spent": {"aggregate": "sum_by", "by": ["action", "bought", "amount"], "of": "value", "windows": ["1d"]},
        "lately_by": {"aggregate": "decayed_count_by", "by": "item_id", "keys": 2, "k": 2, "half_life": ["1h", "1d"]},
    },
    "sequences": {"recent": {"fields": ["item_id", "action", "event_time", "value", "amount", "bought"], "last": 4}},
    "embeddings": {
        "taste": {
            "kind": "decayed_mean",
            "of": "item_id",
            "dimensions": 4,
            "half_life": ["1h", "1d"],
            "weights": {"view": 1.0, "like": 3.0, "skip": -1.0},
        }
    },
}
AT_US = T0 + 3 * H
SOME = [
    event(T0, "few", "e0", item_id="a", value=1.5, amount=-3, bought=True),
    event(T0 + 2 * H, "few", "e1", item_id="\u00e9\U0001f389", action="like", amount=2**62),
    event(T0 + 2 * H, "few", "e2", item_id=None, action="skip", value=-0.25, bought=False),
    event(T0 - 4000 * D, "long", "e3", item_id="old", value=0.0),
    *(event(T0 + n % 2 * M, "long", f"f{n}", item_id=f"i{n % 3}", value=float(n), amount=n) for n in range(300)),
    event(T0 + S, "\u6f22{}", "e4"),
]
"""Ages are whole half-lives and values exact in binary, so that no machine rounds differently."""


LISTS_PATH = Path(__file__).parent / "user_state_v2_lists.json"
LIST_PARTS: dict[str, Any] = {
    "sequences": {"recent": {"fields": ["tags", "sizes", "item_id", "ratings"], "last": 4}},
    "features": {
        "by_tag": {"aggregate": "count_by", "by": ["tags", "action"], "windows": ["1h"]},
        "sizes": {"aggregate": ["distinct", "approx_distinct"], "of": "sizes", "windows": ["1d"]},
    },
}
LISTS = [
    event(
        T0,
        "few",
        "e0",
        tags=["a", 'b"\\\n\x00', "\u00e9\U0001f389"],
        sizes=[1, None, -(2**63) + 1],
        ratings=[0.1, -0.0],
    ),
    event(T0 + S, "few", "e1", tags=[], item_id="[1]", sizes=[7], ratings=[1e22, 5e-324, 1.0]),
    *(event(T0 + n * S, "many", f"f{n}", tags=["a", f"t{n % 2}"], ratings=[n / 2]) for n in range(6)),
]


def fold(plan: Plan, decoder: EventDecoder, made: list[dict[str, Any]]) -> tuple[list[str], Records, list[bytes]]:
    """Return (users, records, remembered ids) of the events; the old one was published when it happened."""
    events = Events.from_rows(plan, [decoder.row(e, None) for e in made])
    nobody = Records.empty(plan, len(events.users))
    seen = judged(plan, nobody.heads, nobody.blobs, events).seen
    return events.users, apply(plan, nobody, events), seen


def saying(plan: Plan, records: Records, user: int) -> dict[str, Any]:
    """Return what a record says at AT_US, as JSON values; None for NaN."""
    found = features(plan, records, AT_US)
    scalars = [None if np.isnan(value) else value for value in found.values[user].tolist()]
    return {
        "features": dict(zip(found.names, scalars, strict=True)),
        "arrays": {name: numbers[user].tolist() for name, numbers in found.arrays.items()},
        "sequences": {name: padded.of_user(user) for name, padded in found.sequences.items()},
        "embeddings": {name: vectors[user].tolist() for name, vectors in found.embeddings.items()},
    }


def golden(parts: dict[str, Any], made: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a file holds."""
    loaded = spec_of(**parts)
    plan = compile_plan(loaded)
    users, records, seen = fold(plan, EventDecoder(plan, loaded.schema), made)
    heads = records.heads
    return {
        "layout": plan.layout.to_json(),
        "fingerprint": plan.layout.fingerprint.hex(),
        "at_us": AT_US,
        "users": [
            {
                "user": user,
                "record": (blob or b"").hex(),
                "seen": ids.hex(),
                "clock_us": int(heads.clock_us[index]),
                "last_event_us": int(heads.last_event_us[index]),
                "applied": int(heads.applied[index]),
                **saying(plan, records, index),
            }
            for index, (user, blob, ids) in enumerate(zip(users, records.blobs, seen, strict=True))
        ],
    }


if __name__ == "__main__":
    for path, parts, made in ((PATH, PARTS, SOME), (LISTS_PATH, LIST_PARTS, LISTS)):
        path.write_text(json.dumps(golden(parts, made), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
