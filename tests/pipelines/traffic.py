"""Traffic for end-to-end tests: made as a user makes it, and what must have become of it.

The spec is the feed's with every kind of output, but nobody wants to know about skips: so the `ignored` bin is used.
The file spans three hours that end now. Through Pub/Sub every publish time is now; late events are up to 20 hours
older than that, so all of them are within the lateness of a day whichever way they come.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro

from tests.servers.pipeline import Accounting, run_command
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey
from user_state import oracle
from user_state.client import UserStateClient
from user_state.errors import EventError
from user_state.events.avro_files import SingleObject
from user_state.spec import LoadedSpec, load_spec
from user_state.state.envelope import version_of
from user_state.state.remembered_ids import BYTES_AN_ID, FORMAT, ids_beside
from user_state.store.keys import record_key, seen_key
from user_state.verify import verify

NAME = "feed"
SPEC_TEXT = f"""\
name: {NAME}
events:
  schema: interaction.avsc
  user: user_id
  id: event_id
  time: event_time
  published: published_at
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
timezone: UTC
features:
  views:
    aggregate: count
    where: {{action: view}}
    windows: [10m, 1h, 1d, 7d]
  engagements:
    aggregate: count
    where: {{action: [like, share]}}
    windows: [1h, 1d, lifetime]
  watch_time:
    aggregate: [sum, mean]
    of: value
    where: {{action: view}}
    windows: [1h, 1d, 7d]
  liked_creators:
    aggregate: last_k
    of: creator
    k: 5
    where: {{action: like}}
    windows: [1d]
sequences:
  recent:
    fields: [item_id, action, event_time]
    last: 50
    where: {{action: [view, like, share]}}
embeddings:
  taste:
    kind: decayed_mean
    of: item_id
    dimensions: 64
    half_life: [1h, 7d]
    weights: {{view: 1.0, like: 3.0, share: 5.0}}
