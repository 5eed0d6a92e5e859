"""The streaming graph: a source, decode, key by shard, fold in Redis, dead letters; acknowledged where stored.

    Read ──> Decode ──decoded──> [Coalesce] ──> Fold ──dead──> WriteRefused
                └─────dead─────> WriteUndecoded

With state `runner` the fold is keyed by user, and the source acknowledges what the runner has finalized:

    Read ──> Decode ──decoded──> [Coalesce] ──> SplitUsers ──> FoldIntoState ──dead──> WriteRefused
                └─────dead─────> WriteUndecoded

Step labels are part of the product: runners keep state and metrics by them.
"""

from __future__ import annotations

import logging
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import apache_beam as beam

from transforms.coalesce import CoalesceShards
from transforms.decode_events import DEAD, DECODED, DecodeEvents
from transforms.file_systems import matching, open_path
from transforms.fold_into_redis import FoldIntoRedis
from transforms.fold_into_state import DIRECT_WRITER, FoldIntoState
from transforms.pubsub_check import PUBSUB
from transforms.read_files import ReadFiles
from transforms.read_pubsub import ReadFromPubSubSubscription
from transforms.remote_run import RemoteRun
from transforms.split_users import SplitUsers
from transforms.write_dead_letters import WriteDeadLetters
from user_state.errors import InputError, StoreError
from user_state.events.event_files import history_files
from user_state.events.merged_files import HistoryFile
from user_state.events.screening import clock_tolerance_us
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.store.generations import refuse_unfinished, refuse_unread
from user_state.store.redis_store import RedisStateStore
from user_state.store.specs import propose_epoch
from user_state.store.view import WRITER_MS, RedisView

CHECK_TIMEOUT_S = 5.0
LOOKED_INTO_AT_ONCE = 16
"""Files, before a run: those of an object store take long to open."""


@dataclass(frozen=True)
class StreamingSettings:
    """How the streaming pipeline runs; what it computes is the spec's.

    Attributes:
        input: `pubsub://projects/P/subscriptions/S`, or a path or pattern of files of events.
        redis: the URL of the Redis that holds the records.
        dead_letters: a folder, or `pubsub://projects/P/topics/T`.
        durability: what a batch waits for before its messages are acknowledged.
        flush_interval_s: how long a shard's events are held back to be written together; 0 writes each bundle.
        shards: keys that users are spread over.
        source_shards: readers of a subscription.
        ack_deadline_s: lease on messages in flight; 0 leaves the subscription's own.
        publish_time_attribute: attribute that holds the publish time where history is replayed through Pub/Sub; of
            Parquet, CSV and JSON lines the column.
        replay_speed: for files: how much faster than it happened; None is as fast as possible.
        replay_start_s: with `replay_speed`: Unix time at which a file's first message is due; None is when it is read.
        cache_mb: how much of what was last read or written each worker keeps.
        redis_timeout_s: longest a call to Redis takes.
        native_source: read with the runner's own Pub/Sub source, which acknowledges by itself.
        user_events_per_second: most events of one user and second of publish time, 0 for any number.
        state: where the truth lives: `redis`, or `runner`: in the runner's keyed state, with Redis as a view.
        view_refresh_s: with state `runner`: how often the view of a user who does nothing is written again.
        run: where workers are other processes: the id under which they and the command meet in Redis.
        allow_eviction: whether to write to a Redis that may drop records when its memory is full.
        names_generation: whether somebody said which generation of the records to write.
        fills_generation: whether this is the backfill of a generation, which is incomplete meanwhile.
        epoch: of the spec, microseconds UTC, as `check_settings` gives it; 0 is the time when the graph is built.
    """

    input: str
    redis: str = field(repr=False)  # it may have a password
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
    user_events_per_second: int = 5000
    state: Literal["redis", "runner"] = "redis"
    view_refresh_s: float = 86_400.0
    run: str | None = None
    allow_eviction: bool = False
    names_generation: bool = False
    fills_generation: bool = False
    epoch: int = 0


def open_store(settings: StreamingSettings, name: str) -> RedisStateStore:
    """Return the store of the records under `name`, a spec's or those of its learned items, in the settings' Redis."""
    return RedisStateStore(settings.redis, name, durability=settings.durability, timeout_s=settings.redis_timeout_s)


def remote_run(spec: LoadedSpec, settings: StreamingSettings) -> RemoteRun | None:
    """Return where workers and command meet, None where workers are threads of this process."""
    return None if settings.run is None else RemoteRun(settings.redis, spec.spec.name, settings.run)


def input_files(pattern: str, spec: LoadedSpec, publish_column: str | None = None) -> list[HistoryFile]:
    """Return the files of a path or pattern in order of time, each looked into.

    Raises:
        InputError: there are none, or one of them is no file of events or messages.
    """
    paths = matching(pattern)
    tolerance_us = clock_tolerance_us(compile_plan(spec))
    with ThreadPoolExecutor(LOOKED_INTO_AT_ONCE) as pool:
        return history_files(
            paths,
            spec,
            open_path,
            latest_us=_now_us() + tolerance_us,
            publish_column=publish_column,
            each=pool.map,
        )


