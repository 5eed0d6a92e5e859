"""What a training set says is what the client was told: the pipeline runs, and is asked at the labels' own moments.

Events come through Pub/Sub into `user-state run`, in turns, late, doubled and out of order. After each turn the client
is asked for every output of every user of that turn, at a moment between the turn's last publishing and the next one's
first. Then `user-state training-set` is given all events as a file, and those users and moments as labels.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
import time
import uuid
from collections import Counter
from collections.abc import Mapping
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
from user_state.results import UserState, UserStateBatch
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


def arrivals_of(turns: list[Turn]) -> list[oracle.Arrival]:
    """Return all events as they arrived: as messages with a publish time."""
    return [oracle.Arrival({**one, "published_at": None}, one["published_at"]) for turn in turns for one in turn.events]


def bins_so_far(spec: LoadedSpec, turns: list[Turn]) -> list[Counter[str]]:
    """Return what must have become of all events by the end of each turn."""
    bins = iter(oracle.replay(spec.spec, arrivals_of(turns)).bins)
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
    bins = bins_so_far(spec, made)
    assert min(bins[-1][name] for name in ("applied", "duplicate", "dead_letter/too_late")) > events / 50
    told = served(pubsub, valkey, tmp_path, spec, made, bins)

    write_history(tmp_path, made)
    ended = run_command(
        *("training-set", "--spec", SPEC_PATH, "--input", tmp_path / "events.parquet"),
        *("--labels", tmp_path / "labels.parquet", "--out", tmp_path / "rows"),
        timeout_s=600,
    )
    assert ended.returncode == 0, ended.stderr
    rows = pq.read_table(tmp_path / "rows").sort_by("label_row")

    assert len(rows) == turns * users
    applied = oracle.replay(spec.spec, arrivals_of(made)).applied
    compared, apart, first = 0, Counter[str](), 0
    for batch in told:
        answers = rows.slice(first, len(batch))
        first += len(batch)
        assert answers["user_id"].to_pylist() == list(batch.users)
        assert answers["present"].to_pylist() == batch.present.tolist()
        of_history = states_of(batch, answers)
        for at, state in enumerate(of_history):
            names = differing(batch[at], state)
            compared += sum(map(len, outputs_of(state)))
            if names:
                events_by_then = [one for one in applied[state.user] if one.published_us < batch.as_of_us]
                expected = oracle.features(spec.spec, events_by_then, batch.as_of_us, {})
                for name in names:
                    apart[name] += 1
                    for said in (batch[at], state):
                        assert is_within_bounds(said, expected, name), (name, said.user, batch.as_of_us)
    print(f"{compared:,} pairs of a label and an output; within their bounds, but not the same: {dict(apart)}")
    assert compared >= pairs
    assert sum(apart.values()) < compared / 50


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
    arguments: list[str | Path] = [
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


def states_of(batch: UserStateBatch, rows: pa.Table) -> list[UserState]:
    """Return the rows of a training set in the form in which the client gives the same outputs."""
    values = {name: rows[name].to_pylist() for name in batch.names}
    vectors = {name: matrix(rows[name]) for name in (*batch.arrays, *batch.embeddings)}
    lists = {
        name: {
            field.removeprefix(name).removeprefix("."): listed(rows[field])
            for field in rows.column_names
            if field == name or field.startswith(f"{name}.")
        }
        for name in batch.sequences
    }
    return [
        dataclasses.replace(
            batch[row],
            features={name: column[row] for name, column in values.items()},
            arrays={name: vectors[name][row] for name in batch.arrays},
            embeddings={name: vectors[name][row] for name in batch.embeddings},
            sequences={
                name: fields[""][row] if "" in fields else {field: column[row] for field, column in fields.items()}
                for name, fields in lists.items()
            },
        )
        for row in range(len(batch))
    ]


def matrix(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    """Return (n, size) of a column of lists of one size."""
    return np.asarray(column.combine_chunks().flatten()).reshape(len(column), -1)


def listed(column: pa.ChunkedArray) -> list[list[Any]]:
    """Return the lists of a column; times as microseconds, as the client has them."""
    lists = column.combine_chunks()
    values, lengths = lists.flatten(), lists.value_lengths().to_pylist()
    items = (values.cast(pa.int64()) if pa.types.is_timestamp(values.type) else values).to_pylist()
    return [items[end - length : end] for end, length in zip(itertools.accumulate(lengths), lengths, strict=True)]


def outputs_of(state: UserState) -> tuple[Mapping[str, Any], ...]:
    """Return the outputs of a user by kind: by name."""
    return state.features, state.arrays, state.sequences, state.embeddings


def differing(told: UserState, of_history: UserState) -> list[str]:
    """Return the outputs that differ, by more than the order of additions explains."""
    found = []
    for one, other in zip(outputs_of(told), outputs_of(of_history), strict=True):
        assert one.keys() == other.keys()
        found += [name for name in one if not alike(one[name], other[name])]
    return found


def alike(told: Any, of_history: Any) -> bool:
    """Return whether two values of an output are the same, numbers up to the order of additions."""
    if isinstance(told, dict):
        return told.keys() == of_history.keys() and all(alike(told[one], of_history[one]) for one in told)
    if isinstance(told, list) and told and not isinstance(told[0], float):
        return bool(told == of_history)
    one, other = np.asarray(told, float), np.asarray(of_history, float)
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-5, atol=1e-6, equal_nan=True))


def is_within_bounds(state: UserState, expected: oracle.Expected, name: str) -> bool:
    """Return whether an output is one that its stated bounds allow; those without bounds are exact."""
    if name in expected.accepts:
        return bool(expected.accepts[name](state.sequences[name]))
    if name not in expected.bounds:
        return False
    (value,) = (outputs[name] for outputs in outputs_of(state) if name in outputs)
    low, high = (np.asarray(bound, np.float32) for bound in expected.bounds[name])
    return bool(np.all((low <= value) & (value <= high)))