"""
HOUR_US = 3600 * 1_000_000


@dataclass(frozen=True)
class Traffic:
    """A file of messages as `user-state generate` writes it, and the spec that reads it."""

    spec_path: Path
    spec: LoadedSpec
    path: Path
    messages: int


def make_traffic(
    folder: Path, *, events: int, users: int, seed: int, spec_text: str = SPEC_TEXT, more: Sequence[str | Path] = ()
) -> Traffic:
    """Write spec and traffic: 5 % twice, 5 % late, 1 % too late, 1 % corrupt, shuffled within ten minutes."""
    spec_path, path = folder / "user_state.yaml", folder / "traffic.avro"
    spec_path.write_text(spec_text)
    made = run_command(
        *("generate", "--users", str(users), "--events", str(events), "--seed", str(seed), "--out", path),
        *("--span", "3h", "--duplicates", "0.05", "--late", "0.05", "--too-late", "0.01", "--corrupt", "0.01"),
        *("--shuffle", "10m"),
        *more,
    )
    assert made.returncode == 0, made.stderr
    return Traffic(spec_path, load_spec(spec_path), path, events)


def publish(traffic: Traffic, topic: str, path: str | Path | None = None, rate: float | None = None) -> None:
    """Publish the traffic, or other files, to a topic (a full path), at most `rate` messages a second."""
    published = run_command(*publish_arguments(traffic, topic, path, rate))
    assert published.returncode == 0, published.stderr


def publish_arguments(
    traffic: Traffic, topic: str, path: str | Path | None = None, rate: float | None = None
) -> list[str | Path]:
    """Return the command line of `publish`."""
    arguments = ["publish", "--spec", traffic.spec_path, "--from", path or traffic.path, "--to", f"pubsub://{topic}"]
    return arguments if rate is None else [*arguments, "--rate", str(rate)]


def run_arguments(traffic: Traffic, source: str | Path, redis: str, dead_letters: Path) -> list[str | Path]:
    """Return what every `user-state run` needs; `source` is a file, or the full path of a subscription."""
    where = f"pubsub://{source}" if str(source).startswith("projects/") else source
    return [
        *("--spec", traffic.spec_path, "--input", where, "--redis", redis),
        *("--dead-letters", dead_letters, "--ack_deadline", "10"),
    ]


@dataclass(frozen=True)
class Expected:
    """What must have become of messages, by brute force.

    Attributes:
        applied: each user's applied events.
        accounting: what the accounting must say, if each message is read once.
        corrupt: how often each body that is no event was sent.
    """

    applied: Mapping[str, Sequence[oracle.AppliedEvent]]
    accounting: Accounting
    corrupt: Counter[bytes]

    @property
    def events_applied(self) -> int:
        """Return how many events are applied."""
        return self.accounting.applied


def expected_of_file(traffic: Traffic) -> Expected:
    """Return what must become of the file when it is run as a file, with the publish times it says."""
    with traffic.path.open("rb") as file:
        return _expected(traffic, map(_of_envelope, fastavro.reader(file)))


def expected_of_first(traffic: Traffic, messages: int, after: int = 0) -> Expected:
    """Return what must become of the first so many messages of the file, without those that they come after."""
    with traffic.path.open("rb") as file:
        first = itertools.islice(fastavro.reader(file), after, messages)
        return _expected(traffic, map(_of_envelope, first))


def expected_of_messages(traffic: Traffic, received: Iterable[Any]) -> Expected:
    """Return what must become of messages that another subscription has received, with their real publish times."""
    parts = ((r.message.data, dict(r.message.attributes), r.message.publish_time) for r in received)
    return _expected(traffic, ((data, said, oracle.microseconds(time)) for data, said, time in parts))


def _of_envelope(message: Any) -> tuple[bytes, dict[str, str], int]:
    return message["data"], message["attributes"], oracle.microseconds(message["publish_time"])


def _expected(traffic: Traffic, messages: Iterable[tuple[bytes, dict[str, str], int]]) -> Expected:
    schema = traffic.spec.schema
    bodies = SingleObject(schema.original, [version.original for version in schema.versions], schema.bodies)
    arrivals, corrupt = [], Counter[bytes]()
    for data, attributes, published_us in messages:
        try:
            arrivals.append(oracle.Arrival(bodies.decode(data, attributes), published_us))
        except EventError as exc:
            arrivals.append(oracle.Arrival(None, published_us, exc.reason))
            corrupt[data] += 1
    replay = oracle.replay(traffic.spec.spec, arrivals, now_us=time.time_ns() // 1000)
    reasons = {name.split("/")[1]: held for name, held in replay.counts.items() if name.startswith("dead_letter/")}
    accounting = Accounting(
        read=len(arrivals),
        **{name: replay.counts[name] for name in ("applied", "duplicate", "ignored")},
        dead_letters=sum(reasons.values()),
        reasons=reasons,
        balanced=True,
        expired=replay.counts.get("expired", 0),
    )
    return Expected(replay.applied, accounting, corrupt)


def assert_equals_brute_force(redis: Valkey, traffic: Traffic, expected: Expected) -> None:
    """Hold every output of every user in Redis against brute force, now and when windows have moved on."""
    with redis.client() as client:
        held = set(client.scan_iter("*:state", count=10_000))
    assert {record_key(NAME, user).encode() for user in expected.applied} == held
    now_us = time.time_ns() // 1000
    with UserStateClient.from_url(redis.url, traffic.spec, timeout_s=10) as client:
        for at_us in (now_us, now_us + 5 * HOUR_US):
            found = verify(client, traffic.spec, expected.applied, at_us)
            assert [str(difference) for difference in found.differences[:5]] == []
            assert len(expected.applied) == found.users
            assert found.values > 10 * found.users


def events_in_redis(redis: Valkey, users: Iterable[str]) -> int:
    """Return how many event ids Redis remembers, which is how many events it has folded."""
    names = list(users)
    with redis.client() as client, client.pipeline(transaction=True) as at_once:
        at_once.mget([record_key(NAME, user) for user in names])
        at_once.mget([seen_key(NAME, user) for user in names])
        records, seen = at_once.execute()
    ids = [ids_beside(stored, version_of(record)) for stored, record in zip(seen, records, strict=True)]
    return sum((len(one) - len(FORMAT)) // BYTES_AN_ID for one in ids if one is not None)


def writes_to_redis(redis: Valkey, users: Iterable[str]) -> int:
    """Return how often records were replaced, which their versions count."""
    with redis.client() as client:
        records = client.mget([record_key(NAME, user) for user in users])
    return sum(int.from_bytes(version_of(record)[:4], "big") for record in records)


def everything_in_redis(redis: Valkey) -> dict[bytes, tuple[Any, int]]:
    """Return every key with its raw bytes and when it expires, milliseconds UTC; what workers count is left out."""
    with redis.client() as client:
        keys = [key for key in client.scan_iter(count=10_000) if b":beat:" not in key]
        return {key: (client.dump(key), client.pexpiretime(key)) for key in keys}


def dead_letters(folder: Path) -> list[dict[str, Any]]:
    """Return every dead letter in a folder."""
    letters: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.avro")):
        with path.open("rb") as file:
            letters += fastavro.reader(file)
    return letters


def undecodable_bodies(letters: Iterable[Mapping[str, Any]]) -> Counter[bytes]:
    """Return how often each body lies in the dead letters because it cannot be decoded."""
    return Counter(letter["data"] for letter in letters if letter["reason"] == "undecodable")


def assert_all_acknowledged(pubsub: PubSubEmulator, subscription: str, ack_deadline_s: int = 10) -> None:
    """Wait until every lease has ended, and find that nothing comes again."""
    assert pubsub.pull_all(subscription, quiet_s=ack_deadline_s + 2) == []
