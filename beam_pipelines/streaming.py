"""The streaming graph: a source, decode, key by shard, fold in Redis, dead letters; acknowledged where stored.

    Read ──> Decode ──decoded──> [Coalesce] ──> Fold ──dead──> WriteRefused
                └─────dead─────> WriteUndecoded

Step labels are part of the product: runners keep state and metrics by them.
"""

from __future__ import annotations

import glob
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import apache_beam as beam

from transforms.coalesce import CoalesceShards
from transforms.decode_events import DEAD, DECODED, DecodeEvents
from transforms.fold_into_redis import FoldIntoRedis
from transforms.read_avro_files import ReadFromAvroFiles
from transforms.read_pubsub import ReadFromPubSubSubscription
from transforms.remote_run import RemoteRun
from transforms.write_dead_letters import WriteDeadLetters
from user_state.errors import InputError
from user_state.events.avro_blocks import BlockReader
from user_state.spec import LoadedSpec
from user_state.store.redis_store import RedisStateStore

PUBSUB = "pubsub://"


@dataclass(frozen=True)
class StreamingSettings:
    """How the streaming pipeline runs; what it computes is the spec's.

    Attributes:
        input: `pubsub://projects/P/subscriptions/S`, or a path or glob of Avro files.
        redis: the URL of the Redis that holds the records.
        dead_letters: a folder, or `pubsub://projects/P/topics/T`.
        durability: what a batch waits for before its messages are acknowledged.
        flush_interval_s: how long a shard's events are held back to be written together; 0 writes each bundle.
        shards: keys that users are spread over.
        source_shards: readers of a subscription.
        ack_deadline_s: lease on messages in flight; 0 leaves the subscription's own.
        publish_time_attribute: attribute that holds the publish time where history is replayed through Pub/Sub.
        replay_speed: for files: how much faster than it happened; None is as fast as possible.
        replay_start_s: with `replay_speed`: Unix time at which a file's first message is due; None is when it is read.
        cache_mb: how much of what was last read or written each worker keeps.
        redis_timeout_s: longest a call to Redis takes.
        native_source: read with the runner's own Pub/Sub source, which acknowledges by itself.
        run: where workers are other processes: the id under which they and the command meet in Redis.
    """

    input: str
    redis: str
    dead_letters: str
    durability: Literal["none", "fsync", "replica"] = "none"
    flush_interval_s: float = 0
    shards: int = 8
    source_shards: int = 2
    ack_deadline_s: int = 60
    publish_time_attribute: str | None = None
    replay_speed: float | None = None
    replay_start_s: float | None = None
    cache_mb: int = 64
    redis_timeout_s: float = 10.0
    native_source: bool = False
    run: str | None = None


def open_store(spec: LoadedSpec, settings: StreamingSettings) -> RedisStateStore:
    """Return the store that the settings name."""
    return RedisStateStore(
        settings.redis, spec.spec.name, durability=settings.durability, timeout_s=settings.redis_timeout_s
    )


def open_items(settings: StreamingSettings, name: str) -> RedisStateStore:
    """Return the store of items' records under `name`, in the same Redis."""
    return RedisStateStore(settings.redis, name, durability=settings.durability, timeout_s=settings.redis_timeout_s)


def remote_run(spec: LoadedSpec, settings: StreamingSettings) -> RemoteRun | None:
    """Return where workers and command meet, None where workers are threads of this process."""
    return None if settings.run is None else RemoteRun(settings.redis, spec.spec.name, settings.run)


def input_files(pattern: str, spec: LoadedSpec) -> list[str]:
    """Return the files of a path or glob, each looked into.

    Raises:
        InputError: there are none, or one of them is no Avro file of events or messages.
    """
    paths = sorted(glob.glob(pattern, recursive=True))
    if not paths:
        raise InputError(f"expected an Avro file, a glob of such, or {PUBSUB}projects/P/subscriptions/S, got {pattern}")
    for path in paths:
        BlockReader(path, spec.schema).close()
    return paths


def check_settings(spec: LoadedSpec, settings: StreamingSettings) -> None:
    """Find out, before anything starts, whether the input, Redis and the dead letters can be used.

    Raises:
        InputError, StoreError, StoreUnavailable: one cannot; the message says what was expected.
    """
    from transforms.pubsub_check import check_subscription, check_topic

    if settings.input.startswith(PUBSUB):
        check_subscription(settings.input)
    else:
        input_files(settings.input, spec)
    if settings.flush_interval_s and 0 < settings.ack_deadline_s <= 2 * settings.flush_interval_s:
        raise InputError(
            f"expected --ack_deadline of more than twice --flush_interval, got {settings.ack_deadline_s} s and"
            f" {settings.flush_interval_s:g} s: messages would come again while they wait"
        )
    if settings.dead_letters.startswith(PUBSUB):
        check_topic(settings.dead_letters)
    store = open_store(spec, settings)
    try:
        store.check()
    finally:
        store.close()
    if not settings.dead_letters.startswith(PUBSUB):
        _check_folder(settings.dead_letters)  # last, since it makes the folder


def _check_folder(folder: str) -> None:
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        raise InputError(f"expected a folder for dead letters that can be written to, got {folder}: {exc}") from exc


def source_of(spec: LoadedSpec, settings: StreamingSettings) -> Any:
    """Return the transform that reads the input as pulls."""
    if settings.input.startswith(PUBSUB) and settings.native_source:
        from transforms.read_native_pubsub import ReadFromNativePubSub

        return ReadFromNativePubSub(settings.input, publish_time_attribute=settings.publish_time_attribute)
    if settings.input.startswith(PUBSUB):
        return ReadFromPubSubSubscription(
            settings.input,
            shards=settings.source_shards,
            ack_deadline_s=settings.ack_deadline_s,
            publish_time_attribute=settings.publish_time_attribute,
        )
    return ReadFromAvroFiles(
        input_files(settings.input, spec),
        spec,
        replay_speed=settings.replay_speed,
        replay_start_s=settings.replay_start_s,
    )


def build(pipeline: beam.Pipeline, spec: LoadedSpec, settings: StreamingSettings) -> None:
    """Add the graph to a pipeline."""
    run = remote_run(spec, settings)
    pulls = pipeline | "Read" >> source_of(spec, settings)
    events = pulls | "DecodeEvents" >> DecodeEvents(spec, settings.shards, run=run)
    packets = events[DECODED]
    if settings.flush_interval_s:
        packets |= "CoalesceShards" >> CoalesceShards(settings.flush_interval_s, run=run)
    folded = packets | "FoldIntoRedis" >> FoldIntoRedis(
        spec,
        partial(open_store, spec, settings),
        cache_bytes=settings.cache_mb << 20,
        ack_deadline_s=settings.ack_deadline_s,
        run=run,
        open_items=partial(open_items, settings),
    )
    # A writer for each, not one behind a Flatten: DirectRunner would hold what is flattened until the pipeline drains,
    # while the messages, unacknowledged, come again and again.
    events[DEAD] | "WriteUndecoded" >> WriteDeadLetters(settings.dead_letters)
    folded | "WriteRefused" >> WriteDeadLetters(settings.dead_letters)
