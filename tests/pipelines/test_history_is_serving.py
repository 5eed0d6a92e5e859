"""What a training set says is what the client was told: the pipeline runs, and is asked at the labels' own moments.

Events come through Pub/Sub into `user-state run`, in turns, late, doubled and out of order. After each turn the client
is asked for every output of every user of that turn, at a moment between the turn's last publishing and the next one's
first. Then `user-state training-set` is given all events as a file, and those users and moments as labels.
"""

from __future__ import annotations

import itertools
import math
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.servers.pipeline import Pipeline, run_command, running_pipeline
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey
from tests.trying import D, H, M, S
from user_state import oracle
from user_state.client import UserStateClient
from user_state.events.avro_files import SingleObject
from user_state.results import UserStateBatch
from user_state.spec import LoadedSpec, load_spec

SPEC_PATH = Path(__file__).parents[2] / "examples" / "feed" / "user_state.yaml"
TIME = pa.timestamp("us", tz="UTC")
TURN_US, QUIET_US = 30 * M, 5 * M
"""A turn's events are published within TURN_US; then nothing is for QUIET_US, in which the client is asked."""
TOGETHER = 20
"""How many users are asked for at a moment."""
LATE_US = (0, 0, 0, 0, S, 40 * S, 5 * M, 3 * H, 20 * H, D + H, -S, -6 * M)
"""How long before its publishing an event happened. The lateness is a day and clocks may be 5 minutes ahead, so those
at the ends are refused, by their own publish time, in whatever order a turn's messages come."""


@dataclass(frozen=True)
class Turn:
    """Events in order of arrival, and which users are asked for after them, by the moment (microseconds)."""

    events: list[dict[str, Any]]
    asked: dict[int, list[str]]


