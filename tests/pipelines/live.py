"""What tests of live runs share: a subscription that can be sought back, a changed spec, waiting, and how runs end."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from pathlib import Path

from tests.pipelines.traffic import NAME, Expected, Traffic, events_in_redis
from tests.servers.pipeline import Pipeline
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey
from user_state.spec import load_spec


def subscribe(pubsub: PubSubEmulator, topic: str, ack_deadline_s: int = 10) -> str:
    """Create a subscription that can be sought back, to what is published from now on; return its full path."""
    name = f"sub-{uuid.uuid4().hex[:8]}"
    return pubsub.create_subscription(name, topic, ack_deadline_s, keeps_acknowledged=True)


def changed(traffic: Traffic, text: str, path: Path) -> Traffic:
    """Return the traffic with another spec, which is written to a file."""
    path.write_text(text)
    return replace(traffic, spec_path=path, spec=load_spec(path))


def wait_until_folded(pipeline: Pipeline, valkey: Valkey, expected: Expected) -> None:
    """Wait until Redis remembers as many events as are expected."""

    def folded() -> bool:
        return events_in_redis(valkey, expected.applied) >= expected.events_applied

    pipeline.wait_until(folded, f"{expected.events_applied:,} events to be folded")


def assert_superseded(pipeline: Pipeline) -> None:
    """Wait until the run ends by itself, and says why."""
    code = pipeline.wait_for_code()
    assert code == 2, pipeline.output[-4000:]
    assert f"error: another spec named {NAME} writes the records" in pipeline.output
    assert "run `user-state rollback`" in pipeline.output
    assert "Traceback" not in pipeline.output


def lost(pipeline: Pipeline, counter: str) -> int:
    """Return what the last line of a run says of a counter of losses."""
    found = re.search(rf"^Redis has lost data \(.*\b{counter} ([\d,]+)", pipeline.output, re.MULTILINE)
    return 0 if found is None else int(found[1].replace(",", ""))
