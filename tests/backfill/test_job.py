"""A backfill is whole or goes on: killed, out of order, beside others who write, and when Redis loses what it had."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import fastavro
import pyarrow.parquet as pq
import pytest

from tests.backfill.jobs import WITHIN_S, backfill, held, spec_in
from tests.backfill.worlds import assert_say
from tests.history.files import arrivals_of, made_events, table_of, write_events, write_spec
from tests.servers.redis import Valkey, running_valkey
from tests.trying import T0, D, H, M, batch, event
from user_state import oracle
from user_state.backfill import job as job_module
from user_state.backfill.job import BackfillJob
from user_state.errors import InputError, StoreUnavailable
from user_state.fold import Folder
from user_state.history.event_source import Refused
from user_state.plan.compile import compile_plan
from user_state.store.generations import Generations, refuse_unfinished
from user_state.store.redis_store import RedisStateStore

LONG = {"retention": "3600d"}
FOREVER_US = T0 + 3000 * D


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder with a spec and events whose retention does not end."""
    write_spec(tmp_path, **LONG)
    write_events(tmp_path, made_events(11, 800))
    return tmp_path


def expected(folder: Path, events: list, until_us: int | None = None) -> dict[str, list[oracle.AppliedEvent]]:
    return oracle.backfilled(spec_in(folder, "g").spec, arrivals_of(events), FOREVER_US, until_us)


def assert_right(folder: Path, url: str, generation: str, events: list, until_us: int | None = None) -> None:
    loaded = spec_in(folder, generation)
    plan = compile_plan(loaded)
    store = RedisStateStore(url, loaded.keyspace)
    applied = expected(folder, events, until_us)
    users = sorted({*applied, *held(url, loaded.keyspace)})
    records = {user: one.record for user, one in zip(users, store.read(users), strict=True)}
    store.close()
    assert_say(loaded, plan, records, applied)


def test_records_are_those_of_brute_force_and_every_event_is_in_one_bin(world: Path, valkey: Valkey):
    letters: list[Refused] = []
    filled = backfill(world, valkey.url, "g", world / "work", letters, shards=3)
    events = made_events(11, 800)
    assert_right(world, valkey.url, "g", events)
    applied = expected(world, events)
    counts = filled.counts
    assert counts["applied"] == sum(map(len, applied.values()))
    assert counts["users"] == len(applied)
    bins = ("applied", "duplicate", "too_late", "from_future")
    assert sum(counts[name] for name in bins) == counts["read"] == 800
    assert all(counts[name] > 0 for name in bins)
    assert sorted(one.reason for one in letters) == sorted(
        ["too_late"] * counts["too_late"] + ["from_future"] * counts["from_future"]
    )
    assert all(one.message.data for one in letters)
    assert not (world / "work").exists()
    with Generations(valkey.url, "tried") as generations:
        one = generations.find("g")
    assert one is not None
    assert (one.is_complete, one.is_history, one.events, one.until_us) == (True, True, counts["applied"], None)
    assert one.latest_us == filled.latest_us == max(e.published_us for es in applied.values() for e in es)


def test_keys_expire_a_retention_after_the_last_event(world: Path, valkey: Valkey):
    backfill(world, valkey.url, "g", world / "work")
    applied = expected(world, made_events(11, 800))
    assert {user: one[2] for user, one in held(valkey.url, "tried@g").items()} == {
        user: (max(one.time_us for one in events) + 3600 * D) // 1000 for user, events in applied.items()
    }


@pytest.mark.slow
def test_neither_shards_nor_workers_nor_the_order_of_files_and_rows_change_a_byte(world: Path, valkey: Valkey):
    events = made_events(11, 800)
    backfill(world, valkey.url, "g0", world / "work")
    once = held(valkey.url, "tried@g0")
    chance = random.Random(3)
    for number in range(1, 6):
        chance.shuffle(events)
        files = chance.choice([1, 2, 5])
        for old in world.glob("events-*"):
            old.unlink()
        write_events(world, events, files, chance.choice([1, 50, 1000]))
        paths = sorted(map(str, world.glob("events-*")))
        chance.shuffle(paths)
        shards, workers = chance.choice([1, 2, 7, 40]), chance.choice([1, 4])
        backfill(world, valkey.url, f"g{number}", world / "work", inputs=paths, shards=shards, workers=workers)
        assert held(valkey.url, f"tried@g{number}") == once


