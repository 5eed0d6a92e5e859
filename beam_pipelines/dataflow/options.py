"""How the pipeline runs on Dataflow: what is set unless told otherwise, and what is refused before anything starts.

Options are Beam's own, by Beam's names (`--project`, `--region`, `--temp_location`, `--sdk_container_image`, ...), so
that whoever knows Dataflow knows them, and a Flex template passes them as they are.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
    WorkerOptions,
)

from beam_pipelines.defaults import with_defaults
from beam_pipelines.streaming import StreamingSettings
from transforms.pubsub_check import PUBSUB
from user_state.errors import InputError, shorten
from user_state.store.credentials import check_travels
from user_state.store.redis_url import parse_redis_url

RUNNER = "DataflowRunner"
MOST_WORKERS = 1000
JOB_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+")
_BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/.*)?")
_IMAGE = re.compile(r"[a-z0-9.:-]+/\S+(:[\w.-]+|@sha256:[0-9a-f]{64})")


def beam_arguments(name: str, given: Sequence[str]) -> list[str]:
    """Return Beam's arguments for a spec of this name; an option of `given` takes the place of ours."""
    ours = {
        "runner": RUNNER,
        "job_name": re.sub(r"[^a-z0-9]+", "-", f"user-state-{name}".lower()).strip("-"),
        "sdk_location": "container",  # the image has this package and Beam: nothing is staged or installed at start
        "autoscaling_algorithm": "THROUGHPUT_BASED",
    }
    # Streaming Engine is a flag, which may be given without a value. Runner v2, which Python streaming is, knows
    # nothing else.
    return with_defaults(ours, ["enable_streaming_engine"], given)


def check_options(options: PipelineOptions, settings: StreamingSettings) -> None:
    """Refuse what could not work on Dataflow.

    Raises:
        InputError: an option is missing or cannot be right; the message says which.
    """
    cloud, workers = options.view_as(GoogleCloudOptions), options.view_as(WorkerOptions)
    for option, value, shape, example in (
        ("--project", cloud.project, re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]"), "my-project"),
        ("--region", cloud.region, _REGION, "europe-west1"),
        ("--temp_location", cloud.temp_location, _BUCKET, "gs://my-bucket/temp"),
        ("--sdk_container_image", workers.sdk_container_image, _IMAGE, "europe-west1-docker.pkg.dev/p/r/user-state:1"),
        ("--job_name", cloud.job_name, JOB_NAME, "user-state-feed"),
    ):
        if value is None or not shape.fullmatch(value):
            raise InputError(f"expected {option} such as {example} to run on Dataflow, got {_shown(value)}")
    if not options.view_as(StandardOptions).streaming:
        raise InputError("expected a streaming pipeline on Dataflow, got --streaming=False")
    if not settings.input.startswith(PUBSUB):
        raise InputError(f"expected --input {PUBSUB}projects/P/subscriptions/S on Dataflow, got {settings.input}")
    if not settings.dead_letters.startswith(PUBSUB):
        raise InputError(
            f"expected --dead-letters {PUBSUB}projects/P/topics/T on Dataflow, where a worker's folder is gone with the"
            f" worker, got {settings.dead_letters}"
        )
    check_travels(settings.redis, "Dataflow")
    if _is_here(settings.redis):
        raise InputError("expected a --redis that Dataflow's workers can reach, got one of this machine")
    most = workers.max_num_workers or 0
    if not 1 <= most <= MOST_WORKERS:
        raise InputError(f"expected --max_num_workers of 1 to {MOST_WORKERS} on Dataflow, got {most or 'none'}")
    if settings.shards < most:
        raise InputError(
            f"expected --shards of at least --max_num_workers ({most}), better ten times that, got {settings.shards}:"
            " a shard is folded by one worker"
        )


def _shown(value: str | None) -> str:
    return "none" if value is None else shorten(value)


def _is_here(url: str) -> bool:
    parsed = parse_redis_url(url)
    if parsed.scheme == "unix" or parsed.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(parsed.host.strip("[]")).is_loopback
    except ValueError:
        return False
