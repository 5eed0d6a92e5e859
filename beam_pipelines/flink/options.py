"""How the pipeline runs on Flink, and what that is in Beam's options.

With state `redis` nothing needs a checkpoint: records live in Redis, and a message is acknowledged where it was folded.
A job that starts again reads on from the subscription; what was in flight comes again and is folded once. So there
are no checkpoints unless asked for. With state `runner` records live in checkpoints, and a message is acknowledged when
it is in one. Either way the job starts again as often as it takes, whatever the cluster's default.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipelines.defaults import with_defaults
from user_state.errors import InputError

ENVIRONMENT_OPTION = "user_state_environment"
"""Beam option that carries environment variables to `beam_pipelines.flink.worker`, as JSON."""

CARRIED = ("PUBSUB_EMULATOR_HOST",)
LOOPBACK = "loopback"
TESTED_VERSION = "1.19"
CHECKPOINT_INTERVAL_S = 10.0
"""With state `runner`: a message is acknowledged about three of these, and as long pauses, after it was read."""
RETRIES = 2**31 - 1
RETRY_DELAY_MS = 1000

RUNNER_OPTIONS = (
    *("auto_watermark_interval", "checkpoint_timeout_millis", "checkpointing_interval", "checkpointing_mode"),
    *("execution_retry_delay", "job_check_interval_in_secs", "latency_tracking_interval", "max_bundle_size"),
    *("max_bundle_time_mills", "min_pause_between_checkpoints", "num_concurrent_checkpoints"),
    *("number_of_execution_retries", "savepoint_path", "shutdown_sources_after_idle_ms", "state_backend"),
    "state_backend_storage_path",
)
RUNNER_FLAGS = (
    *("allow_non_restored_state", "disable_metrics", "enable_stable_input_drain", "fail_on_checkpointing_errors"),
    *("faster_copy", "finish_bundle_before_checkpointing", "force_unaligned_checkpoint_enabled", "object_reuse"),
    *("retain_externalized_checkpoints_on_cancellation", "unaligned_checkpoint_enabled"),
)


class FlinkJobOptions(PipelineOptions):
    """What Beam's Flink runner, which is Java, takes beside the options that Beam's Python side knows; and our own."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        for name in (*RUNNER_OPTIONS, ENVIRONMENT_OPTION):
            parser.add_argument(f"--{name}")
        for name in RUNNER_FLAGS:
            parser.add_argument(f"--{name}", action="store_true", default=None)


@dataclass(frozen=True)
class FlinkSettings:
    """How the pipeline runs on Flink.

    Attributes:
        rest: address of the cluster's REST interface.
        job_endpoint: host:port of Beam's job server.
        worker_pool: host:port, as a TaskManager sees it, of the worker pool beside it; or `loopback`: workers are
            threads of the process that submits.
        parallelism: task slots to use; None for all that are free.
        checkpoint_interval_s: pause between checkpoints, seconds; 0 for none, None for what the state needs.
        bundle_ms: longest a bundle stays open, milliseconds: a source reads on when its bundle is closed.
        savepoint_path: the savepoint to go on from.
        savepoint_dir: where the savepoint of a stop goes; None for where the cluster puts them.
        version: the version of Flink that is meant, major and minor.
        bundle_elements: most elements of a bundle; an element is a pull's messages of one shard.
    """

    rest: str = "localhost:8081"
    job_endpoint: str = "localhost:8099"
    worker_pool: str = "localhost:50000"
    parallelism: int | None = None
    checkpoint_interval_s: float | None = None
    bundle_ms: int = 100
    savepoint_path: str | None = None
    savepoint_dir: str | None = None
    version: str = TESTED_VERSION
    bundle_elements: int = 1000


def beam_arguments(
    settings: FlinkSettings, job_name: str, parallelism: int, given: Sequence[str], environment: Mapping[str, str]
) -> list[str]:
    """Return Beam's arguments for these settings; an option of `given` takes the place of ours of the same name.

    Args:
        settings: what we would have.
        job_name: the name of the Flink job.
        parallelism: task slots to use.
        given: the user's own arguments for Beam.
        environment: the environment of the process that submits.
    """
    ours = {
        "runner": "PortableRunner",
        "job_name": job_name,
        "job_endpoint": settings.job_endpoint,
        "job_server_timeout": "60",
        "parallelism": str(parallelism),
        "sdk_worker_parallelism": str(parallelism),  # one Python process a slot: a process computes on one core
        "max_bundle_size": str(settings.bundle_elements),
        "max_bundle_time_mills": str(settings.bundle_ms),
        "number_of_execution_retries": str(RETRIES),
        "execution_retry_delay": str(RETRY_DELAY_MS),
        # Or the job would not end when it is drained.
        "shutdown_sources_after_idle_ms": "0",
    }
    if settings.worker_pool == LOOPBACK:
        ours |= {"environment_type": "LOOPBACK", "sdk_worker_parallelism": "1"}
    else:
        ours |= {"environment_type": "EXTERNAL", "environment_config": settings.worker_pool}
    flags = ["faster_copy"]
    if settings.checkpoint_interval_s:
        interval_ms = str(round(settings.checkpoint_interval_s * 1000))
        # As long a pause as the interval: under load, checkpoints must not take all there is.
        ours |= {"checkpointing_interval": interval_ms, "min_pause_between_checkpoints": interval_ms}
        # Once the step that starts the source has ended, the source runs in its task's last breath, which no checkpoint
        # barrier reaches. So that step lives on; the job does not end by itself then, it is ended.
        del ours["shutdown_sources_after_idle_ms"]
        # They outlive a job that is cancelled, so that it can go on from the last.
        flags.append("retain_externalized_checkpoints_on_cancellation")
        # Or what a bundle brings that a checkpoint closes would wait for the step's next bundle, and after the one
        # element that names the readers none comes: the job would never read.
        flags.append("finish_bundle_before_checkpointing")
    if settings.savepoint_path:
        ours["savepoint_path"] = settings.savepoint_path
    carried = {name: environment[name] for name in CARRIED if environment.get(name)}
    if carried:
        ours[ENVIRONMENT_OPTION] = json.dumps(carried)
    return with_defaults(ours, flags, given)


def with_state(settings: FlinkSettings, state: str) -> FlinkSettings:
    """Return settings complete for where the truth lives, `redis` or `runner`.

    Raises:
        InputError: they do not go together.
    """
    if state == "redis":
        if settings.savepoint_path or settings.savepoint_dir:
            raise InputError(
                "expected --state runner with --savepoint_path and --savepoint_dir, got --state redis: its records live"
                " in Redis, and a run goes on from there by itself"
            )
        return replace(settings, checkpoint_interval_s=settings.checkpoint_interval_s or 0)
    if settings.worker_pool == LOOPBACK:
        raise InputError(
            "expected --worker_pool host:port with --state runner, got loopback: workers that are threads of this"
            " command end when it is asked to stop, before the savepoint is taken"
        )
    if settings.checkpoint_interval_s == 0:
        raise InputError(
            "expected a --checkpoint_interval above 0 with --state runner, got 0: records live in checkpoints, and"
            " messages are acknowledged when they are in one"
        )
    return replace(settings, checkpoint_interval_s=settings.checkpoint_interval_s or CHECKPOINT_INTERVAL_S)


def apply_environment(text: str) -> None:
    """Set what `beam_arguments` carried, in a worker."""
    for name, value in json.loads(text).items():
        if name in CARRIED:
            os.environ[name] = str(value)
