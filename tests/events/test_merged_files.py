"""Files of history are read in order of time, however they are named and however they overlap."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from user_state import oracle
from user_state.events.avro_files import read_arrivals, write_events, write_messages
from user_state.events.decode import EventDecoder
from user_state.events.event_files import event_file, history_files
from user_state.events.merged_files import MergedFiles, Place
from user_state.events.message import Message
from user_state.events.segments import Refusal
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.spec.event_schema import parse_event_schema
from user_state.spec.model import Spec

DAY = 86_400 * 10**6
FIRST = 1_600_000_000 * 10**6
NOW = FIRST + 400 * DAY
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Step",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "who", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}
SPEC = Spec.model_validate(
    {
        "name": "steps",
        "events": {"schema": "step.avsc", "user": "who", "id": "id", "time": "at"},
        "allowed_lateness": "1d",
        "max_clock_skew": "5m",
        "retention": "3650d",
        "features": {"n": {"aggregate": "count", "windows": "lifetime"}},
    }
)
LOADED = LoadedSpec(SPEC, parse_event_schema(SCHEMA), {})
PLAN = compile_plan(LOADED)
DECODER = EventDecoder(PLAN, LOADED.schema)


def rows(name: str, times_us: Sequence[int], users: Sequence[str]) -> list[dict[str, Any]]:
    return [{"id": f"{name}-{n}", "who": users[n % len(users)], "at": at} for n, at in enumerate(times_us)]


def merged(paths: Sequence[Path], most: int = 20_000) -> MergedFiles:
    files = history_files([str(path) for path in paths], LOADED, latest_us=NOW)
    return MergedFiles(
        files,
        lambda path: event_file(path, LOADED),
        DECODER,
        lateness_us=PLAN.allowed_lateness_us,
        tolerance_us=300_000_000,
        most_messages=most,
        most_bytes=8 << 20,
    )


def ids_of(messages: Any) -> list[str]:
    listed = [messages.message(at) for at in range(len(messages))] if hasattr(messages, "message") else messages
    return [DECODER.decode(one[0])["id"] for one in listed]


def read(reader: MergedFiles, *, stops: bool = False) -> tuple[list[str], list[Refusal], int]:
    """Return (ids in the order read, what was refused, pulls); with `stops`, goes on from text in a new reader."""
    ids: list[str] = []
    refused: list[Refusal] = []
    place, pulls = Place(), 0
    while True:
        taken, place, _ = reader.take(place, NOW)
        if taken is None:
            return ids, refused, pulls
        ids += ids_of(taken.messages)
        refused += taken.refused
        pulls += 1
        if stops:
            reader.close()
            place = Place.of(place.text())


def expected(paths: Sequence[Path]) -> tuple[list[str], ...]:
    """Return (ids in order, ids refused) by brute force."""
    files = history_files([str(path) for path in paths], LOADED, latest_us=NOW)
    found = oracle.in_order_of_time(SPEC, [list(read_arrivals(file.path, SPEC)) for file in files], NOW)
    going_on = [row.arrival for row in found if row.arrival.reason is None]
    refused = [row.arrival for row in found if row.arrival.reason is not None]
    return tuple([one.event["id"] for one in those if one.event is not None] for those in (going_on, refused))


def write(path: Path, times_us: Sequence[int], users: Sequence[str] = ("u",), block_bytes: int = 16_000) -> Path:
    write_events(path, rows(path.name.removesuffix(".avro"), times_us, users), SCHEMA, "null", block_bytes)
    return path


def disorder(times: Sequence[int]) -> int:
    """Return how far the row that is most behind lies before an earlier row."""
    worst, latest = 0, times[0]
    for at in times:
        latest = max(latest, at)
        worst = max(worst, latest - at)
    return worst


def test_days_in_files_with_any_names_come_one_after_the_other(tmp_path: Path) -> None:
    """raystack/dagger#101: files are listed by name, and read side by side the newest day makes the others late."""
    names = ["zz", "10", "9", "a day", "B"]
    paths = [
        write(tmp_path / f"{name}.avro", [FIRST + day * DAY + n * 1000 for n in range(3000)])
        for day, name in enumerate(names)
    ]
    ids, refused, _ = read(merged(sorted(paths)))
    assert ids == [f"{name}-{n}" for name in names for n in range(3000)]
    assert refused == []


@pytest.mark.parametrize("block_bytes", [1, 300, 16_000])
def test_topics_side_by_side_are_merged_row_by_row(tmp_path: Path, block_bytes: int) -> None:
    """Each a file over the whole month, with few rows: a block alone is longer than the lateness."""
    paths, times = [], {}
    rng = random.Random(block_bytes)
    for topic in range(5):
        at = sorted(FIRST + rng.randrange(30 * DAY) for _ in range(200))
        paths.append(write(tmp_path / f"t{topic}.avro", at, block_bytes=block_bytes))
        times |= {f"t{topic}-{n}": one for n, one in enumerate(at)}
    ids, refused, _ = read(merged(paths))
    assert [times[one] for one in ids] == sorted(times.values())
    assert refused == []


