"""What a run does with clocks that are years ahead, and with history that is older than the retention."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.pipelines.traffic import dead_letters
from tests.servers.pipeline import Accounting, run_command, running_pipeline
from tests.servers.redis import Valkey
from user_state.client import UserStateClient
from user_state.events.avro_files import interaction_schema, write_events

SPEC = """
name: clocks
events: {{schema: interaction.avsc, user: user_id, id: event_id, time: event_time, published: published_at}}
allowed_lateness: 1d
max_clock_skew: 5m
retention: {retention}
features: {{views: {{aggregate: count, windows: [1d, lifetime]}}}}
sequences: {{recent: {{fields: [event_time], last: 10}}}}
"""
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
IN_2099_US = 4_070_908_800 * SECOND_US


class Place:
    """A spec, a Redis, and files of events to run."""

    def __init__(self, folder: Path, redis: str) -> None:
        self.folder = folder
        self.redis = redis
        self.spec = folder / "user_state.yaml"
        self.dead = folder / "dead"
        self.keep_for("90d")

    def keep_for(self, retention: str) -> None:
        self.spec.write_text(SPEC.format(retention=retention))

    def write(self, name: str, *events: tuple[str, str, int, int | None]) -> Path:
        """Write (event id, user, event time, publish time) of each event to a file; return its path."""
        path = self.folder / f"{name}.avro"
        made = (
            {"event_id": event_id, "user_id": user, "item_id": "i", "action": "view", "event_time": time_us}
            | {"published_at": published_us, "value": None, "category": None}
            for event_id, user, time_us, published_us in events
        )
        write_events(path, made, interaction_schema())
        return path

    def run(self, path: Path, *more: str) -> tuple[Accounting, str]:
        """Run a file; return the accounting, and all that was printed."""
        arguments = ["--spec", self.spec, "--input", path, "--redis", self.redis, "--dead-letters", self.dead, *more]
        arguments += ["--max_dead_letters", "100%"]  # a few events, some of which have to be refused
        with running_pipeline(*arguments, output=self.folder / f"{path.stem}.log") as pipeline:
            return pipeline.wait_for_end(), pipeline.output

    def verify(self, events: str) -> subprocess.CompletedProcess[str]:
        return run_command("verify", "--spec", self.spec, "--events", self.folder / events, "--redis", self.redis)

    def views(self, *users: str) -> list[float | None]:
        """Return how many views each user's record has ever counted, None for users without one."""
        with UserStateClient.from_url(self.redis, self.spec) as client:
            states = [client.get(user) for user in users]
        return [state.features["views_count_lifetime"] if state.present else None for state in states]


@pytest.fixture
def place(tmp_path: Path, valkey: Valkey) -> Place:
    return Place(tmp_path, valkey.url)


@pytest.mark.parametrize("state", ["redis", "runner"])
@pytest.mark.parametrize("in_field", [False, True])
def test_one_row_of_2099_is_refused_and_its_user_goes_on(place: Place, state: str, in_field: bool) -> None:
    now_us = time.time_ns() // 1000
    ahead = ("bad", "a", now_us if in_field else IN_2099_US, IN_2099_US if in_field else None)
    file = place.write("one", ("e1", "a", now_us - 3, None), ahead, ("e2", "a", now_us - 2, None))
    accounting, _ = place.run(file, "--state", state)
    assert (accounting.read, accounting.applied, accounting.balanced) == (3, 2, True)
    assert accounting.reasons == {"from_future": 1}
    [letter] = dead_letters(place.dead)
    assert letter["reason"] == "from_future"
    assert "ahead of this machine's clock, and may be at most 5m" in letter["detail"]

    if state == "redis":
        accounting, _ = place.run(place.write("two", ("e3", "a", now_us, None), ("e4", "b", now_us, None)))
        assert (accounting.applied, accounting.dead_letters) == (2, 0)
        assert place.views("a", "b") == [3, 1]
        verified = place.verify("*.avro")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert "applied 4, dead_letter/from_future 1" in verified.stdout


@pytest.mark.parametrize("state", ["redis", "runner"])
def test_history_older_than_the_retention_is_said_and_not_stored(place: Place, state: str) -> None:
    now_us = time.time_ns() // 1000
    history = [(f"e{n}", f"u{n % 3}", now_us - 800 * DAY_US + n, None) for n in range(30)]
    file = place.write("history", *history, ("new", "u0", now_us, None))
    accounting, printed = place.run(file, "--state", state)
    assert (accounting.read, accounting.applied, accounting.expired, accounting.balanced) == (31, 1, 30, True)
    assert "+ ignored 0 + expired 30 + dead letters 0" in printed
    assert (
        "30 of 31 events are older than `retention` (90d) and were not stored: their records would expire at once. To"
        " keep them, set `retention` in the spec to at least 1825d, and run them again."
    ) in printed
    assert place.views("u0", "u1") == [1, None]

    verified = place.verify("*.avro")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "applied 1, duplicate 0, expired 30" in verified.stdout


def test_the_retention_that_is_advised_keeps_them(place: Place) -> None:
    then_us = time.time_ns() // 1000 - 800 * DAY_US
    place.keep_for("1825d")
    accounting, printed = place.run(place.write("history", *((f"e{n}", "u", then_us + n, None) for n in range(30))))
    assert (accounting.applied, accounting.expired) == (30, 0)
    assert "expired" not in printed
    assert "`retention`" not in printed
    assert place.views("u") == [30]


def test_verify_takes_what_was_young_enough_when_it_was_read_and_names_what_is_missing(place: Place) -> None:
    """The retention is shortened in between, as if that much time had passed."""
    now_us = time.time_ns() // 1000
    events = [(f"{user}{n}", user, now_us - (4 - n) * DAY_US, None) for user in "abc" for n in range(5)]
    place.run(place.write("all", *events))
    place.keep_for("60h")
    verified = place.verify("all.avro")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "3 of 3 users have events that are older than `retention` by now" in verified.stdout

    missing = [("a9", "a", now_us - DAY_US + 1, None), ("b9", "b", now_us - 3 * DAY_US + 1, None)]
    place.write("more", *sorted([*events, *missing], key=lambda event: event[2]))
    verified = place.verify("more.avro")
    assert verified.returncode == 1
    differing = {line.split()[0] for line in verified.stdout.splitlines() if "expected" in line}
    # a9 is young, so it has to be there; b9 is not, but an older one is there.
    assert differing == {"a", "b"}


def test_verify_takes_what_was_ahead_when_it_was_read_and_is_no_more(place: Place) -> None:
    """As if it were two hours later: e2 was published an hour ahead of its file, and was refused."""
    hour_us = 3600 * SECOND_US
    now_us = time.time_ns() // 1000
    then_us = now_us - 2 * hour_us
    read = [("e1", "a", then_us, None), ("e3", "b", then_us, None)]
    place.run(place.write("read", *read))
    whole = place.write("whole", *read, ("e2", "a", then_us, then_us + hour_us))
    assert place.verify("whole.avro").returncode == 1  # published before this file was written: it has to be there
    os.utime(whole, (then_us / 1e6, then_us / 1e6))
    verified = place.verify("whole.avro")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "1 of 2 users have events that are older than `retention` by now, or were published after" in verified.stdout
