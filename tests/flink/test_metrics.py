"""Flink's Prometheus reporter exports what rules and dashboard ask for, under these names, and the sums are right."""

import re
import time
import uuid
from collections import defaultdict
from pathlib import Path

import pytest

from beam_pipelines.observability.prometheus import EXPORTED
from tests.pipelines.traffic import make_traffic, publish, run_arguments
from tests.servers.flink import Flink
from tests.servers.pipeline import running_pipeline
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey
from transforms.metrics import METRICS
from user_state.events.screening import KEEPING_DAYS

pytestmark = [pytest.mark.pubsub, pytest.mark.slow]

EVENTS = 5_000
RARE = {
    "unacknowledged",
    *(f"dead_letter_{reason}" for reason in ("invalid", "from_future", "bad_record", "oversized", "hot_user")),
    *("learned_pairs", "learned_pairs_again", "learned_pairs_refused", "item_writes", "item_conflicts"),
    *("stale_views", "users_expired"),
    *(f"expired_needing_{days}d" for days in KEEPING_DAYS),
}
"""What a calm run of this traffic, with a spec that learns no items and records in Redis, has no occasion to count."""


def _scraped(flink: Flink, job_id: str) -> dict[str, float]:
    """Return the sums over subtasks of one job's metrics of ours, by name."""
    found: dict[str, float] = defaultdict(float)
    for line in flink.scrape().splitlines():
        sample = re.fullmatch(rf"{EXPORTED}(\w+)\{{(.*)\}} (\S+)", line)
        if sample is not None and f'job_id="{job_id}"' in sample[2]:
            found[sample[1]] += float(sample[3])
    return found


def test_every_metric_of_the_list_is_exported_under_its_name_and_adds_up(
    flink: Flink, pubsub: PubSubEmulator, valkey: Valkey, tmp_path: Path
):
    traffic = make_traffic(tmp_path, events=EVENTS, users=100, seed=5)
    name = f"metrics-{uuid.uuid4().hex[:8]}"
    topic = pubsub.create_topic(name)
    subscription = pubsub.create_subscription(name, topic, ack_deadline_s=60)
    publish(traffic, topic)
    arguments = [*run_arguments(traffic, subscription, valkey.url, tmp_path / "dead"), *flink.run_arguments]

    with running_pipeline(*arguments, output=tmp_path / "run.log") as pipeline:
        pipeline.wait_for_read(EVENTS)
        job = re.search(r"Flink job (\w+)", pipeline.output)
        assert job is not None
        until = time.monotonic() + 30
        while (found := _scraped(flink, job[1])).get("read") != EVENTS or not _accounted(found):
            assert time.monotonic() < until, found
            time.sleep(0.5)
        pipeline.drain()

    listed = {one for metric in METRICS for kind, one in metric.beam_names() if kind != "distribution"}
    assert listed - RARE - found.keys() == set()
    # Beam's distributions are no numbers to the reporter, which says 0: why histograms are counters.
    assert {name: value for name, value in found.items() if name not in listed} == dict.fromkeys(
        (metric.name for metric in METRICS if metric.kind == "histogram"), 0.0
    )
    assert found["dead_letter"] == found["dead_letter_undecodable"] + found["dead_letter_too_late"] > 0
    assert found["publish_to_readable_ms_count"] == found["event_to_readable_ms_count"] == found["applied"]
    assert found["publish_to_readable_ms_le_300000"] == found["applied"] > found["writes"] > 0
    assert found["rows_per_fold_sum"] == found["applied"] + found["duplicate"] + found["dead_letter_too_late"]
    assert found["bytes_written"] >= found["largest_write_bytes_sum"] > 0
    assert found["redis_replace_ms_count"] >= found["redis_replace_ms_le_2000"] >= found["redis_replace_ms_le_2"]
    assert found["redis_replace_ms_count"] > 0


def _accounted(found: dict[str, float]) -> bool:
    return found["read"] == sum(found[name] for name in ("applied", "duplicate", "ignored", "expired", "dead_letter"))