def check_settings(spec: LoadedSpec, settings: StreamingSettings) -> StreamingSettings:
    """Find out, before anything starts, whether the input, Redis and the dead letters can be used.

    Returns the settings with the spec's epoch.

    Raises:
        SpecSuperseded: a newer spec of this name writes the records.
        InputError, StoreError, StoreUnavailable: one cannot; the message says what was expected.
    """
    from transforms.pubsub_check import check_subscription, check_topic

    if settings.input.startswith(PUBSUB):
        check_subscription(settings.input)
    else:
        input_files(settings.input, spec, settings.publish_time_attribute)
    if settings.flush_interval_s and 0 < settings.ack_deadline_s <= 2 * settings.flush_interval_s:
        raise InputError(
            f"expected --ack_deadline of more than twice --flush_interval, got {settings.ack_deadline_s} s and"
            f" {settings.flush_interval_s:g} s: messages would come again while they wait"
        )
    if settings.state == "runner" and settings.native_source:
        raise InputError("expected --state redis with --runner dataflow, got runner, which is tried on Flink only")
    learned = [name for name, items in spec.spec.items.items() if items.learned is not None]
    if settings.state == "runner" and learned:
        raise InputError(f"expected --state redis with items that are learned, got runner: {learned[0]} lives in Redis")
    if settings.state == "runner" and settings.durability != "none":
        raise InputError(
            f"expected --durability none with --state runner, got {settings.durability}: Redis is a view there, what"
            " is acknowledged is in the runner's checkpoints"
        )
    if settings.dead_letters.startswith(PUBSUB):
        check_topic(settings.dead_letters)
    # A server that does not answer at all is told within ten seconds.
    quick = replace(settings, redis_timeout_s=min(CHECK_TIMEOUT_S, settings.redis_timeout_s))
    store = open_store(quick, spec.keyspace)
    try:
        store.check(may_evict=settings.allow_eviction)
    finally:
        store.close()
    if not settings.names_generation:
        refuse_unread(settings.redis, spec.spec.name)
    if spec.generation is not None and not settings.fills_generation:
        refuse_unfinished(settings.redis, spec.spec.name, spec.generation)
    _check_writer(spec, settings)
    epoch = propose_epoch(settings.redis, compile_plan(spec), _now_us())
    if not settings.dead_letters.startswith(PUBSUB):
        _check_folder(settings.dead_letters)  # last, since it makes the folder
    return replace(settings, epoch=epoch)


def _now_us() -> int:
    return time.time_ns() // 1000


def _check_writer(spec: LoadedSpec, settings: StreamingSettings) -> None:
    """Refuse to write records that a run with state `runner` overwrites, as it knows of no events but its own."""
    view = RedisView(settings.redis, spec.keyspace, timeout_s=CHECK_TIMEOUT_S)
    try:
        writer = view.writer()
    finally:
        view.close()
    if writer is not None:
        raise InputError(
            f"run {writer} with --state runner writes the records of {spec.keyspace} in this Redis: stop it first, or,"
            f" if it was killed, wait {WRITER_MS // 1000} s"
        )


def sign_off(spec: LoadedSpec, settings: StreamingSettings) -> None:
    """Say that this run, of state `runner`, writes no more, so that another may at once."""
    view = RedisView(settings.redis, spec.keyspace, timeout_s=CHECK_TIMEOUT_S)
    try:
        view.sign_off(settings.run or DIRECT_WRITER)
    except StoreError as exc:
        logging.getLogger(__name__).debug("another run has to wait a while: %s", exc)
    finally:
        view.close()


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
            finalized=settings.state == "runner",
        )
    return ReadFiles(
        input_files(settings.input, spec, settings.publish_time_attribute),
        spec,
        replay_speed=settings.replay_speed,
        replay_start_s=settings.replay_start_s,
        publish_column=settings.publish_time_attribute,
    )


def build(pipeline: beam.Pipeline, spec: LoadedSpec, settings: StreamingSettings) -> None:
    """Add the graph to a pipeline."""
    run = remote_run(spec, settings)
    epoch = settings.epoch or _now_us()
    by_user = settings.state == "runner"
    pulls = pipeline | "Read" >> source_of(spec, settings)
    events = pulls | "DecodeEvents" >> DecodeEvents(
        spec,
        None if by_user and not settings.flush_interval_s else settings.shards,
        most_a_second=settings.user_events_per_second,
        run=run,
    )
    packets = events[DECODED]
    if settings.flush_interval_s:
        packets |= "CoalesceShards" >> CoalesceShards(settings.flush_interval_s, run=run)
        if by_user:
            packets |= "SplitUsers" >> SplitUsers(spec)
    if by_user:
        folded = packets | "FoldIntoState" >> FoldIntoState(
            spec,
            settings.redis,
            timeout_s=settings.redis_timeout_s,
            refresh_s=settings.view_refresh_s,
            run=run,
            epoch=epoch,
        )
    else:
        folded = packets | "FoldIntoRedis" >> FoldIntoRedis(
            spec,
            partial(open_store, settings, spec.keyspace),
            cache_bytes=settings.cache_mb << 20,
            ack_deadline_s=settings.ack_deadline_s,
            run=run,
            open_items=partial(open_store, settings),
            epoch=epoch,
        )
    # A writer for each, not one behind a Flatten: DirectRunner would hold what is flattened until the pipeline drains,
    # while the messages, unacknowledged, come again and again.
    events[DEAD] | "WriteUndecoded" >> WriteDeadLetters(settings.dead_letters)
    folded | "WriteRefused" >> WriteDeadLetters(settings.dead_letters)
