"""`user-state backfill` as people run it: what it says, dead letters, the stream that goes on, `verify`."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.history.files import made_events, table_of, write_spec
from tests.learned_pairs import spec_text
from tests.servers.pipeline import run_command
from tests.servers.redis import Valkey
from tests.trying import T0, D, H, M
from user_state.dead_letters.letters import read_letters
from user_state.times import format_time


def recent_events(number: int, users: int = 40) -> list[dict[str, Any]]:
    """Return events of the last five days."""
    shift_us = (time.time_ns() // 1000 - T0 - 5 * D) // H * H
    events = made_events(3, number, users)
    for one in events:
        one["event_time"] += shift_us
        one["published_at"] += shift_us
    return events


@pytest.mark.slow
def test_the_stream_goes_on_where_the_backfill_ends_and_no_user_differs(tmp_path: Path, valkey: Valkey):
    spec = write_spec(tmp_path, retention="30d")
    events = sorted(recent_events(1500), key=lambda one: one["published_at"])
    cut_us = events[900]["published_at"]
    pq.write_table(table_of(events), tmp_path / "history.parquet")
    # What the subscription brings from 59 minutes before the cut on.
    stream = [one for one in events if one["published_at"] >= cut_us - H + M]
    pq.write_table(table_of(stream), tmp_path / "stream.parquet")
    common = ("--spec", spec, "--redis", valkey.url, "--generation", "g")
    letters = tmp_path / "dead"
    work = tmp_path / "work"
    given = ("--dead-letters", letters, "--max_dead_letters", "50%")
    filled = run_command(
        *("backfill", *common, "--input", tmp_path / "history.parquet", "--until", format_time(cut_us)),
        *("--work", work, *given),
    )
    assert filled.returncode == 0, filled.stderr
    assert re.search(
        r"^read [\d,]+ = applied [\d,]+ \+ duplicate [\d,]+ \+ ignored 0 \+ dead letters", filled.stderr, re.M
    )
    assert f"g is complete until {format_time(cut_us)}; `user-state run --generation g` goes on" in filled.stderr
    assert f"{sum(one['published_at'] >= cut_us for one in events):,} events published from --until on" in filled.stderr
    dead = [letter for path in letters.glob("*.avro") for letter in read_letters(str(path))]
    assert {letter.reason for letter in dead} == {"too_late", "from_future"}
    every = ("--events", tmp_path / "history.parquet")
    until = run_command("verify", *common, *every, "--until", format_time(cut_us))
    assert until.returncode == 0, until.stdout
    assert "all equal" in until.stdout
    too_early = run_command("verify", *common, *every)
    assert too_early.returncode == 1
    run = run_command("run", *common, "--input", tmp_path / "stream.parquet", *given)
    assert run.returncode == 0, run.stderr
    verified = run_command("verify", *common, *every)
    assert verified.returncode == 0, verified.stdout
    assert "all equal" in verified.stdout


@pytest.mark.slow
def test_too_many_dead_letters_end_it_before_anything_is_written(tmp_path: Path, valkey: Valkey):
    spec = write_spec(tmp_path, retention="30d")
    events = recent_events(300)
    for one in events[::2]:
        one["event_time"] -= 3 * H
    pq.write_table(table_of(events), tmp_path / "history.parquet")
    command = (
        *("backfill", "--spec", spec, "--redis", valkey.url, "--generation", "g", "--work", tmp_path / "work"),
        *("--input", tmp_path / "history.parquet", "--dead-letters", tmp_path / "dead"),
    )
    refused = run_command(*command)
    assert refused.returncode == 1
    assert "more than --max_dead_letters 10%" in refused.stderr
    assert "commonest reason: too_late" in refused.stderr
    with valkey.client() as client:
        assert not list(client.scan_iter("tried@g:*state"))
    shown = run_command("generation", "list", "--spec", spec, "--redis", valkey.url)
    assert "being filled" in shown.stdout
    going_on = run_command(*command, "--max_dead_letters", "100%")
    assert going_on.returncode == 0, going_on.stderr
    assert "g is complete; its files end at" in going_on.stderr


def test_what_cannot_be_is_said_before_anything_is_read(tmp_path: Path, valkey: Valkey):
    spec = write_spec(tmp_path, retention="30d")
    pq.write_table(table_of(recent_events(5)), tmp_path / "history.parquet")
    command = ("backfill", "--spec", spec, "--redis", valkey.url, "--input", tmp_path / "history.parquet")
    for more, said in (
        (("--generation", "base"), "expected a generation with a name of its own, got base"),
        (("--generation", "g", "--until", "yesterday"), "expected a time such as"),
        (("--generation", "g", "--users", "0%"), "expected a share of users above 0"),
        (("--generation", "g", "--input", str(tmp_path / "none*")), "no file matches"),
    ):
        done = run_command(*command, *more)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        assert said in done.stderr
    assert list(tmp_path.glob(".backfill*")) == []


def test_with_learned_items_what_shards_alone_can_is_refused(tmp_path: Path, valkey: Valkey):
    spec = tmp_path / "learning.yaml"
    spec.write_text(spec_text("{dimensions: 8, learned: {of: item_id}}"))
    pq.write_table(table_of(recent_events(5)), tmp_path / "history.parquet")
    command = ("backfill", "--spec", spec, "--redis", valkey.url, "--input", tmp_path / "history.parquet")
    for option in (("--runner", "direct"), ("--until", "2026-01-01T00:00:00Z"), ("--users", "1%")):
        done = run_command(*command, "--generation", "g", *option)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        assert "expected one --input, and no --until, --users, --work or --runner" in done.stderr
