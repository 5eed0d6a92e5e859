"""Tiles: buckets that nothing happens to are copied, the others taken apart; and bytes gone bad."""

import random

import pytest

from tests.native.both import Both
from tests.native.damage import refusals
from tests.trying import T0, D, H, M, S, plan_of, row
from tests.trying import event as made
from user_state.core.events import EventRow
from user_state.core.plan import Plan

WINDOWS = ["10m", "1d", "7d"]
ACTIONS = ("view", "like", "share", "skip")


def plan_of_tracks(windows: list[str], **settings: str) -> Plan:
    """Eleven tracks of every kind, so that a mask has two bytes."""
    features = {
        f"{action}_{aggregate}": {
            "aggregate": aggregate,
            **({} if aggregate == "count" else {"of": "value"}),
            "where": {"action": action},
            "windows": windows,
        }
        for action, aggregates in {
            "view": ("count", "sum", "min", "max", "skew"),
            "like": ("count", "stddev", "min"),
            "share": ("count", "recency", "max"),
        }.items()
        for aggregate in aggregates
        if aggregate != "recency"
    }
    features["shared"] = {"aggregate": "recency", "where": {"action": "share"}, "windows": windows}
    return plan_of(features=features, **settings)


def rows(rng: random.Random, plan: Plan, at_us: int, size: int) -> list[EventRow]:
    """Events of two users, up to eight days late; values are whole, so that every sum is exact."""
    return [
        row(
            plan,
            made(
                at_us - rng.choice([0, 0, 0, rng.randrange(8 * D)]),
                f"u{rng.randrange(2)}",
                action=rng.choice(ACTIONS),
                value=rng.choice([None, float(rng.randrange(-9, 9))]),
            ),
        )
        for _ in range(size)
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("windows", [WINDOWS, [*WINDOWS, "lifetime"], ["lifetime"]], ids="-".join)
def test_random_batches(windows: list[str], seed: int) -> None:
    rng = random.Random(seed)
    plan = plan_of_tracks(windows)
    both = Both(plan)
    at_us = T0
    for _ in range(40):
        both.fold(rows(rng, plan, at_us, rng.choice([1, 1, 2, 9])))
        at_us += rng.choice([S, M, 10 * M, H, D, 9 * D])


@pytest.mark.slow
def test_counts_grow_wide() -> None:
    rng = random.Random(3)
    plan = plan_of_tracks(["1d", "lifetime"])
    both = Both(plan)
    for size in (600, 1, 1, 600):
        both.fold(rows(rng, plan, T0, size))


def test_another_skew_moves_what_is_stored() -> None:
    """Tiles were placed with days of skew: without it all are placed anew, also those that no event touches."""
    rng = random.Random(5)
    before = Both(plan_of_tracks(WINDOWS, max_clock_skew="6d", allowed_lateness="7d"))
    before.fold(rows(rng, before.plan, T0, 200))
    after = Both(plan_of_tracks(WINDOWS, max_clock_skew="1m", allowed_lateness="7d"))
    # Layouts know the skew, and differ in nothing else.
    layout = after.plan.layout.fingerprint
    after.stored = {user: blob and blob[:18] + layout + blob[26:] for user, blob in before.stored.items()}
    after.fold(rows(rng, after.plan, T0 + S, 1))
    [before_size, after_size] = [sum(len(blob or b"") for blob in both.stored.values()) for both in (before, after)]
    assert after_size < before_size


@pytest.mark.slow
def test_damage() -> None:
    rng = random.Random(11)
    plan = plan_of_tracks([*WINDOWS, "lifetime"])
    both = Both(plan)
    for hour in range(12):
        both.fold(rows(rng, plan, T0 + hour * H, 60))
    assert 200 < refusals(both, "tiles", rows(rng, plan, T0 + 13 * H, 1), values=False) < 990
