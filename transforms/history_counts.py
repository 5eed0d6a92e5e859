"""What a backfill on Beam counts beside the bins: its own accounting, read once at its end.

These are not in the list of `transforms.metrics`, of which dashboards and alerts are made: they are for streams, and a
batch has an end.
"""

from __future__ import annotations

from collections.abc import Mapping

from apache_beam.metrics import Metrics

from transforms.metrics import NAMESPACE
from user_state.backfill.judge import AFTER_UNTIL, EXPIRED, IGNORED, OTHER_USERS

FATES = (OTHER_USERS, AFTER_UNTIL, IGNORED, EXPIRED)
"""Fates of events that are no dead letters, but in no shard."""
FATE = "backfill_"
"""What the counters of these begin with."""
SHARDS = "backfill_shards"
"""Counter of the shards that have events."""
LATEST_S = "latest_publish_time_s"
"""A distribution: publish times of events that are folded, the latest of each batch, seconds, rounded up."""


def count_fates(counts: Mapping[str, int], latest_us: int) -> None:
    """Count what became of some events, and the latest publish time of those that are folded, microseconds UTC."""
    for name in FATES:
        Metrics.counter(NAMESPACE, f"{FATE}{name}").inc(counts.get(name, 0))
    Metrics.distribution(NAMESPACE, LATEST_S).update(-(-latest_us // 1_000_000))


def count_shard() -> None:
    """Count a shard that has events."""
    Metrics.counter(NAMESPACE, SHARDS).inc()
