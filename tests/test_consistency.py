"""Answers that the real client logs while events are folded, and what `user-state consistency` says of them."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.history.files import PARTS, table_of
from tests.servers.redis import Valkey, running_valkey
from tests.trying import H, M, S, event, spec_of, text_of
from user_state.answers import log as answer_log
from user_state.answers.columns import APPLIED, AT, USER
from user_state.answers.log import AnswerLog
from user_state.cli.main import app
from user_state.cli.progress import progress
from user_state.client import UserStateClient
from user_state.consistency.compare import EQUAL, IN_FLIGHT, RECORD, UNEXPLAINED, Difference, Report
from user_state.consistency.job import Against, consistency
from user_state.consistency.page import page
from user_state.errors import InputError
from user_state.events.decode import EventDecoder
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.store.redis_store import RedisStateStore

SPEC = spec_of(**PARTS)
PLAN = compile_plan(SPEC)
BEGIN = time.time_ns() // 1000 // M * M - 3 * H
"""The server expires records by its own clock, so the events are of today."""
USERS = 6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with running_valkey(tmp_path_factory.mktemp("valkey")) as one:
        yield one


def streamed(seed: int, number: int = 250) -> list[dict[str, Any]]:
    """Return events by time of publishing, each at a time of its own: late, too late, ahead, doubled, out of order."""
    chance, made, published = random.Random(seed), [], BEGIN
    for at in range(number):
        published += chance.randrange(1, 40) * S + chance.randrange(S)
        if made and chance.random() < 0.05:
            made.append({**chance.choice(made), "published_at": published})
            continue
        happened = published - chance.choice([0, S, 5 * M, H, H + 1, -30 * S, -M - 1])
        fields = {"action": chance.choice(["view", "share"]), "item_id": f"i{chance.randrange(9)}"}
        fields["value"] = float(chance.randrange(100))
        made.append(event(happened, f"u{chance.randrange(USERS)}", f"e{at}", published_at=published, **fields))
    return made


@dataclasses.dataclass
class World:
    """Events that were folded and answers that were logged; `events` are the history."""

    folder: Path
    events: list[dict[str, Any]]
    asked: int

    def answers(self) -> Path:
        """Return the one file of answers of all outputs."""
        (path,) = [one for one in (self.folder / "served").iterdir() if "taste_1h" in pq.read_schema(one).names]
        return path

    def alter(self, change: Callable[[list[dict[str, Any]]], object]) -> None:
        """Change rows of that file."""
        table = pq.read_table(self.answers())
        rows = table.to_pylist()
        change(rows)
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), self.answers())

    def report(self, spec=SPEC, **how: Any) -> Report:
        """Compare."""
        pq.write_table(table_of(self.events), self.folder / "events.parquet")
        against = Against([str(self.folder / "events.parquet")], **how)
        return consistency(spec, self.folder / "served", against, progress)[0]


def lived(server: Valkey, folder: Path, seed: int, lag: int, *, out_of_turn: bool = False) -> World:
    """Fold events, up to `lag` of them behind their publishing, while the client is asked and logs."""
    with server.client() as redis:
        redis.flushall()
    chance, events = random.Random(seed), streamed(seed)
    decoder = EventDecoder(PLAN, SPEC.schema)
    waiting: list[dict[str, Any]] = []
    log, asked = AnswerLog(folder / "served", 1.0), 0
    with (
        closing(RedisStateStore(server.url, PLAN.name, timeout_s=5)) as store,
        UserStateClient.from_url(server.url, SPEC, timeout_s=5, log=log) as client,
    ):
        folding = Folder(PLAN, store)

        def fold(some: list[dict[str, Any]]) -> None:
            if some:
                folding.fold([decoder.row(one, one["published_at"]) for one in some])

        for one in events:
            waiting.append(one)
            behind = chance.randrange(lag + 1)
            now, waiting = (waiting[: len(waiting) - behind], waiting[len(waiting) - behind :])
            if out_of_turn and len(waiting) > 1:
                now, waiting = [waiting[-1]], waiting[:-1]
            fold(now)
            if chance.random() < 0.5:
                select = None if chance.random() < 0.7 else ["views_count_1h", "recent"]
                who = [f"u{chance.randrange(USERS)}", "nobody"]
                client.get_many(who, one["published_at"] + chance.randrange(1, S), select=select)
                asked += 2
        fold(waiting)
        client.get_many([f"u{at}" for at in range(USERS)], events[-1]["published_at"] + M)
    assert log.counts == dataclasses.replace(log.counts, written=asked + USERS, dropped=0, failed=0)
    return World(folder, events, asked + USERS)


@pytest.mark.parametrize("seed", range(4))
def test_what_was_answered_while_events_were_folded_is_equal_to_history(server: Valkey, tmp_path: Path, seed: int):
    report = lived(server, tmp_path, seed, lag=0).report()
    assert report.samples == []
    assert report.answers[IN_FLIGHT] == 0
    assert report.answers[EQUAL] > 200


@pytest.mark.parametrize("seed", range(4))
def test_events_published_but_not_yet_folded_are_in_flight(server: Valkey, tmp_path: Path, seed: int):
    report = lived(server, tmp_path, seed, lag=6).report(within_us=30 * M)
    assert report.samples == []
    assert report.answers[IN_FLIGHT] > 10
    assert report.answers[EQUAL] > 50
    assert all(0 < waited <= 30 * M for waited in report.waited_us)


@pytest.mark.parametrize("seed", range(2))
def test_events_that_others_were_folded_before_are_in_flight(server: Valkey, tmp_path: Path, seed: int):
    report = lived(server, tmp_path, seed, lag=3, out_of_turn=True).report(within_us=H)
    assert report.answers[IN_FLIGHT] > 5
    assert report.samples == []


def test_an_event_that_is_not_folded_for_longer_than_allowed_is_unexplained(server: Valkey, tmp_path: Path):
    report = lived(server, tmp_path, 1, lag=6).report(within_us=S // 2)
    assert report.answers[UNEXPLAINED] > 5
    assert any("s before had not been folded" in one.reason for one in report.samples)


@pytest.fixture
def world(server: Valkey, tmp_path: Path) -> World:
    """One without differences."""
    return lived(server, tmp_path, 7, lag=0)


ALTERED: dict[str, Callable[[Any], Any]] = {
    "views_count_1h": lambda old: old + 1,
    "worth_mean_1d": lambda old: (old or 0) + 1,
    "taste_1h": lambda old: [-1.0, *old[1:]],
    "recent.item_id": lambda old: ["another", *old[1:]],
    "recent.event_time": lambda old: [None, *old[1:]],
    "present": lambda _: False,
}


@pytest.mark.parametrize("output", ALTERED)
def test_a_value_altered_in_the_log_is_unexplained(world: World, output: str):
    altered = []

    def change(rows: list[dict[str, Any]]) -> None:
        row = next(row for row in rows[::-1] if row["present"])
        old = row[output]
        row[output] = ALTERED[output](old)
        altered.append(row[USER])

    world.alter(change)
    (found,) = world.report().samples
    assert (found.user, found.output) == (altered[0], output.partition(".")[0])


def test_an_event_removed_from_history_is_unexplained(world: World):
    counted = [one for one in world.events if one["event_time"] == one["published_at"]]
    world.events.remove(counted[len(counted) // 2])
    report = world.report()
    assert report.answers[UNEXPLAINED] > 0
    assert any("events more than history" in one.reason for one in report.samples if one.output == RECORD)


def test_a_record_that_says_one_event_more_is_unexplained(server: Valkey, tmp_path: Path):
    world = lived(server, tmp_path, 3, lag=0)

    def change(rows: list[dict[str, Any]]) -> None:
        row = next(row for row in rows[::-1] if row["present"])
        row[APPLIED] += 1
        row["views_count_lifetime"] += 1

    world.alter(change)
    assert {one.output for one in world.report().samples} == {RECORD, "views_count_lifetime"}


def test_answers_by_a_spec_that_counts_other_events_are_refused_and_by_wish_unexplained(world: World):
    # The same names of outputs, of other events.
    views = {**PARTS["features"]["views"], "where": {"action": "share"}}
    other = spec_of(**{**PARTS, "features": {**PARTS["features"], "views": views}})
    with pytest.raises(InputError, match=SPEC.fingerprint):
        world.report(other)
    assert world.report(other, any_spec=True).answers[UNEXPLAINED] > 0


def test_history_that_ends_before_the_answers_is_said_and_not_unexplained(world: World):
    world.events = world.events[: len(world.events) // 2]
    report = world.report()
    assert report.samples == []
    assert report.left_out["of records with events after the end of history"] > 20


def test_a_folder_without_answers_and_one_of_something_else_are_refused(world: World):
    with pytest.raises(InputError, match="which has none"):
        consistency(SPEC, world.folder / "nothing", Against([]), progress)
    pq.write_table(pa.table({"x": [1]}), world.folder / "served" / "x.parquet")
    with pytest.raises(InputError, match=r"has no column served\.applied"):
        world.report()


def test_the_command_exits_with_1_if_something_is_unexplained_or_nothing_compared(world: World):
    spec = world.folder / "spec.yaml"
    spec.write_text(text_of(**PARTS))
    (world.folder / "tried.avsc").write_bytes((Path(__file__).parent / "tried.avsc").read_bytes())
    world.report()
    command = ["consistency", "--spec", str(spec), "--served", str(world.folder / "served")]
    command += ["--input", str(world.folder / "events.parquet"), "--html", str(world.folder / "report.html")]
    cli = CliRunner()
    done = cli.invoke(app("consistency"), command)
    assert (done.exit_code, "0 unexplained" in done.output) == (0, True), done.output
    assert "<svg" in (world.folder / "report.html").read_text()
    world.alter(lambda rows: rows[-1].update(views_count_1h=77.0))
    done = cli.invoke(app("consistency"), command)
    assert (done.exit_code, "served 77.0" in done.output) == (1, True)
    pq.write_table(table_of(world.events[:0]), world.folder / "events.parquet")
    for path in (world.folder / "served").iterdir():
        table = pq.read_table(path)
        pq.write_table(table.filter(pa.compute.greater(table.column(APPLIED), 0)), path)
    done = cli.invoke(app("consistency"), command)
    assert done.exit_code == 1
    assert "no answer could be compared" in done.output


def test_the_page_escapes_what_users_chose_and_refers_to_nothing_elsewhere():
    evil = "<script>alert(1)</script>"
    report = Report(samples=[Difference(evil, BEGIN, evil, evil, evil, evil)], waited_us=[1, 10**9])
    report.outputs[evil, EQUAL] = 3
    made = page(report, {"spec": evil})
    assert "<script" not in made
    assert not any(f"{scheme}:" in made for scheme in ("http", "https", "data"))


def test_a_folder_that_cannot_be_written_costs_no_answer_and_is_counted(server: Valkey, tmp_path: Path, caplog):
    (tmp_path / "file").write_text("")
    log = AnswerLog(tmp_path / "file" / "served", 1.0, rows_a_file=1, most_queued=4)
    with UserStateClient.from_url(server.url, SPEC, timeout_s=5, log=log) as client:
        for _ in range(2):
            assert len(client.get_many(["a", "b"])) == 2
            deadline = time.monotonic() + 20
            while log.counts.failed % 2 or (log.counts.failed < 2 and time.monotonic() < deadline):
                time.sleep(0.05)
    assert (log.counts.written, log.counts.failed) == (0, 4)
    assert len([one for one in caplog.records if "not logged" in one.message]) == 1


def test_a_full_queue_drops_and_counts(server: Valkey, tmp_path: Path):
    log = AnswerLog(tmp_path, 1.0, most_queued=1)
    with UserStateClient.from_url(server.url, SPEC, timeout_s=5, log=log) as client:
        for _ in range(200):
            client.get_many(["a", "b"])
    assert log.counts.dropped > 0
    assert log.counts.dropped + log.counts.written == 400
    assert sum(len(pq.read_table(path)) for path in tmp_path.iterdir()) == log.counts.written


def test_a_forked_child_logs_by_itself_and_repeats_nothing_of_its_parent(server: Valkey, tmp_path: Path):
    log = AnswerLog(tmp_path, 1.0)
    with UserStateClient.from_url(server.url, SPEC, timeout_s=5, log=log) as client:
        client.get_many(["parent"])
        child = os.fork()
        if not child:
            try:
                client.get_many(["child"])
                client.close()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    users = [user for path in tmp_path.iterdir() for user in pq.read_table(path).column(USER).to_pylist()]
    assert sorted(users) == ["child", "parent"]


def test_calls_that_come_at_once_start_one_thread_and_every_answer_is_counted(tmp_path: Path, monkeypatch):
    # The moment between looking for the thread and having one, made long.
    make = threading.Thread.__init__
    monkeypatch.setattr(
        threading.Thread, "__init__", lambda *given, **named: (time.sleep(0.01), make(*given, **named))[1]
    )
    for _ in range(3):
        log, together = AnswerLog(tmp_path, 1.0), threading.Barrier(8)

        def put(log: AnswerLog = log, together: threading.Barrier = together) -> None:
            together.wait()
            log.put(SimpleNamespace(users=("a",), kind=0, size=1))  # of which no table can be made

        threads = [threading.Thread(target=put) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert sum(one.name == "answer-log" for one in threading.enumerate()) == 1
        log.close()
        assert (log.counts.written, log.counts.dropped, log.counts.failed) == (0, 0, 8)


def test_a_queue_is_full_by_the_bytes_of_what_waits_too(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(answer_log, "WAIT_S", 60.0)
    log = AnswerLog(tmp_path, 1.0, most_queued_mb=25 / 2**20)
    for size in (10, 10, 10, 5, 1):
        log.put(SimpleNamespace(users=("a", "b"), kind=0, size=size))
    assert log.counts.dropped == 4  # the third and the last
    log.close()
    assert (log.counts.written, log.counts.dropped, log.counts.failed) == (0, 4, 6)


def test_what_was_taken_out_makes_room_in_the_queue(server: Valkey, tmp_path: Path):
    log = AnswerLog(tmp_path, 1.0, most_queued_mb=1 / 2**10)
    with UserStateClient.from_url(server.url, SPEC, timeout_s=5, log=log) as client:
        for _ in range(3):
            client.get_many(["a"] * 20)
            deadline = time.monotonic() + 20
            while log._queue.qsize() and time.monotonic() < deadline:
                time.sleep(0.01)
    assert (log.counts.written, log.counts.dropped) == (60, 0)


def test_a_file_is_ended_by_the_bytes_of_its_rows_too(server: Valkey, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(answer_log, "MOST_HELD_BYTES", 1)
    log = AnswerLog(tmp_path, 1.0)
    with UserStateClient.from_url(server.url, SPEC, timeout_s=5, log=log) as client:
        client.get_many(["a"])
        deadline = time.monotonic() + 20
        while not log.counts.written and time.monotonic() < deadline:
            time.sleep(0.01)
        assert log.counts.written == 1


def test_an_answer_that_comes_as_the_log_is_closed_is_written_or_counted(tmp_path: Path):
    log, puts = AnswerLog(tmp_path, 1.0), threading.Event()
    log.put(SimpleNamespace(users=("a",), kind=0, size=1))
    queue = log._queue

    class Slow:
        """The queue, with the moment between the last look at it and putting made long."""

        def __getattr__(self, name: str) -> Any:
            return getattr(queue, name)

        def put(self, one: Any) -> None:
            puts.set()
            time.sleep(0.5)
            queue.put(one)

    log._queue = Slow()
    late = threading.Thread(target=log.put, args=(SimpleNamespace(users=("b",), kind=0, size=1),))
    late.start()
    puts.wait()
    log.close()
    late.join()
    log.put(SimpleNamespace(users=("c",), kind=0, size=1))
    assert (log.counts.written, log.counts.dropped, log.counts.failed) == (0, 1, 2)


def test_a_log_whose_thread_cannot_be_started_counts_what_it_loses(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("no more threads")))
    log = AnswerLog(tmp_path, 1.0)
    log.put(SimpleNamespace(users=("a", "b"), kind=0, size=1))
    log.close()
    assert log.counts.failed == 2


FULL_DISK = """
import resource, sys, time
from user_state import AnswerLog, UserStateClient
log = AnswerLog(sys.argv[1], 1.0, rows_a_file=1)
with UserStateClient.from_url(sys.argv[2], sys.argv[3], timeout_s=5, log=log) as client:
    for most, counted in ((4, "failed"), (-1, "written")):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, -1))
        print(len(client.get_many(["a", "b"])))
        deadline = time.monotonic() + 20
        while not getattr(log.counts, counted) and time.monotonic() < deadline:
            time.sleep(0.05)