@pytest.mark.slow
def test_a_backfill_that_is_killed_at_any_moment_goes_on_to_the_same_records(world: Path, valkey: Valkey):
    chance = random.Random(7)
    backfill(world, valkey.url, "whole", world / "whole")
    command = [sys.executable, "-m", "tests.backfill.jobs", str(world), valkey.url]
    began = time.monotonic()
    assert subprocess.run([*command, "g", str(world / "work"), "7"], timeout=WITHIN_S, check=False).returncode == 0
    shortest_s = time.monotonic() - began
    killed = 0
    for number in range(20):
        process = subprocess.Popen([*command, f"k{number}", str(world / f"work-{number}"), "7"])
        try:
            process.wait(chance.uniform(0.5, 1.0) * shortest_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(WITHIN_S)
            killed += 1
            again = [*command, f"k{number}", str(world / f"work-{number}"), "7"]
            assert subprocess.run(again, timeout=WITHIN_S, check=False).returncode == 0
            assert held(valkey.url, f"tried@k{number}") == held(valkey.url, "tried@whole")
        if killed == 4:
            return
    pytest.fail("the backfill was never killed")


def interrupted(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch, after: int, **settings: object) -> None:
    """Begin a backfill of generation g with 4 shards, and end it after so many of them."""
    done = 0
    write = BackfillJob._write_shard

    def some(self, fold, writer, shard, marks, advance):
        nonlocal done
        if done == after:
            raise KeyboardInterrupt
        done += 1
        write(self, fold, writer, shard, marks, advance)

    with monkeypatch.context() as patch:
        patch.setattr(BackfillJob, "_write_shard", some)
        with pytest.raises(KeyboardInterrupt):
            backfill(folder, url, "g", folder / "work", shards=4, **settings)


def test_shards_that_are_there_are_not_read_or_written_again(
    world: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
):
    interrupted(world, valkey.url, monkeypatch, 2)
    written = []
    write = BackfillJob._write_shard
    monkeypatch.setattr(
        BackfillJob, "_write_shard", lambda self, *more: (written.append(more[2]), write(self, *more))[1]
    )
    monkeypatch.setattr(job_module, "EventSource", None)
    filled = backfill(world, valkey.url, "g", world / "work", shards=4)
    assert written == [2, 3]
    assert filled.counts["read"] == 800
    assert_right(world, valkey.url, "g", made_events(11, 800))


def test_without_its_folder_it_reads_the_files_again_and_writes_the_shards_that_are_missing(
    world: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
):
    interrupted(world, valkey.url, monkeypatch, 3)
    filled = backfill(world, valkey.url, "g", world / "elsewhere", shards=4)
    assert filled.counts["read"] == 800
    assert filled.counts["there_already"] == 0
    assert_right(world, valkey.url, "g", made_events(11, 800))


@pytest.mark.parametrize("folder", [True, False])
def test_what_is_complete_is_said_to_be_and_left_alone(
    folder: bool, world: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
):
    """Killed after all was done, before or after its folder was removed."""
    with monkeypatch.context() as patch:
        if folder:
            patch.setattr(BackfillJob, "_clear", bool)
        patch.setattr(job_module, "Filled", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            backfill(world, valkey.url, "g", world / "work", shards=2)
    store = RedisStateStore(valkey.url, "tried@g")
    Folder(compile_plan(spec_in(world, "g")), store).fold_events(
        batch(compile_plan(spec_in(world, "g")), [event(T0 + 9 * D, "u3")])
    )
    before = held(valkey.url, "tried@g")
    filled = backfill(world, valkey.url, "g", world / "work", shards=2)
    assert filled.was_complete
    assert filled.latest_us is not None
    assert held(valkey.url, "tried@g") == before
    assert not (world / "work").exists()
    store.close()


def test_a_shard_that_was_half_written_is_written_again_to_the_same_records(
    world: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr("user_state.store.backfill_marks.BackfillMarks.finish", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            backfill(world, valkey.url, "g", world / "work", shards=2)
    half = held(valkey.url, "tried@g")
    assert half
    filled = backfill(world, valkey.url, "g", world / "work", shards=2)
    assert filled.counts["there_already"] == len(half)
    assert_right(world, valkey.url, "g", made_events(11, 800))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_folder_or_a_generation_of_another_backfill_is_refused_and_left_alone(
    world: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
):
    interrupted(world, valkey.url, monkeypatch, 1)
    before = held(valkey.url, "tried@g")
    with pytest.raises(InputError, match=r"another until_us"):
        backfill(world, valkey.url, "g", world / "work", shards=4, until_us=T0)
    with pytest.raises(InputError, match=r"another generation: \"h\" instead of \"g\""):
        backfill(world, valkey.url, "h", world / "work", shards=4)
    with pytest.raises(InputError, match=r"a new generation, got g, which is there already"):
        backfill(world, valkey.url, "g", world / "other", shards=5)
    (world / "papers").mkdir()
    (world / "papers" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"which has thesis\.txt"):
        backfill(world, valkey.url, "new", world / "papers")
    assert held(valkey.url, "tried@g") == before
    with pytest.raises(InputError, match="whose backfill has not come to its end"):
        refuse_unfinished(valkey.url, "tried", "g")
    backfill(world, valkey.url, "g", world / "work", shards=4)
    refuse_unfinished(valkey.url, "tried", "g")


def test_a_generation_that_somebody_else_writes_meanwhile_is_given_up(
    world: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
):
    interrupted(world, valkey.url, monkeypatch, 0)
    loaded = spec_in(world, "g")
    plan = compile_plan(loaded)
    store = RedisStateStore(valkey.url, loaded.keyspace)
    Folder(plan, store).fold_events(batch(plan, [event(T0 + 9 * D, "u3")]))
    before = store.read(["u3"])
    with pytest.raises(InputError, match=r"1 users, such as u3, have records in g that this backfill did not write"):
        backfill(world, valkey.url, "g", world / "work", shards=4)
    assert store.read(["u3"]) == before
    store.close()


def test_what_redis_loses_meanwhile_is_written_again_and_said(
    world: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
):
    said: list[str] = []
    write, flushed = BackfillJob._write_shard, False

    def losing(self, fold, writer, shard, marks, advance):
        nonlocal flushed
        if shard == 2 and not flushed:
            flushed = True
            with valkey.client() as client:
                client.flushall()
        write(self, fold, writer, shard, marks, advance)

    monkeypatch.setattr(BackfillJob, "_write_shard", losing)
    filled = backfill(world, valkey.url, "g", world / "work", say=said.append, shards=4, workers=1)
    assert said == ["Redis has lost data: 2 of 4 shards are written again"]
    assert filled.counts["redis_went_back"] > 0
    assert_right(world, valkey.url, "g", made_events(11, 800))
    with Generations(valkey.url, "tried") as generations:
        assert generations.find("g") is not None


def test_what_redis_has_lost_before_it_goes_on_is_written_again_and_said(
    world: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
):
    interrupted(world, valkey.url, monkeypatch, 3)
    with valkey.client() as client:
        client.flushall()
    said: list[str] = []
    backfill(world, valkey.url, "g", world / "work", say=said.append, shards=4)
    assert said == ["Redis no longer has what this backfill has written of g: it is written again"]
    assert_right(world, valkey.url, "g", made_events(11, 800))


@pytest.mark.slow
def test_redis_may_be_away_for_a_while(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with running_valkey(tmp_path / "store", appendonly=True, appendfsync="always") as server:
        write, away = BackfillJob._write_shard, False

        def killing(self, fold, writer, shard, marks, advance):
            nonlocal away
            if shard == 1 and not away:
                away = True
                server.kill_9()
                threading.Timer(1.0, server.restart).start()
            write(self, fold, writer, shard, marks, advance)

        said: list[str] = []
        monkeypatch.setattr(BackfillJob, "_write_shard", killing)
        backfill(world, server.url, "g", world / "work", say=said.append, shards=4, workers=1)
        assert [one.partition(":")[0] for one in said] == ["waiting, nothing is lost"]
        assert_right(world, server.url, "g", made_events(11, 800))


def test_redis_that_stays_away_ends_it(world: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch):
    write = BackfillJob._write_shard

    def killing(self, fold, writer, shard, marks, advance):
        if shard == 1:
            valkey.kill_9()
        write(self, fold, writer, shard, marks, advance)

    monkeypatch.setattr(BackfillJob, "_write_shard", killing)
    monkeypatch.setattr("user_state.backfill.write.GIVE_UP_S", 0.3)
    said: list[str] = []
    with pytest.raises(StoreUnavailable):
        backfill(world, valkey.url, "g", world / "work", say=said.append, shards=4, workers=1)
    assert len(said) == 1


def test_events_from_the_cut_on_are_left_to_the_stream(world: Path, valkey: Valkey):
    events = made_events(11, 800)
    cut_us = sorted(one["published_at"] for one in events)[400]
    filled = backfill(world, valkey.url, "g", world / "work", until_us=cut_us)
    assert filled.counts["after_until"] == sum(one["published_at"] >= cut_us for one in events) > 0
    assert_right(world, valkey.url, "g", events, cut_us)
    with Generations(valkey.url, "tried") as generations:
        one = generations.find("g")
    assert one is not None
    assert one.until_us == cut_us
    assert one.latest_us is not None
    assert one.latest_us < cut_us


def test_a_share_of_users_is_the_same_users_with_the_same_records(world: Path, valkey: Valkey):
    backfill(world, valkey.url, "all", world / "work")
    filled = backfill(world, valkey.url, "some", world / "work", user_share=0.3)
    every, some = (held(valkey.url, f"tried@{name}") for name in ("all", "some"))
    assert 0 < len(some) < len(every)
    assert some == {user: every[user] for user in some}
    counts = filled.counts
    assert counts["other_users"] > 0
    assert (
        counts["read"]
        == 800
        == sum(counts[name] for name in ("other_users", "applied", "duplicate"))
        + sum(counts[name] for name in ("too_late", "from_future", "ignored"))
    )


def test_users_whose_retention_has_passed_are_counted_and_have_no_record(tmp_path: Path, valkey: Valkey):
    write_spec(tmp_path, retention="2d")
    now_us = time.time_ns() // 1000
    events = [
        *(event(now_us - 3 * D + at * M, "gone", f"g{at}") for at in range(5)),
        *(event(now_us - age * D, "back", f"b{age}") for age in (9, 8, 1)),
        event(now_us - 5 * D, "stays", "s0"),
        *(event(now_us - 4 * D + at * D, "stays", f"s{at + 1}") for at in range(4)),
        event(now_us - 2 * D, "edge"),
        event(now_us - 2 * D + H, "left"),
    ]
    for one in events:
        one["published_at"] = one["event_time"]
    pq.write_table(table_of(events), tmp_path / "events-0.parquet")
    filled = backfill(tmp_path, valkey.url, "g", tmp_path / "work")
    counts = filled.counts
    # Five of the user who is gone, two from before the other was forgotten, and one on the edge.
    assert {name: counts[name] for name in ("applied", "expired", "users", "users_expired")} == {
        "applied": 7,
        "expired": 8,
        "users": 3,
        "users_expired": 2,
    }
    assert set(held(valkey.url, "tried@g")) == {"back", "stays", "left"}


@pytest.mark.slow
def test_a_shard_above_its_size_is_sorted_in_parts_to_the_same_records(world: Path, valkey: Valkey):
    backfill(world, valkey.url, "whole", world / "work")
    backfill(world, valkey.url, "parts", world / "work", shards=2, part_bytes=4000)
    assert_right(world, valkey.url, "parts", made_events(11, 800))
    whole, parts = (held(valkey.url, f"tried@{name}") for name in ("whole", "parts"))
    assert {user: one[1:] for user, one in parts.items()} == {user: one[1:] for user, one in whole.items()}


def test_no_events_make_an_empty_generation(tmp_path: Path, valkey: Valkey):
    write_spec(tmp_path, **LONG)
    pq.write_table(table_of([]), tmp_path / "events-0.parquet")
    filled = backfill(tmp_path, valkey.url, "g", tmp_path / "work")
    assert (filled.counts["read"], filled.counts["users"], filled.latest_us) == (0, 0, None)


def test_the_same_backfill_does_not_run_twice_at_a_time(world: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch):
    split = BackfillJob._split
    seen: list[str] = []

    def again(self, job):
        with pytest.raises(InputError, match="is in use") as raised:
            backfill(world, valkey.url, "g", world / "work")
        seen.append(str(raised.value))
        return split(self, job)

    monkeypatch.setattr(BackfillJob, "_split", again)
    backfill(world, valkey.url, "g", world / "work")
    assert len(seen) == 1


@pytest.mark.parametrize("kind", ["avro", "jsonl", "csv"])
def test_files_of_every_kind_give_the_records_of_parquet_and_the_bytes_of_what_is_no_event(
    kind: str, world: Path, valkey: Valkey
):
    events = made_events(11, 200)
    for one in events:
        one["value"] = None  # a CSV has no types
    for old in world.glob("events-*"):
        old.unlink()
    write_events(world, events, files=1)
    backfill(world, valkey.url, "parquet", world / "work")
    path = world / f"history.{kind}"
    if kind == "avro":
        write_avro(path, events)
    else:
        write_rows(path, events)
    letters: list[Refused] = []
    filled = backfill(world, valkey.url, kind, world / "work", letters, inputs=[str(path)])
    assert held(valkey.url, f"tried@{kind}") == held(valkey.url, "tried@parquet")
    expected_bad = 0 if kind == "avro" else 1
    assert filled.counts["invalid"] + filled.counts["undecodable"] == expected_bad
    assert sum(one.reason in ("invalid", "undecodable") for one in letters) == expected_bad
    assert filled.counts["read"] == 200 + expected_bad


def write_avro(path: Path, events: list) -> None:
    schema = fastavro.parse_schema(json.loads((path.parent / "tried.avsc").read_text()))
    with path.open("wb") as file:
        fastavro.writer(file, schema, events)


def write_rows(path: Path, events: list) -> None:
    """Write JSON lines or a CSV, and a row that is no event."""
    names = ["event_id", "user_id", "event_time", "published_at", "action", "item_id"]
    rows = [{name: one[name] for name in names} for one in events]
    rows.insert(7, {**rows[0], "event_id": "bad", "event_time": "never"})
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows)