def test_no_row_is_later_than_it_was_in_its_own_file(tmp_path: Path) -> None:
    """Each file is up to 20 hours out of order, and two such files together would be up to 40."""
    rng = random.Random(5)
    times: dict[str, int] = {}
    paths, worst = [], 0
    for name in "abcdef":
        at = [FIRST + n * DAY // 50 - rng.randrange(20 * DAY // 24) for n in range(1000)]
        worst = max(worst, disorder(at))
        paths.append(write(tmp_path / f"{name}.avro", at, users=("u", "v"), block_bytes=500))
        times |= {f"{name}-{n}": one for n, one in enumerate(at)}
    ids, *_ = read(merged(paths, 700))
    assert sorted(ids) == sorted(times)
    assert 0 < disorder([times[one] for one in ids]) <= worst


def test_hundreds_of_files_and_an_empty_one(tmp_path: Path) -> None:
    rng = random.Random(1)
    times, paths = {}, [write(tmp_path / "empty.avro", [])]
    for _ in range(300):
        begin = FIRST + rng.randrange(100) * DAY
        at = sorted(begin + rng.randrange(2 * DAY) for _ in range(rng.randrange(1, 60)))
        paths.append(write(tmp_path / f"f{rng.random()}.avro", at))
        name = paths[-1].name.removesuffix(".avro")
        times |= {f"{name}-{n}": one for n, one in enumerate(at)}
    ids, refused, pulls = read(merged(paths, 1000))
    assert len(ids) == len(set(ids)) > 8000
    assert refused == []
    assert pulls < 30
    at_us = [times[one] for one in ids]
    assert at_us == sorted(at_us)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_any_files_arrive_as_brute_force_says(tmp_path: Path, seed: int) -> None:
    """Late rows, rows of wrong clocks, files sorted by user, files that overlap; and again from each place."""
    rng = random.Random(seed)
    paths = []
    for number in range(rng.randrange(1, 6)):
        count = rng.choice([0, 1, 3, 50, 900])
        begin, span = FIRST + rng.randrange(40) * DAY, rng.choice([DAY // 10, 3 * DAY, 30 * DAY])
        users = [f"u{n}" for n in range(rng.choice([1, 3, 40]))]
        made = [(rng.choice(users), begin + rng.randrange(span)) for _ in range(count)]
        made.sort(key=(lambda one: one) if rng.random() < 0.3 else (lambda one: one[1]))
        for _ in range(count // 80):
            at = rng.randrange(count)
            made[at] = made[at][0], made[at][1] + rng.choice([-3 * DAY, -DAY // 2, 2 * DAY, 90 * DAY, 20_000 * DAY])
        events = [{"id": f"{number}-{n}", "who": who, "at": at} for n, (who, at) in enumerate(made)]
        paths.append(tmp_path / f"{number}.avro")
        write_events(paths[-1], events, SCHEMA, "null", rng.choice([1, 400, 16_000]))
    wanted, refused = expected(paths)
    for most in (1, 64, 20_000):
        ids, found, _ = read(merged(paths, most))
        assert ids == wanted
        assert sorted(ids_of([one.message for one in found])) == sorted(refused)
    # After a restart the neighbours before it are not known: other rows may be refused, but none is lost.
    again, refused_again, _ = read(merged(paths, 64), stops=True)
    assert sorted([*again, *ids_of([one.message for one in refused_again])]) == sorted([*wanted, *refused])


def test_brute_force_refuses_something_in_some_of_those_worlds(tmp_path: Path) -> None:
    """So that the test above compares more than nothing."""
    at = [FIRST + n * 60_000_000 for n in range(1000)]
    at[300] += 40 * DAY
    at[301] += 41 * DAY
    path = write(tmp_path / "a.avro", at, users=[f"u{n}" for n in range(30)], block_bytes=100)
    wanted, refused = expected([path])
    assert refused == ["a-300", "a-301"]
    ids, found, _ = read(merged([path], 64))
    assert ids == wanted
    assert {one.why.reason for one in found} == {"from_future"}
    assert "wrong clock" in found[0].why.detail


def test_messages_are_merged_by_their_publish_times(tmp_path: Path) -> None:
    """And none of them is refused for its event time: the broker's clock is the one that counts."""
    bodies = [DECODER.encode({"id": f"{n}", "who": "u", "at": FIRST}) for n in range(6)]
    for name, chosen in (("a", (0, 3, 4)), ("b", (1, 2, 5))):
        write_messages(tmp_path / name, [Message(bodies[n], {}, FIRST + n, None, "") for n in chosen], SCHEMA)
    ids, *_ = read(merged([tmp_path / "a", tmp_path / "b"]))
    assert ids == ["0", "1", "2", "3", "4", "5"]


def test_rows_are_held_back_until_they_are_due(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.avro", [FIRST, FIRST + 20]), write(tmp_path / "b.avro", [FIRST + 10, FIRST + 30])]
    reader = merged(paths)
    taken, place, next_us = reader.take(Place(), NOW, FIRST + 10)
    assert taken is not None
    assert (ids_of(taken.messages), next_us) == (["a-0", "b-0"], FIRST + 20)
    assert reader.take(place, NOW, FIRST + 19) == (None, place, FIRST + 20)
    taken, place, _ = reader.take(place, NOW, FIRST + 30)
    assert taken is not None
    assert ids_of(taken.messages) == ["a-1", "b-1"]
    assert reader.take(place, NOW, None)[0] is None
