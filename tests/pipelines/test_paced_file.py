"""A file replayed at a pace: every event of it arrives, the last ones too."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.servers.pipeline import running_pipeline
from tests.servers.redis import Valkey
from user_state.client import UserStateClient
from user_state.events.avro_files import interaction_schema, write_events

SPEC = """
name: paced
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 36500d
features: {views: {aggregate: count, windows: lifetime}}
"""
FIRST_US = 10**15


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "user_state.yaml"
    path.write_text(SPEC)
    return path


def write(path: Path, times_us: list[int]) -> None:
    """Write an event of a user of its own for each time, one a block."""
    events = (
        {"event_id": f"e{n}", "user_id": f"u{n}", "item_id": "i", "action": "view", "event_time": at}
        | {"value": None, "category": None}
        for n, at in enumerate(times_us)
    )
    write_events(path, events, interaction_schema(), "null", block_bytes=1)


def test_the_last_events_wait_for_their_time_and_are_not_lost(tmp_path: Path, spec: Path, valkey: Valkey) -> None:
    events = tmp_path / "events.avro"
    write(events, [FIRST_US, FIRST_US + 10_000_000, FIRST_US + 40_000_000])
    start_s = time.time() + 20  # when even a busy machine has started
    arguments = ["--spec", spec, "--input", events, "--redis", valkey.url, "--dead-letters", tmp_path / "dead"]
    arguments += ["--replay_speed", "10", "--replay_start", str(start_s)]
    with (
        running_pipeline(*arguments, output=tmp_path / "run.log") as pipeline,
        UserStateClient.from_url(valkey.url, spec) as client,
    ):
        pipeline.wait_until(lambda: bool(client.get("u0").present), "the first event")
        first_s = time.time()
        assert first_s >= start_s
        assert not client.get("u2").present
        pipeline.wait_until(lambda: bool(client.get("u2").present), "the last event")
        assert time.time() >= start_s + 4
        accounting = pipeline.wait_for_end()
    assert (accounting.read, accounting.applied, accounting.balanced) == (3, 3, True)


def test_nobody_waits_for_an_event_that_claims_to_be_of_2099(tmp_path: Path, spec: Path, valkey: Valkey) -> None:
    events = tmp_path / "events.avro"
    write(events, [FIRST_US, 4_070_908_800_000_000, FIRST_US + 10_000_000])
    arguments = ["--spec", spec, "--input", events, "--redis", valkey.url, "--dead-letters", tmp_path / "dead"]
    arguments += ["--max_dead_letters", "100%"]
    with running_pipeline(*arguments, "--replay_speed", "10", output=tmp_path / "run.log") as pipeline:
        accounting = pipeline.wait_for_end(90)
    assert (accounting.read, accounting.applied, accounting.reasons) == (3, 2, {"from_future": 1})