print(log.counts)
"""


def test_a_full_disk_loses_rows_leaves_no_half_of_a_file_and_is_over_when_there_is_room(server: Valkey, tmp_path: Path):
    spec = tmp_path / "spec.yaml"
    spec.write_text(text_of(**PARTS))
    (tmp_path / "tried.avsc").write_bytes((Path(__file__).parent / "tried.avsc").read_bytes())
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "served"), server.url, str(spec)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "2\n2\nLogCounts(written=2, dropped=0, failed=2)\n"
    assert done.stderr.count("answers are not logged to") == 1
    (path,) = (tmp_path / "served").iterdir()
    assert pq.read_table(path).column(USER).to_pylist() == ["a", "b"]


def test_some_users_are_logged_in_all_calls_and_the_others_in_none(server: Valkey, tmp_path: Path):
    users = [f"u{at}" for at in range(1_000)]
    log = AnswerLog(tmp_path, "10%")
    with UserStateClient.from_url(server.url, SPEC, timeout_s=5, log=log) as client:
        client.get_many(users)
        for user in users[:100]:
            client.get(user, BEGIN)
    table = pa.concat_tables([pq.read_table(path) for path in tmp_path.iterdir()])
    sampled = {users[row] for row in log.sampled(tuple(users))}
    assert 50 < len(sampled) < 150
    assert len(table) == len(sampled) + len(sampled & set(users[:100]))
    assert set(table.column(USER).to_pylist()) == sampled
    assert pa.types.is_timestamp(table.schema.field(AT).type)


@pytest.mark.parametrize("sample", ["0%", "101%", "one", -1, float("nan")])
def test_a_share_that_is_none_is_refused(tmp_path: Path, sample):
    with pytest.raises(InputError, match="share of users"):
        AnswerLog(tmp_path, sample)