def made_turns(seed: int, turns: int, users: int, events: int) -> list[Turn]:
    """Return turns up to now; a copy comes in a later turn than what it is a copy of."""
    chance, numbers = random.Random(seed), itertools.count()
    begin_us = time.time_ns() // 1000 - turns * (TURN_US + QUIET_US)
    made: list[Turn] = []
    earlier: list[dict[str, Any]] = []
    for turn in range(turns):
        first_us = begin_us + turn * (TURN_US + QUIET_US)
        some = []
        for _ in range(events):
            published_us = first_us + chance.randrange(TURN_US)
            if earlier and chance.random() < 0.05:
                some.append({**chance.choice(earlier), "published_at": published_us})
                continue
            one = {
                "event_id": f"e{next(numbers)}",
                "user_id": f"u{min(int(chance.expovariate(5 / users)), users - 1)}",
                "item_id": f"i{int(chance.expovariate(0.02))}",
                "action": chance.choice(["view", "view", "view", "like", "share", "skip"]),
                "event_time": published_us - chance.choice(LATE_US),
                "value": chance.choice([None, 0.5, float(chance.randrange(300)), chance.random() * 60]),
                "category": chance.choice([None, "a", "b", "c"]),
                "creator": f"c{int(chance.expovariate(0.1))}",
                "surface": chance.choice(["home", "search", None]),
                "published_at": published_us,
            }
            some.append(one)
        everybody = [f"u{user}" for user in range(users)]
        moments = sorted(chance.sample(range(1, QUIET_US), users // TOGETHER))
        asked = {
            first_us + TURN_US + moment: everybody[at * TOGETHER : (at + 1) * TOGETHER]
            for at, moment in enumerate(moments)
        }
        # A message may come before one that was published before it.
        chance.shuffle(some)
        made.append(Turn(some, asked))
        earlier += some
    return made


def bins_so_far(spec: LoadedSpec, turns: list[Turn]) -> list[Counter[str]]:
    """Return what must have become of all events by the end of each turn."""
    arrivals = [
        oracle.Arrival({**one, "published_at": None}, one["published_at"]) for turn in turns for one in turn.events
    ]
    bins = iter(oracle.replay(spec.spec, arrivals).bins)
    so_far, after = Counter[str](), []
    for turn in turns:
        so_far.update(itertools.islice(bins, len(turn.events)))
        after.append(Counter(so_far))
    return after


def wait_until_stored(pipeline: Pipeline, expected: Counter[str]) -> None:
    """Wait until the progress says that so many events have been applied, each of all others being somewhere."""
    read = sum(expected.values())
    said = f"read {read:,} = applied {expected['applied']:,} + "
    pipeline.wait_until(lambda: said in pipeline.output, f"{said!r}", 60)


@pytest.mark.pubsub
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("turns", "users", "events", "pairs"),
    [
        pytest.param(5, 80, 1500, 25_000, id="some"),
        pytest.param(40, 400, 6000, 1_000_000, id="a million", marks=pytest.mark.nightly),
    ],
)
def test_every_output_of_every_label_is_what_the_client_was_told(
    pubsub: PubSubEmulator, valkey: Valkey, tmp_path: Path, turns: int, users: int, events: int, pairs: int
) -> None:
    spec = load_spec(SPEC_PATH)
    made = made_turns(turns, turns, users, events)
    expected = bins_so_far(spec, made)
    assert min(expected[-1][name] for name in ("applied", "duplicate", "dead_letter/too_late")) > events / 50
    told = served(pubsub, valkey, tmp_path, spec, made, expected)

    write_history(tmp_path, made)
    ended = run_command(
        *("training-set", "--spec", SPEC_PATH, "--input", tmp_path / "events.parquet"),
        *("--labels", tmp_path / "labels.parquet", "--out", tmp_path / "rows"),
        timeout_s=600,
    )
    assert ended.returncode == 0, ended.stderr
    rows = pq.read_table(tmp_path / "rows").sort_by("label_row")

    assert len(rows) == turns * users
    compared, different, first = 0, [], 0
    for batch in told:
        answers = rows.slice(first, len(batch))
        first += len(batch)
        assert answers["user_id"].to_pylist() == list(batch.users)
        assert answers["present"].to_pylist() == batch.present.tolist()
        for name, differing in differences(batch, answers):
            compared += len(batch)
            different += [(name, batch.as_of_us, batch.users[row]) for row in differing]
    print(f"{compared:,} pairs of a label and an output: {len(different):,} differ")
    assert different == []
    assert compared >= pairs


def served(
    pubsub: PubSubEmulator,
    valkey: Valkey,
    folder: Path,
    spec: LoadedSpec,
    turns: list[Turn],
    expected: list[Counter[str]],
) -> list[UserStateBatch]:
    """Run the pipeline while events are published, a turn at a time, and return what the client says after each."""
    name = f"history-{uuid.uuid4().hex[:8]}"
    topic = pubsub.create_topic(name)
    subscription = pubsub.create_subscription(name, topic, ack_deadline_s=60)
    bodies = SingleObject(spec.schema.original)
    arguments = [
        *("--spec", SPEC_PATH, "--input", f"pubsub://{subscription}", "--redis", valkey.url),
        *("--publish_time_attribute", "published", "--dead-letters", folder / "dead"),
    ]
    told = []
    with (
        running_pipeline(*arguments, output=folder / "run.log") as pipeline,
        UserStateClient.from_url(valkey.url, spec, timeout_s=10) as client,
    ):
        pipeline.wait_until_started()
        for turn, bins in zip(turns, expected, strict=True):
            pubsub.publish(
                topic,
                [bodies.encode({**one, "published_at": None}) for one in turn.events],
                [{"published": str(one["published_at"])} for one in turn.events],
            )
            wait_until_stored(pipeline, bins)
            told += [client.get_many(who, at_us) for at_us, who in turn.asked.items()]
            assert not any(batch.errors for batch in told)
        assert pipeline.drain().applied == expected[-1]["applied"]
    return told


def write_history(folder: Path, turns: list[Turn]) -> None:
    """Write the events, as a warehouse would have them, and the labels."""
    events = [one for turn in turns for one in turn.events]
    columns = {name: [one[name] for one in events] for name in events[0]}
    for name in ("event_time", "published_at"):
        columns[name] = pa.array(columns[name], TIME)
    pq.write_table(pa.table(columns), folder / "events.parquet")
    asked = [(user, at_us) for turn in turns for at_us, who in turn.asked.items() for user in who]
    users, times = map(list, zip(*asked, strict=True))
    pq.write_table(pa.table({"user_id": users, "event_time": pa.array(times, TIME)}), folder / "labels.parquet")


def differences(batch: UserStateBatch, rows: pa.Table) -> list[tuple[str, list[int]]]:
    """Return (output, rows that differ) for every output, in the order of the batch."""
    found = []
    for column, name in enumerate(batch.names):
        found.append((name, unequal(batch.values[:, column], rows[name].to_numpy())))
    for name, values in {**batch.arrays, **batch.embeddings}.items():
        flat = rows[name].combine_chunks()
        found.append((name, unequal(values, np.asarray(flat.flatten()).reshape(len(flat), -1))))
    for name, padded in batch.sequences.items():
        fields = {
            field: listed(rows[field]) for field in rows.column_names if field == name or field.startswith(f"{name}.")
        }
        differing = []
        for row in range(len(rows)):
            said = padded.of_user(row)
            entries = said if isinstance(said, dict) else {None: said}
            of_history = {field.partition(".")[2] or None: values[row] for field, values in fields.items()}
            if entries.keys() != of_history.keys() or not all(alike(entries[one], of_history[one]) for one in entries):
                differing.append(row)
        found.append((name, differing))
    return found


def unequal(told: npt.NDArray[np.float32], of_history: npt.NDArray[np.float32]) -> list[int]:
    """Return the rows that differ by more than the order of additions explains."""
    near = np.isclose(told, of_history, rtol=1e-5, atol=1e-6, equal_nan=True)
    return np.flatnonzero(~near.reshape(len(near), -1).all(axis=1)).tolist()


def listed(column: pa.ChunkedArray) -> list[list[Any]]:
    """Return the lists of a column; times as microseconds, as the client has them."""
    lists = column.combine_chunks()
    values = lists.flatten()
    plain = values.cast(pa.int64()) if pa.types.is_timestamp(values.type) else values
    ends = np.cumsum(lists.value_lengths().to_numpy())
    items = plain.to_pylist()
    return [items[end - length : end] for end, length in zip(ends, lists.value_lengths().to_pylist(), strict=True)]


def alike(told: list[Any], of_history: list[Any]) -> bool:
    """Return whether two lists are the same, numbers up to the order of additions."""
    return len(told) == len(of_history) and all(
        math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-6) if isinstance(other, float) else one == other
        for one, other in zip(told, of_history, strict=True)
    )
