"""A jar that is the pipeline, for Flink's application mode: what a Flink Kubernetes Operator starts, without us.

    python -m beam_pipelines.flink.job_jar --spec S --input I --redis R --dead-letters D --jars J --out O [Beam's]

Beam's job server makes it; it is started here for as long as that takes, and nothing is submitted. The jar holds the
graph and the classes of Beam's Flink runner; what these need has to be in the cluster's lib. It depends on spec and
options alone, so a changed spec is a new jar. Workers come from the pool beside each TaskManager, on localhost.

Nobody watches such a run through Redis: it is stopped, upgraded and counted by Flink.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import transforms  # noqa: F401 - before Beam, whose complaints it leaves out
from beam_pipelines.flink.options import FlinkSettings, beam_arguments, with_state
from beam_pipelines.running import beam_options, new_pipeline
from beam_pipelines.streaming import StreamingSettings, build
from user_state.errors import InputError, UserStateError
from user_state.spec import LoadedSpec, load_spec
from user_state.store.credentials import check_travels

DRIVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
ENTRY_CLASS = "org.apache.beam.runners.flink.FlinkPipelineRunner"
"""What Flink is to start in the jar."""

AUTO = "[auto]"
"""The master that Flink's own entry point has prepared: it refuses any that is named."""

START_S = 60.0


def make_jar(
    spec: LoadedSpec, settings: StreamingSettings, flink: FlinkSettings, jars: str, out: Path, given: Sequence[str] = ()
) -> None:
    """Write the jar.

    Args:
        spec: what is computed.
        settings: how.
        flink: `parallelism` has to be set; addresses of a cluster play no part.
        jars: class path with Flink and Beam's Flink runner and job server.
        out: the jar, replaced if it is there.
        given: options for Beam.

    Raises:
        InputError: settings do not go together, the job server does not start, or makes no jar.
    """
    check_travels(settings.redis, "Flink")
    if flink.parallelism is None:
        raise InputError("a jar needs --parallelism: there is no cluster to ask for free slots")
    name = f"user-state-{spec.spec.name}"
    parallelism, flink = flink.parallelism, with_state(flink, settings.state)
    with tempfile.TemporaryDirectory() as folder, _job_server(jars, Path(folder)) as endpoint:
        made = Path(folder) / "job.jar"
        options = [*given, f"--job_endpoint={endpoint}", f"--output_executable_path={made}"]
        pipeline = new_pipeline(beam_options(beam_arguments(flink, name, parallelism, options, os.environ)))
        build(pipeline, spec, settings)
        pipeline.run().wait_until_finish()
        if not zipfile.is_zipfile(made):
            raise InputError(f"expected Beam's job server to make a jar, got none: {_last_line(Path(folder))}")
        partial = out.with_name(f".{out.name}.partial")
        partial.write_bytes(made.read_bytes())
        partial.rename(out)


@contextmanager
def _job_server(jars: str, folder: Path) -> Iterator[str]:
    """Run Beam's job server for the length of a `with` block; yield its address."""
    job, artifact, expansion = _free_ports(3)
    command = ["java", "-Xmx384m", "-cp", jars, DRIVER, f"--flink-master={AUTO}", "--job-host=localhost"]
    command += [f"--job-port={job}", f"--artifact-port={artifact}", f"--expansion-port={expansion}"]
    command += [f"--artifacts-dir={folder / 'artifacts'}"]
    with (folder / "log").open("wb") as log:
        try:
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603
        except OSError as exc:
            raise InputError(f"expected java on the PATH, to make a jar: {exc}") from exc
    try:
        until = time.monotonic() + START_S
        while not _answers(job):
            if server.poll() is not None or time.monotonic() > until:
                raise InputError(f"Beam's job server did not start with --jars {jars}: {_last_line(folder)}")
            time.sleep(0.2)
        yield f"localhost:{job}"
    finally:
        server.terminate()
        server.wait()


def _free_ports(number: int) -> list[int]:
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(one.getsockname()[1]) for one in listening]
    for one in listening:
        one.close()
    return ports


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("localhost", port), 1).close()
    except OSError:
        return False
    return True


def _last_line(folder: Path) -> str:
    lines = (folder / "log").read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


def main() -> None:
    """Make a jar from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0], allow_abbrev=False)
    parser.add_argument("--spec", required=True, type=Path)
    parser.add_argument("--input", required=True)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--generation", default="base", help="of the records; default: those of none")
    parser.add_argument("--dead-letters", "--dead_letters", required=True)
    parser.add_argument("--durability", choices=("none", "fsync", "replica"), default="none")
    parser.add_argument("--flush_interval", type=float, default=0)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--source_shards", type=int, default=2)
    parser.add_argument("--cache_mb", type=int, default=64)
    parser.add_argument("--user_events_per_second", type=int, default=StreamingSettings.user_events_per_second)
    parser.add_argument("--state", choices=("redis", "runner"), default="redis")
    parser.add_argument("--parallelism", type=int, required=True)
    parser.add_argument("--checkpoint_interval", type=float, default=60, help="seconds; 0 for none")
    parser.add_argument("--worker_pool", default="localhost:50000", help="as a TaskManager sees it")
    parser.add_argument("--jars", required=True, help="class path with Flink, Beam's Flink runner and its job server")
    parser.add_argument("--out", required=True, type=Path)
    args, given = parser.parse_known_args()
    settings = StreamingSettings(
        input=args.input,
        redis=args.redis,
        dead_letters=args.dead_letters,
        durability=args.durability,
        flush_interval_s=args.flush_interval,
        shards=args.shards,
        source_shards=args.source_shards,
        cache_mb=args.cache_mb,
        user_events_per_second=args.user_events_per_second,
        state=args.state,
    )
    flink = FlinkSettings(
        worker_pool=args.worker_pool,
        parallelism=args.parallelism,
        checkpoint_interval_s=args.checkpoint_interval,
    )
    try:
        make_jar(load_spec(args.spec).of_generation(args.generation), settings, flink, args.jars, args.out, given)
    except UserStateError as exc:
        sys.exit(f"error: {exc}")


if __name__ == "__main__":
    main()
