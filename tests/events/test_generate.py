"""Generated traffic is what was asked for, to the message."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from user_state.errors import EventError, InputError
from user_state.events.avro_files import MARKER, SingleObject, interaction_schema
from user_state.events.corruption import damage
from user_state.events.generate import Faults, generate
from user_state.events.message import Message
from user_state.oracle import Arrival, features, replay
from user_state.spec.model import Spec

S = 1_000_000
D = 86_400 * S
END = 1_700_000_000 * S
FAULTY = Faults(late=0.05, too_late=0.01, future=0.02, duplicates=0.05, corrupt=0.03, shuffle_us=600 * S)
SPEC = Spec.model_validate(
    {
        "name": "tried",
        "events": {
            "schema": "interaction.avsc",
            "user": "user_id",
            "id": "event_id",
            "time": "event_time",
            "published": "published_at",
        },
        "allowed_lateness": "1d",
        "max_clock_skew": "5m",
        "retention": "90d",
        "features": {"views": {"aggregate": "count", "windows": "lifetime"}},
        "embeddings": {"taste": {"kind": "decayed_mean", "of": "item_id", "dimensions": 64, "half_life": "7d"}},
    }
)


def made(
    users: int = 50, events: int = 4000, seed: int = 1, faults: Faults | None = None, **span: int
) -> list[Message]:
    return list(generate(users, events, seed, **{"end_us": END, "span_us": 2 * D, **span}, faults=faults))


def events_of(messages: list[Message]) -> list[dict[str, Any]]:
    return [m.event for m in messages if m.event is not None]


def fates(messages: list[Message]) -> dict[str, int]:
    return replay(SPEC, [Arrival(m.event, m.publish_us) for m in messages]).counts


def test_the_same_seed_gives_the_same_messages_and_another_seed_others() -> None:
    assert made(faults=FAULTY) == made(faults=FAULTY)
    assert made(seed=2) != made(seed=1)


@pytest.mark.parametrize("faults", [None, FAULTY])
@pytest.mark.parametrize("events", [1, 2, 39, 1000])
def test_there_are_exactly_as_many_messages_as_asked_for(events: int, faults: Faults | None) -> None:
    assert len(made(events=events, faults=faults)) == events


def test_without_faults_every_event_is_applied_and_in_order() -> None:
    messages = made()
    assert fates(messages) == {"applied": 4000, "duplicate": 0, "ignored": 0}
    published = [m.publish_us for m in messages]
    assert published == sorted(published, key=int)
    assert END - 2 * D <= int(published[0] or 0) <= int(published[-1] or 0) <= END


def test_every_share_is_exact_and_ends_in_its_bin() -> None:
    assert fates(made(faults=FAULTY)) == {
        "applied": 4000 - 80 - 200 - 40 - 120,
        "duplicate": 200,
        "ignored": 0,
        "dead_letter/from_future": 80,
        "dead_letter/too_late": 40,
        "dead_letter/undecodable": 120,
    }


def test_late_events_are_ten_minutes_to_twenty_hours_late() -> None:
    ages = [e["published_at"] - e["event_time"] for e in events_of(made(faults=Faults(late=0.1)))]
    late = [age for age in ages if age > 60 * S]
    assert len(late) == 400
    assert min(late) >= 600 * S
    assert max(late) <= 20 * 3600 * S


def test_duplicates_are_the_same_event_again_and_other_ids_are_different() -> None:
    events = events_of(made(faults=Faults(duplicates=0.1)))
    times_seen = Counter(e["event_id"] for e in events)
    assert len(times_seen) == 3600
    assert sum(n - 1 for n in times_seen.values()) == 400
    assert len({repr(e) for e in events}) == 3600


def test_a_shuffle_moves_messages_by_no_more_than_its_window() -> None:
    messages = made(faults=Faults(shuffle_us=600 * S))
    published = np.array([m.publish_us for m in messages])
    behind = np.maximum.accumulate(published) - published
    assert 0 < behind.max() <= 600 * S
    assert sorted(map(repr, messages)) == sorted(map(repr, made(faults=Faults(shuffle_us=1))))


def test_corrupt_messages_are_undecodable_and_never_empty() -> None:
    bodies = SingleObject(interaction_schema())
    corrupt = [m.data for m in made(faults=Faults(corrupt=0.2)) if m.event is None]
    assert len(corrupt) == 800
    for data in corrupt:
        assert data
        with pytest.raises(EventError) as caught:
            bodies.decode(data)
        assert caught.value.reason == "undecodable"


def test_damage_comes_in_all_four_ways() -> None:
    bodies = SingleObject(interaction_schema())
    body = bodies.encode(events_of(made(events=1))[0])
    rng = random.Random(3)
    damaged = [damage(body, interaction_schema(), rng) for _ in range(400)]
    cut = [d for d in damaged if body.startswith(d)]
    mislabelled = [d for d in damaged if d[2:10] != body[2:10] and d[:2] + d[10:] == body[:2] + body[10:]]
    noise = [d for d in damaged if d[0] < 0xC3 and len(d) != len(body)]
    flipped = [d for d in damaged if d[:10] == body[:10] and len(d) == len(body)]
    assert min(map(len, (cut, mislabelled, noise, flipped))) > 30
    assert body not in damaged


def test_damage_minds_the_schema_that_reads_what_names_none() -> None:
    """Any bytes are an event without fields, so only the marker alone is left."""
    schema = interaction_schema()
    body = SingleObject(schema).encode(events_of(made(events=1))[0])
    no_fields = {"type": "record", "name": "Nothing", "fields": []}
    assert {damage(body, schema, random.Random(seed), no_fields) for seed in range(8)} == {MARKER}


def test_everybody_acts_but_a_few_most_of_the_time() -> None:
    users = Counter(e["user_id"] for e in events_of(made(users=100, events=10_000)))
    assert len(users) == 100
    assert sum(n for _, n in users.most_common(20)) > 0.35 * 10_000


def test_actions_values_and_items_look_like_an_apps() -> None:
    events = events_of(made(events=10_000))
    actions = Counter(e["action"] for e in events)
    assert list(dict(actions.most_common())) == ["view", "skip", "like", "share"]
    watched = [e["value"] for e in events if e["action"] == "view"]
    assert 0.02 < watched.count(None) / len(watched) < 0.08
    assert all(value > 0 for value in watched if value is not None)
    assert all(e["value"] is None for e in events if e["action"] != "view")
    creators: dict[str, set[str]] = {}
    for e in events:
        creators.setdefault(e["item_id"], set()).add(e["creator"])
    assert all(len(names) == 1 for names in creators.values())


def test_traffic_comes_in_bursts() -> None:
    mine: dict[str, list[int]] = {}
    for e in events_of(made(users=20, events=2000, span_us=30 * D)):
        mine.setdefault(e["user_id"], []).append(e["published_at"])
    gaps = np.concatenate([np.diff(times) for times in mine.values()])
    assert np.median(gaps) < 60 * S
    assert gaps.max() > D


def test_users_with_the_same_favourite_are_nearest_by_embedding() -> None:
    messages = made(users=60, events=20_000)
    applied = replay(SPEC, [Arrival(m.event) for m in messages]).applied
    users = sorted(applied)
    taste = np.stack([features(SPEC, applied[u], END).embeddings["taste_7d"] for u in users])
    taste /= np.linalg.norm(taste, axis=1, keepdims=True)
    favourite = [Counter(e.event["category"] for e in applied[u]).most_common(1)[0][0] for u in users]
    likeness = taste @ taste.T
    np.fill_diagonal(likeness, -1)
    shared = [
        favourite[i] == favourite[j] for i, j in enumerate(likeness.argmax(axis=1)) if favourite.count(favourite[i]) > 1
    ]
    assert np.mean(shared) > 0.7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"users": 0}, "users"),
        ({"events": 0}, "events"),
        ({"seed": -1}, "seed"),
        ({"span_us": 0}, "span"),
        ({"faults": Faults(late=1.1)}, "late between 0 and 1"),
        ({"faults": Faults(corrupt=float("nan"))}, "corrupt between 0 and 1"),
        ({"faults": Faults(late=0.6, future=0.6)}, "leave some"),
        ({"faults": Faults(corrupt=0.5, duplicates=0.5)}, "leave some"),
        ({"faults": Faults(shuffle_us=-1)}, "shuffle"),
    ],
)
def test_impossible_wishes_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(**arguments)
