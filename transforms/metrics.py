"""The list of all metrics. The counting code, the dashboard, the alerts and docs/metrics.md use it.

Three kinds, all of them Beam metrics in the namespace `user_state`, updated once a bundle and never once an event:

    counter    only grows
    gauge      the latest value
    histogram  counters, so that every runner's exporter can carry it: NAME_le_EDGE for values up to each edge (the
               larger include the smaller, as in Prometheus), NAME_count and NAME_sum; and Beam's distribution NAME of
               the largest value of each bundle

Few edges, since each is a time series for each step, and monitoring is billed by time series.

Why counters: Flink's Prometheus reporter exports Beam's distributions as 0, and a mean or maximum gives no quantile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from apache_beam.metrics import Metrics

from user_state.events.screening import KEEPING_DAYS

NAMESPACE = "user_state"

LATENCY_MS = (500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000)
CALL_MS = (2, 10, 50, 200, 500, 2_000)
ROWS = (1, 10, 100, 1_000, 10_000)
BYTES = (4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20)


@dataclass(frozen=True)
class Metric:
    """One thing that is measured.

    Attributes:
        name: in the namespace; the name of a family ends in `*`, which stands for its members.
        kind: see the top of this file.
        unit: what one is.
        step: where it is counted.
        meaning: one sentence, for docs/metrics.md and the panels.
        edges: of a histogram, ascending.
        members: of a family.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    step: str
    meaning: str
    edges: tuple[int, ...] = ()
    members: tuple[str, ...] = ()

    def beam_names(self) -> Iterator[tuple[str, str]]:
        """Yield (kind of Beam metric, name) of all that it consists of."""
        if self.kind != "histogram":
            yield from ((self.kind, self.name.replace("*", member)) for member in self.members or ("*",))
            return
        yield "distribution", self.name
        yield from (("counter", f"{self.name}_le_{edge}") for edge in self.edges)
        yield from (("counter", f"{self.name}_{end}") for end in ("count", "sum"))


METRICS = (
    Metric("read", "counter", "messages", "DecodeEvents", "Messages taken from the input."),
    Metric("applied", "counter", "messages", "FoldIntoRedis", "Bin: folded into a record and stored."),
    Metric(
        "duplicate",
        "counter",
        "messages",
        "FoldIntoRedis",
        "Bin: the event id was known: published twice, or redelivered.",
    ),
    Metric(
        "redelivered",
        "counter",
        "messages",
        "Read",
        "Pulled messages that Pub/Sub marks as redelivered; only for subscriptions with a dead-letter policy, otherwise"
        " always 0. On Dataflow the service drops redeliveries itself.",
    ),
    Metric("ignored", "counter", "messages", "DecodeEvents", "Bin: valid, but no output uses it."),
    Metric(
        "expired",
        "counter",
        "messages",
        "DecodeEvents",
        "Bin: older than `retention`; not stored, since its record would expire immediately.",
    ),
    Metric(
        "expired_needing_*",
        "counter",
        "messages",
        "DecodeEvents",
        "Expired events, by the shortest `retention` of this list that would keep them.",
        members=tuple(f"{days}d" for days in KEEPING_DAYS),
    ),
    Metric(
        "dead_letter",
        "counter",
        "messages",
        "WriteDeadLetters",
        "Bin: stored with its bytes and a reason.",
    ),
    Metric(
        "dead_letter_*",
        "counter",
        "messages",
        "WriteDeadLetters",
        "Dead letters with one reason.",
        members=("undecodable", "invalid", "too_late", "from_future", "bad_record", "oversized", "hot_user"),
    ),
    Metric(
        "given_back",
        "counter",
        "messages",
        "WriteDeadLetters",
        "Messages left unacknowledged because dead letters could not be stored; they are redelivered.",
    ),
    Metric(
        "dead_letters_unavailable",
        "counter",
        "tries",
        "WriteDeadLetters",
        "Failed attempts to store dead letters: the topic is missing or unavailable, or the disk is full.",
    ),
    Metric("writes", "counter", "records", "FoldIntoRedis", "Records replaced in Redis."),
    Metric("bytes_written", "counter", "bytes", "FoldIntoRedis", "Bytes of records and remembered ids written."),
    Metric(
        "conflicts",
        "counter",
        "records",
        "FoldIntoRedis",
        "Replacements refused because another writer was faster; folded again.",
    ),
    Metric(
        "horizon_shortened",
        "counter",
        "users",
        "FoldIntoRedis",
        "Times that the cap on remembered ids shortened a user's horizon.",
    ),
    Metric(
        "ids_lost",
        "counter",
        "users",
        "FoldIntoRedis",
        "Records whose remembered ids are lost in Redis: events up to the user's last event are not folded any more.",
    ),
    Metric(
        "records_lost",
        "counter",
        "users",
        "FoldIntoRedis",
        "Records missing in Redis, or older there than this worker had written: docs/recovery.md.",
    ),
    Metric(
        "redis_went_back",
        "counter",
        "times",
        "FoldIntoRedis",
        "Times that Redis no longer had data it had confirmed to a worker: restarted, flushed or failed over.",
    ),
    Metric(
        "stale_views",
        "counter",
        "records",
        "FoldIntoState",
        "With --state runner: writes refused because Redis has a newer record; a restored job catches up.",
    ),
    Metric(
        "users_expired",
        "counter",
        "users",
        "FoldIntoState",
        "With --state runner: users dropped at the end of their retention.",
    ),
    Metric(
        "store_unavailable",
        "counter",
        "tries",
        "FoldIntoRedis",
        "Attempts that found Redis unavailable, slow, full or read-only; the bundle waits.",
    ),
    Metric(
        "registry_unavailable",
        "counter",
        "tries",
        "DecodeEvents",
        "Attempts that got no answer from the schema registry (`encoding: confluent`); the messages wait.",
    ),
    Metric("learned_pairs", "counter", "pairs", "FoldIntoRedis", "Pairs folded into records of items."),
    Metric(
        "learned_pairs_again",
        "counter",
        "pairs",
        "FoldIntoRedis",
        "Pairs that were known already: after a conflict, or a crash between the two folds.",
    ),
    Metric(
        "learned_pairs_refused",
        "counter",
        "pairs",
        "FoldIntoRedis",
        "Pairs too late for their item: a part of the stream lags far behind, or the item is very busy.",
    ),
    Metric("item_writes", "counter", "records", "FoldIntoRedis", "Records of items replaced in Redis."),
    Metric(
        "item_conflicts",
        "counter",
        "records",
        "FoldIntoRedis",
        "Replacements of items refused because another worker was faster; folded again.",
    ),
    Metric(
        "publish_to_readable_ms",
        "histogram",
        "ms",
        "FoldIntoRedis",
        "From the publish time of an applied event until readers see it.",
        LATENCY_MS,
    ),
    Metric(
        "event_to_readable_ms",
        "histogram",
        "ms",
        "FoldIntoRedis",
        "From the event time of an applied event until readers see it, including delays of devices and networks.",
        LATENCY_MS,
    ),
    Metric("rows_per_fold", "histogram", "events", "FoldIntoRedis", "Events folded together: the bundle's size.", ROWS),
    Metric(
        "largest_write_bytes",
        "histogram",
        "bytes",
        "FoldIntoRedis",
        "The largest record of each fold, with its remembered ids.",
        BYTES,
    ),
    Metric(
        "redis_read_ms",
        "histogram",
        "ms",
        "FoldIntoRedis",
        "One pipelined read of the records that a fold needs and the worker has not cached.",
        CALL_MS,
    ),
    Metric(
        "redis_replace_ms",
        "histogram",
        "ms",
        "FoldIntoRedis",
        "One pipelined compare-and-set of a fold's records, confirmed as --durability asks.",
        CALL_MS,
    ),
    Metric(
        "source_lag_ms",
        "gauge",
        "ms",
        "Read",
        "Age of the oldest message in a reader's latest pull, 0 for an empty pull: the backlog as a time.",
    ),
    Metric("pulled_ahead", "gauge", "messages", "Read", "Messages that wait in a worker for a reader."),
    Metric(
        "unacknowledged",
        "counter",
        "messages",
        "any",
        "Acknowledgements that failed after retries: the messages are redelivered and recognised by their ids.",
    ),
)
BY_NAME = {metric.name: metric for metric in METRICS}


