"""The alerts: when somebody has to look, by what expression it shows, and how soon.

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
        name: what it is called, and its section in the runbook.
        severity: `page` for what somebody has to see at once, `ticket` for what can wait for the morning.
        lasting: how long the expression has to hold.
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
    """Return PromQL for the rate of one counter as a share of another's; nothing while the other rests."""
    return f"user_state:{of}:rate / (user_state:{to}:rate > 0)"


def rate_of_all(*counters: str) -> str:
    """Return PromQL for the rate of several counters together; one that was never counted is none."""
    return " + ".join(f"(user_state:{counter}:rate or user_state:read:rate * 0)" for counter in counters)


BINS = ("applied", "duplicate", "ignored", "expired", "dead_letter", "given_back")
ALERTS = (
    Alert(
        "PipelineAbsent",
        "page",
        "5m",
        "absent(user_state:read:rate)",
        "No pipeline reports: none runs, or its metrics are not scraped.",
    ),
    Alert(
        "JobRestarting",
        "page",
        "1m",
        "increase(flink_jobmanager_job_numRestarts[15m]) > 3",
        "The Flink job has started again more than three times within a quarter of an hour.",
    ),
    # Counters come at the end of a bundle, so those of one that waits are not seen: what Flink knows of itself is.
    Alert(
        "FoldingStalls",
        "page",
        "1m",
        'max by (job_name) (flink_taskmanager_job_task_busyTimeMsPerSecond{task_name=~".*FoldInto.*"}) > 900'
        f" and on (job_name) ({rate_of_all('applied', 'duplicate')}) == 0",
        "Bundles are open and nothing is folded: Redis is away, full or read-only, or workers hang.",
    ),
    Alert(
        "StoreUnavailable",
        "page",
        "2m",
        "user_state:store_unavailable:rate > 0",
        "Redis was away, full, read-only or too slow to answer, again and again: bundles waited for it.",
    ),
    Alert(
        "RedisLostData",
        "page",
        "0m",
        f"{rate_of_all('redis_went_back', 'records_lost', 'ids_lost')} > 0",
        "Redis has lost data that it had confirmed; features are wrong until the subscription is sought back.",
    ),
    Alert(
        "FeaturesLate",
        "page",
        "10m",
        f"{p99('publish_to_readable_ms')} > 30000",
        "One event in a hundred takes more than 30 s from publishing until readers see it.",
    ),
    Alert(
        "BacklogGrows",
        "page",
        "10m",
        "user_state:source_lag_ms:max > 60000",
        "The oldest message that is pulled is more than a minute old: more comes than is folded.",
    ),
    Alert(
        "EventsUnaccounted",
        "ticket",
        "15m",
        f"(user_state:read:rate - ({rate_of_all(*BINS)})) / (user_state:read:rate > 0) > 0.02",
        "Messages are read that end in no bin: they are in flight for too long, or come again and again.",
    ),
    Alert(
        "DeadLetters",
        "ticket",
        "10m",
        f"{share('dead_letter')} > 0.01",
        "More than 1 % of the messages end as dead letters.",
    ),
    Alert(
        "DeadLettersUnavailable",
        "page",
        "5m",
        "user_state:dead_letters_unavailable:rate > 0",
        "Dead letters cannot be stored; their messages stay unacknowledged and come again, or bundles wait.",
    ),
    Alert(
        "HotUsers",
        "ticket",
        "15m",
        'user_state:dead_letter_by:rate{member="hot_user"} > 0',
        "Somebody sends more events a second than --user_events_per_second allows, and has for a while.",
    ),
    Alert(
        "ManyDuplicates",
        "ticket",
        "15m",
        f"{share('duplicate')} > 0.2",
        "More than a fifth of the messages had been folded before: sent twice, or delivered again.",
    ),
    Alert(
        "ManyConflicts",
        "ticket",
        "15m",
        f"{share('conflicts', 'writes')} > 0.05",
        "More than 5 % of the writes found that somebody else had been faster.",
    ),
    Alert(
        "RedisSlow",
        "ticket",
        "10m",
        f"{p99('redis_replace_ms')} > 500 or {p99('redis_read_ms')} > 500",
        "One Redis call in a hundred takes more than half a second.",
    ),
    Alert(
        "RecordsLarge",
        "ticket",
        "30m",
        f"{p99('largest_write_bytes')} > 262144",
        "Some users' records with their remembered ids are larger than 256 KiB.",
    ),
    Alert(
        "HorizonShortened",
        "ticket",
        "15m",
        "user_state:horizon_shortened:rate > 0",
        "Users send more events than ids are remembered; their late events are refused sooner than the spec says.",
    ),
    Alert(
        "RedisLostData",
        "page",
        "0m",
        "user_state:redis_went_back:rate > 0 or user_state:records_lost:rate > 0",
        "Redis no longer has what it had confirmed: it was restarted, flushed or failed over, or records were deleted.",
    ),
    Alert(
        "RememberedIdsLost",
        "ticket",
        "5m",
        "user_state:ids_lost:rate > 0",
        "Redis has lost users' remembered ids and kept their records; events up to each user's last are refused.",
    ),
    Alert(
        "AcknowledgementsFail",
        "ticket",
        "10m",
        "user_state:unacknowledged:rate > 0",
        "Pub/Sub does not take acknowledgements; the messages come again and are known by their ids.",
    ),
)
