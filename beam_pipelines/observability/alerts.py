"""The alerts: their PromQL expressions, durations and severities.

Expressions are PromQL over the names that `prometheus` records. Each alert has a section of its name in
docs/runbook.md. Thresholds are starting points: change them here, then `make docs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RUNBOOK = "docs/runbook.md"


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes:
        name: also the title of its section in the runbook.
        severity: `page` if it needs attention at once, `ticket` if it can wait until the morning.
        lasting: how long the expression must hold before the alert fires.
        expression: PromQL.
        summary: one sentence.
    """

    name: str
    severity: Literal["page", "ticket"]
    lasting: str
    expression: str
    summary: str


def p99(histogram: str) -> str:
    """Return PromQL for the 99th percentile of a histogram."""
    return f"histogram_quantile(0.99, user_state:{histogram}_bucket:rate)"


def share(of: str, to: str = "read") -> str:
    """Return PromQL for the rate of one counter as a share of another's; no value while the other is 0."""
    return f"user_state:{of}:rate / (user_state:{to}:rate > 0)"


def rate_of_all(*counters: str) -> str:
    """Return PromQL for the rate of several counters together; one that was never counted is 0."""
    return " + ".join(f"(user_state:{counter}:rate or user_state:read:rate * 0)" for counter in counters)


BINS = ("applied", "duplicate", "ignored", "expired", "dead_letter", "given_back")
ALERTS = (
    Alert(
        "PipelineAbsent",
        "page",
        "5m",
        "absent(user_state:read:rate)",
        "No metrics: no pipeline runs, or its metrics are not scraped.",
    ),
    Alert(
        "JobRestarting",
        "page",
        "1m",
        "increase(flink_jobmanager_job_numRestarts[15m]) > 3",
        "The Flink job restarted more than three times in 15 minutes.",
    ),
    # Counters are exported at the end of a bundle, so a waiting bundle shows none. Flink's own metrics are still there.
    Alert(
        "FoldingStalls",
        "page",
        "1m",
        'max by (job_name) (flink_taskmanager_job_task_busyTimeMsPerSecond{task_name=~".*FoldInto.*"}) > 900'
        f" and on (job_name) ({rate_of_all('applied', 'duplicate')}) == 0",
        "Bundles are open and nothing is folded: Redis is unavailable, full or read-only, or workers hang.",
    ),
    Alert(
        "StoreUnavailable",
        "page",
        "2m",
        "user_state:store_unavailable:rate > 0",
        "Redis was repeatedly unavailable, full, read-only or too slow: bundles wait for it.",
    ),
    Alert(
        "RegistryUnavailable",
        "page",
        "2m",
        "user_state:registry_unavailable:rate > 0",
        "The schema registry gave no schema of an id that events have: their messages wait for it.",
    ),
    Alert(
        "RedisLostData",
        "page",
        "0m",
        f"{rate_of_all('redis_went_back', 'records_lost', 'ids_lost')} > 0",
        "Redis lost confirmed data; features are wrong until the subscription is sought back.",
    ),
    Alert(
        "FeaturesLate",
        "page",
        "10m",
        f"{p99('publish_to_readable_ms')} > 30000",
        "One percent of events takes more than 30 s from publishing until readers see it.",
    ),
    Alert(
        "BacklogGrows",
        "page",
        "10m",
        "user_state:source_lag_ms:max > 60000",
        "The oldest pulled message is more than a minute old: more is published than folded.",
    ),
    Alert(
        "EventsUnaccounted",
        "ticket",
        "15m",
        f"(user_state:read:rate - ({rate_of_all(*BINS)})) / (user_state:read:rate > 0) > 0.02",
        "Messages are read but not counted in a bin: they are in flight too long, or redelivered repeatedly.",
    ),
    Alert(
        "DeadLetters",
        "ticket",
        "10m",
        f"{share('dead_letter')} > 0.01",
        "More than 1 % of the messages are dead letters.",
    ),
    Alert(
        "DeadLettersUnavailable",
        "page",
        "5m",
        "user_state:dead_letters_unavailable:rate > 0",
        "Dead letters cannot be stored; their messages stay unacknowledged and are redelivered, or bundles wait.",
    ),
    Alert(
        "HotUsers",
        "ticket",
        "15m",
        'user_state:dead_letter_by:rate{member="hot_user"} > 0',
        "A user has exceeded --user_events_per_second for some time.",
    ),
    Alert(
        "ManyDuplicates",
        "ticket",
        "15m",
        f"{share('duplicate')} > 0.2",
        "More than 20 % of the messages were folded before: published twice, or redelivered.",
    ),
    Alert(
        "ManyConflicts",
        "ticket",
        "15m",
        f"{share('conflicts', 'writes')} > 0.05",
        "More than 5 % of the writes conflict with another writer.",
    ),
    Alert(
        "RedisSlow",
        "ticket",
        "10m",
        f"{p99('redis_replace_ms')} > 500 or {p99('redis_read_ms')} > 500",
        "One percent of Redis calls takes more than 0.5 s.",
    ),
    Alert(
        "RecordsLarge",
        "ticket",
        "30m",
        f"{p99('largest_write_bytes')} > 262144",
        "Records of some users, with their remembered ids, are larger than 256 KiB.",
    ),
    Alert(
        "HorizonShortened",
        "ticket",
        "15m",
        "user_state:horizon_shortened:rate > 0",
        "Users exceed the cap of remembered ids; their late events are refused earlier than the spec says.",
    ),
    Alert(
        "RememberedIdsLost",
        "ticket",
        "5m",
        "user_state:ids_lost:rate > 0",
        "Redis lost remembered ids of users but kept their records; events up to each user's last event are refused.",
    ),
    Alert(
        "AcknowledgementsFail",
        "ticket",
        "10m",
        "user_state:unacknowledged:rate > 0",
        "Pub/Sub refuses acknowledgements; the messages are redelivered and recognised by their ids.",
    ),
)
