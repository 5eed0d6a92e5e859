"""Learned item vectors: the log that events are paired with, and the plan of the item stage.

The item stage folds derived events (user_state/embeddings/pairs.py): item i met partner j, weight w. Their plan is that
of one decayed sum over the partners' hash vectors, with the item for a user, so an item's record is folded, merged,
deduplicated and stored as a user's is. An item has several records, its parts (user_state/embeddings/spread.py).
"""

from __future__ import annotations

from dataclasses import replace

from user_state.durations import parse_duration_us
from user_state.plan.compile.builder import Builder
from user_state.plan.compile.logs import kept_log
from user_state.plan.plan import Plan
from user_state.plan.state_definitions import LearnedItems, Vectors
from user_state.spec import LoadedSpec
from user_state.spec.event_schema import parse_event_schema
from user_state.spec.filters import EVERY
from user_state.spec.items import Items
from user_state.spec.model import Spec
from user_state.spec.values import LONGEST_DURATION

ROOM = 2
"""The log is this many times as long as the reach, so that an event that comes late finds its neighbours too."""
SEEN_IDS_CAP = 20_000
"""Pairs remembered of an item, by all of its parts: 12 bytes each, read and written with the part. Beyond, the part's
horizon is shortened."""
LEAST_SEEN_IDS_CAP = 2_500
"""Pairs that a part remembers however many parts there are: one user's last events in a row may all lie in one."""
PAIR_SCHEMA = {
    "type": "record",
    "name": "user_state.Pair",
    "fields": [
        {"name": "item", "type": "string"},
        {"name": "pair", "type": "string"},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "partner", "type": "string"},
        {"name": "weight", "type": "double"},
    ],
}


def learned_items(builder: Builder, table: str, items: Items) -> None:
    """Add a learned table: a log of the events it pairs."""
    declared = items.learned
    assert declared is not None  # the caller asks  # noqa: S101
    of = builder.id_field(declared.of)
    where = builder.filter(declared.where)
    log, columns = kept_log(builder, "last", where, of, (of,), ROOM * declared.reach, None)
    forget_us = parse_duration_us(LONGEST_DURATION) if declared.forget is None else declared.forget
    reach, half_life_us, spread = declared.reach, declared.half_life, declared.spread
    builder.learned.append(
        LearnedItems(table, log, columns[0], of, reach, half_life_us, forget_us, items.dimensions, spread)
    )


def item_store_name(plan: Plan, learned: LearnedItems) -> str:
    """Return the name under which the item stage's records lie; no spec can have it.

    The spread is in it: with another one a pair's id would be looked for in a part that never met it, and the pair
    counted twice. So a table that is spread anew starts anew.

    >>> from types import SimpleNamespace
    >>> item_store_name(SimpleNamespace(keyspace="feed"), SimpleNamespace(table="together", spread=8))
    'feed.items.together.8'
    """
    return f"{plan.keyspace}.items.{learned.table}.{learned.spread}"


def item_plan(plan: Plan, learned: LearnedItems) -> Plan:
    """Return the plan of the item stage of a learned table.

    Items are judged as users are, but for lateness: an item's clock is that of all users who met it, so an event that
    is as late as its user may be, in a part of the stream that lags by as much, must not be too late for the item.
    """
    spec = Spec.model_validate(
        {
            "name": plan.name,
            "events": {"schema": "pairs", "user": "item", "id": "pair", "time": "time"},
            # Times are put right below; the embedding stands for the vectors, which no spec can declare.
            **dict.fromkeys(("allowed_lateness", "max_clock_skew", "retention"), "1s"),
            "seen_ids_cap": max(SEEN_IDS_CAP // learned.spread, LEAST_SEEN_IDS_CAP),
            "embeddings": {"item": {"kind": "decayed_mean", "of": "partner", "dimensions": 1, "half_life": "1s"}},
        }
    )
    builder = Builder(LoadedSpec(spec, parse_event_schema(PAIR_SCHEMA), None))
    partner, weight = builder.field("partner"), builder.field("weight")
    key = f"learned from pairs weighed 2^-(t/{learned.half_life_us}), {learned.dimensions} by {learned.forget_us}"
    vectors = Vectors(
        key, builder.filter(EVERY), partner, learned.dimensions, (learned.forget_us,), None, None, 4, weight
    )
    builder.keep(builder.vectors, vectors)
    return replace(
        builder.plan(),
        name=item_store_name(plan, learned),
        keyspace=item_store_name(plan, learned),
        allowed_lateness_us=2 * plan.allowed_lateness_us + plan.max_clock_skew_us,
        max_clock_skew_us=plan.max_clock_skew_us,
        retention_us=plan.retention_us,
        max_record_bytes=plan.max_record_bytes,
    )
