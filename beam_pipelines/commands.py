"""The `user-state` commands that need the pipeline. Beam is imported when one runs, so that `--help` stays quick."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

REACHABLE_S = 5.0
"""How long Redis may take to answer before anything starts; one that refuses connections is told at once."""


def run(
    context: typer.Context,
    spec: Annotated[Path, typer.Option(help="The spec file.", show_default=False)],
    input_: Annotated[
        str,
        typer.Option(
            "--input",
            help="pubsub://projects/P/subscriptions/S, or files of events or dead letters: a path or a pattern, Avro,"
            " Parquet, CSV or JSON lines (.jsonl), also gs:// and s3://.",
            show_default=False,
        ),
    ],
    redis: Annotated[str, typer.Option(help="Where records go: redis://host:port", show_default=False)],
    generation: Annotated[
        str | None,
        typer.Option(
            help="Which generation of the records to write, `base` for those of none, which is the default while no"
            " other is served.",
            show_default=False,
        ),
    ] = None,
    dead_letters: Annotated[
        str, typer.Option("--dead-letters", "--dead_letters", help="A folder, or pubsub://projects/P/topics/T.")
    ] = "dead-letters",
    durability: Annotated[
        Literal["none", "fsync", "replica"],
        typer.Option(
            help="What a batch waits for before its messages are acknowledged: nothing, the append-only file"
            " on disk (WAITAOF), or a replica (WAIT)."
        ),
    ] = "none",
    flush_interval: Annotated[
        float,
        typer.Option(
            "--flush_interval",
            "--flush-interval",
            min=0,
            help="Seconds to hold events back, so that a burst of a user is one write.",
        ),
    ] = 0,
    shards: Annotated[int, typer.Option(min=1, max=10_000, help="Number of keys over which users are spread.")] = 8,
    source_shards: Annotated[
        int,
        typer.Option(
            "--source_shards", "--source-shards", min=1, max=1000, help="Number of parallel readers of a subscription."
        ),
    ] = 2,
    ack_deadline: Annotated[
        int,
        typer.Option(
            "--ack_deadline",
            "--ack-deadline",
            min=0,
            max=600,
            help="Lease on messages in flight, seconds; 0 leaves the subscription's own.",
        ),
    ] = 60,
    publish_time_attribute: Annotated[
        str | None,
        typer.Option(
            "--publish_time_attribute",
            "--publish-time-attribute",
            help="Attribute that holds the publish time, for history replayed through Pub/Sub: RFC 3339, or a number of"
            " seconds, milliseconds, microseconds or nanoseconds since 1970. For Parquet, CSV and JSON lines, the"
            " column; default there: publish_time.",
        ),
    ] = None,
    replay_speed: Annotated[
        float | None,
        typer.Option(
            "--replay_speed",
            "--replay-speed",
            min=1e-6,
            help="Files: replay this many times faster than real time; default: at once.",
        ),
    ] = None,
    replay_start: Annotated[
        float | None,
        typer.Option(
            "--replay_start",
            "--replay-start",
            help="With --replay_speed: Unix time at which the first event of all is due; default: when it is read.",
        ),
    ] = None,
    stop_when_idle: Annotated[
        float | None,
        typer.Option(
            "--stop_when_idle", "--stop-when-idle", min=0.5, help="Drain after this many seconds without a message."
        ),
    ] = None,
    max_dead_letters: Annotated[
        str,
        typer.Option(
            "--max_dead_letters",
            "--max-dead-letters",
            help="Largest share of messages that may become dead letters. A run with more says why at its end and exits"
            " with 1. 100%: any number.",
        ),
    ] = "10%",
    user_events_per_second: Annotated[
        int,
        typer.Option(
            "--user_events_per_second",
            "--user-events-per-second",
            min=0,
            help="Most events of one user with publish times in the same second, in each reading process; the others"
            " go to the dead letters as `hot_user`. 0: no limit.",
        ),
    ] = 5000,
    state: Annotated[
        Literal["redis", "runner"],
        typer.Option(
            help="Which state is authoritative. redis: Redis. runner: the runner's keyed state and its checkpoints,"
            " from which Redis can be rebuilt; slower: docs/flink.md has the figures."
        ),
    ] = "redis",
    view_refresh: Annotated[
        float,
        typer.Option(
            "--view_refresh",
            "--view-refresh",
            min=1,
            help="With --state runner: seconds after which an inactive user's record is written to Redis again.",
        ),
    ] = 86_400,
    allow_eviction: Annotated[
        bool,
        typer.Option(
            "--allow_eviction",
            "--allow-eviction",
            help="Accept a Redis that may evict records when its memory is full; by default it is refused.",
        ),
    ] = False,
    cache_mb: Annotated[
        int, typer.Option("--cache_mb", "--cache-mb", min=0, help="Cache of recent records in each worker, MB.")
    ] = 64,
    runner: Annotated[
        str,
        typer.Option(
            help="direct: this process. flink: a Flink cluster (`make flink-up` starts one here). dataflow: Google's"
            " service, with Beam's own options for it (see deploy/dataflow). Or the name of a Beam runner, untested."
        ),
    ] = "direct",
    flink: Annotated[
        str, typer.Option(help="With --runner flink: REST address of the cluster, host:port or URL.")
    ] = "localhost:8081",
    flink_version: Annotated[
        str,
        typer.Option(
            "--flink_version",
            "--flink-version",
            help="With --runner flink: Flink's version, for which Beam's job server was built.",
        ),
    ] = "1.19",
    job_endpoint: Annotated[
        str,
        typer.Option("--job_endpoint", "--job-endpoint", help="With --runner flink: Beam's job server, host:port."),
    ] = "localhost:8099",
    worker_pool: Annotated[
        str,
        typer.Option(
            "--worker_pool",
            "--worker-pool",
            help="With --runner flink: host:port of the pool of Python workers as a TaskManager sees it (beam:"
            " EXTERNAL), or `loopback`: this process does the work, to try things out (LOOPBACK).",
        ),
    ] = "localhost:50000",
    parallelism: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --runner flink: task slots, with one Python process each. Default: all that are free.",
            show_default=False,
        ),
    ] = None,
    checkpoint_interval: Annotated[
        float | None,
        typer.Option(
            "--checkpoint_interval",
            "--checkpoint-interval",
            min=0,
            help="With --runner flink: seconds between checkpoints, 0 for none. --state runner needs them (default 10)."
            " --state redis does not (default 0): records live in Redis, and what is not acknowledged comes again.",
            show_default=False,
        ),
    ] = None,
    savepoint_path: Annotated[
        str | None,
        typer.Option(
            "--savepoint_path",
            "--savepoint-path",
            help="With --runner flink --state runner: the savepoint or checkpoint to continue from.",
            show_default=False,
        ),
    ] = None,
    savepoint_dir: Annotated[
        str | None,
        typer.Option(
            "--savepoint_dir",
            "--savepoint-dir",
            help="With --runner flink --state runner: where the savepoint goes when the run is stopped, a URL such as"
            " file:///savepoints or s3://bucket/savepoints. Default: the cluster's state.savepoints.dir.",
            show_default=False,
        ),
    ] = None,
    bundle_ms: Annotated[
        int,
        typer.Option(
            "--bundle_ms",
            "--bundle-ms",
            min=1,
            max=60_000,
            help="With --runner flink: longest a bundle stays open, ms. Longer writes a busy user less often, shorter"
            " makes features fresher.",
        ),
    ] = 100,
) -> None:
    """Run the streaming pipeline: events in, Redis records out. Any further option goes to Beam.

    Ctrl-C or SIGTERM drains: what was read is folded, stored and acknowledged, then the run ends.

    Example: `user-state run --spec user_state.yaml --input pubsub://projects/p/subscriptions/s
    --redis redis://localhost:6379`; the same with `--runner flink` runs on the cluster of `make flink-up`.
    """
    from user_state.cli.terminal import Terminal
    from user_state.errors import InputError
    from user_state.schema_registry.start import check_registry
    from user_state.spec import load_spec
    from user_state.store.connection import check_reachable

    if replay_start is not None and replay_speed is None:
        raise InputError("--replay_start needs --replay_speed")
    loaded = load_spec(spec)
    loaded = loaded if generation is None else loaded.of_generation(generation)
    on_flink, on_dataflow = (runner.lower() in (name, f"{name}runner") for name in ("flink", "dataflow"))
    if not on_flink and not on_dataflow and (savepoint_path or savepoint_dir):
        raise InputError(f"expected --runner flink with --savepoint_path and --savepoint_dir, got --runner {runner}")
    if runner.lower().startswith("direct"):
        # Beam takes seconds to import: what can be told before it is told at once.
        check_reachable(redis, REACHABLE_S)
    check_registry(loaded.schema)
    from beam_pipelines.dead_letter_limit import end, parse_share
    from beam_pipelines.streaming import StreamingSettings

    limit = parse_share(max_dead_letters)
    began_s = time.time()
    settings = StreamingSettings(
        input=input_,
        redis=redis,
        dead_letters=dead_letters,
        durability=durability,
        flush_interval_s=flush_interval,
        shards=shards,
        source_shards=source_shards,
        ack_deadline_s=ack_deadline,
        publish_time_attribute=publish_time_attribute,
        replay_speed=replay_speed,
        replay_start_s=replay_start,
        cache_mb=cache_mb,
        user_events_per_second=user_events_per_second,
        state=state,
        view_refresh_s=view_refresh,
        allow_eviction=allow_eviction,
        names_generation=generation is not None,
    )
    if on_flink:
        from beam_pipelines.flink.job import run_on_flink
        from beam_pipelines.flink.options import FlinkSettings

        counts = run_on_flink(
            loaded,
            settings,
            FlinkSettings(
                rest=flink,
                job_endpoint=job_endpoint,
                worker_pool=worker_pool,
                parallelism=parallelism,
                checkpoint_interval_s=checkpoint_interval,
                bundle_ms=bundle_ms,
                savepoint_path=savepoint_path,
                savepoint_dir=savepoint_dir,
                version=flink_version,
            ),
            context.args,
            stop_when_idle_s=stop_when_idle,
            limit=limit,
        )
        end(Terminal(stderr=True), counts, limit, loaded, dead_letters, began_s)
        return
    if on_dataflow:
        from beam_pipelines.dataflow.job import run_on_dataflow

        if stop_when_idle is not None or savepoint_path or savepoint_dir:
            raise InputError(
                "expected no --stop_when_idle, --savepoint_path or --savepoint_dir on Dataflow: drain the job"
            )
        run_on_dataflow(loaded, settings, context.args)
        return
    from beam_pipelines.running import run_streaming

    arguments = [f"--runner={runner}", *context.args]
    counted = run_streaming(loaded, settings, arguments, stop_when_idle_s=stop_when_idle, limit=limit)
    end(Terminal(stderr=True), counted, limit, loaded, dead_letters, began_s)


def publish(
    spec: Annotated[Path, typer.Option(help="The spec file.", show_default=False)],
    from_: Annotated[str, typer.Option("--from", help="An Avro file or glob of events or messages.")],
    to: Annotated[str, typer.Option(help="pubsub://projects/P/topics/T", show_default=False)],
    rate: Annotated[float | None, typer.Option(min=0.001, help="Messages a second; default: all at once.")] = None,
    publish_time_attribute: Annotated[
        str | None,
        typer.Option(
            "--publish_time_attribute",
            "--publish-time-attribute",
            help="Stamp each message with its original publish time under this attribute, to replay history.",
        ),
    ] = None,
    replay_speed: Annotated[
        float | None,
        typer.Option(
            "--replay_speed", "--replay-speed", min=1e-6, help="Publish this many times faster than real time."
        ),
    ] = None,
    replay_start: Annotated[
        float | None,
        typer.Option(
            "--replay_start",
            "--replay-start",
            help="With --replay_speed: Unix time at which the first message is due; default: at once.",
        ),
    ] = None,
) -> None:
    """Publish an Avro file to a Pub/Sub topic: events in the spec's encoding, messages and dead letters untouched.

    Example: `user-state publish --spec user_state.yaml --from events.avro --to pubsub://projects/p/topics/t`
    """
    from beam_pipelines.publish import Replay
    from beam_pipelines.publishing import publish_with_progress
    from user_state.errors import InputError
    from user_state.spec import load_spec

    if replay_start is not None and replay_speed is None:
        raise InputError("--replay_start needs --replay_speed")
    replay = None if replay_speed is None else Replay(replay_speed, replay_start)
    publish_with_progress(load_spec(spec), from_, to, rate, publish_time_attribute, replay)


def dead_letters(
    where: Annotated[
        list[str],
        typer.Argument(
            metavar="WHERE...",
            help="Folders or files, or pubsub://projects/P/subscriptions/S, or a topic that has one subscription.",
            show_default=False,
        ),
    ],
    spec: Annotated[Path | None, typer.Option(help="The spec file, for hints and event times.")] = None,
    reason: Annotated[list[str] | None, typer.Option(help="Only letters of this reason; may be repeated.")] = None,
    samples: Annotated[int, typer.Option(min=0, max=20, help="How many letters of each reason to show.")] = 1,
    payload: Annotated[bool, typer.Option("--payload", help="Show bodies and attributes: data of users.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    replay: Annotated[
        str | None,
        typer.Option(
            help="Publish the messages again as they were: pubsub://projects/P/topics/T, or a new .avro file."
        ),
    ] = None,
    publish_time_attribute: Annotated[
        str | None,
        typer.Option(
            "--publish_time_attribute",
            "--publish-time-attribute",
            help="With --replay to a topic: attribute that gets the original publish time, microseconds.",
        ),
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Of a subscription: look at this many letters at most.")] = 100_000,
) -> None:
    """Show what was refused, why and when, with an example of each reason; with --replay, publish it again.

    Letters of a subscription are given back after they were looked at. With --replay they are acknowledged once they
    are published or written; files stay, and can be deleted then. An event that was folded meanwhile is not folded
    again.

    Example: `user-state dead-letters dead-letters/ --spec user_state.yaml`; after a fix
    `user-state dead-letters dead-letters/ --replay pubsub://projects/p/topics/t`
    """
    from beam_pipelines.dead_letters import Shown, replay_dead_letters, show_dead_letters
    from user_state.errors import InputError
    from user_state.spec import load_spec

    shown = Shown(tuple(reason or ()), samples, payload, as_json, most)
    loaded = None if spec is None else load_spec(spec)
    if replay is None:
        if publish_time_attribute is not None:
            raise InputError("--publish_time_attribute needs --replay")
        show_dead_letters(where, loaded, shown)
    else:
        replay_dead_letters(where, replay, loaded, publish_time_attribute, shown)


def demo(
    users: Annotated[int, typer.Option(min=10, max=100_000, help="How many users.")] = 2_000,
    events: Annotated[int, typer.Option(min=1_000, max=10_000_000, help="How many messages.")] = 60_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same traffic.")] = 7,
) -> None:
    """Run everything once: traffic, pipeline, Redis, look-ups, and a comparison with brute force."""
    from beam_pipelines.demo import run_demo

    run_demo(users, events, seed)