def metric_of(name: str) -> Metric:
    """Return the metric that counts under a name of ours.

    Raises:
        KeyError: nothing in the list does.
    """
    if name in BY_NAME:
        return BY_NAME[name]
    for metric in METRICS:
        if metric.name.endswith("*") and name.startswith(metric.name[:-1]):
            return metric
    raise KeyError(name)


@cache
def counter(name: str) -> Any:
    """Return Beam's counter of one of the list; made once, since a bundle counts in a dozen."""
    if metric_of(name).kind != "counter":
        raise KeyError(name)
    return Metrics.counter(NAMESPACE, name)


def gauge(name: str) -> Any:
    """Return Beam's gauge of one of the list."""
    if BY_NAME[name].kind != "gauge":
        raise KeyError(name)
    return Metrics.gauge(NAMESPACE, name)


class Histogram:
    """Counts values by size; make one in `setup`, call `observe` once a bundle, in a DoFn.

    Args:
        name: a histogram of the list.
    """

    def __init__(self, name: str) -> None:
        metric = BY_NAME[name]
        if metric.kind != "histogram":
            raise KeyError(name)
        self._edges = np.array(metric.edges, np.int64)
        self._buckets = [Metrics.counter(NAMESPACE, f"{name}_le_{edge}") for edge in metric.edges]
        self._count = Metrics.counter(NAMESPACE, f"{name}_count")
        self._sum = Metrics.counter(NAMESPACE, f"{name}_sum")
        self._largest = Metrics.distribution(NAMESPACE, name)

    def observe(self, values: Iterable[int] | npt.NDArray[np.int64]) -> None:
        """Count values; what lies below 0, as a clock set back makes it, counts as 0."""
        found = values if isinstance(values, np.ndarray) else np.array(list(values), np.int64)
        if len(found) == 0:
            return
        found = np.maximum(found, 0)
        for bucket, held in zip(self._buckets, cumulative(found, self._edges).tolist(), strict=True):
            bucket.inc(held)  # of 0 as well, so that a bucket is there before it is needed
        self._count.inc(len(found))
        self._sum.inc(int(found.sum()))
        self._largest.update(int(found.max()))


def cumulative(values: npt.NDArray[np.int64], edges: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return how many values are no larger than each edge.

    >>> cumulative(np.array([1, 5, 5, 99]), np.array([1, 5, 10])).tolist()
    [1, 3, 3]
    """
    return np.searchsorted(np.sort(values), edges, side="right").astype(np.int64)
