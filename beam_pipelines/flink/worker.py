"""One Beam worker process, as `worker_pool` starts it: it imports all it needs, then waits to be told whom to work for.

    python -m beam_pipelines.flink.worker PARENT_PID

stdin: one line of JSON, the fields of `Assignment`. stdout: CONNECTED, then WORKING when it is given its first bundle.
It ends when the TaskManager does, or on SIGTERM, and gives back to Pub/Sub what it has pulled and not yet passed on;
on Linux the kernel ends it if the pool is killed.
"""

from __future__ import annotations

import ctypes
import gc
import json
import logging
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import grpc  # type: ignore[import-untyped]
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc

import beam_pipelines.streaming  # noqa: F401 - what a bundle will need, ahead of time
import transforms  # noqa: F401 - before Beam, whose complaints it leaves out
from beam_pipelines.beam_patches.versions import put_in_place, uses
from beam_pipelines.flink.checks import brief
from beam_pipelines.flink.options import ENVIRONMENT_OPTION, apply_environment
from beam_pipelines.flink.worker_pool import CONNECTED, WORKING
from transforms.pubsub_puller import halt_all

GIVE_BACK_S = 2.0
YOUNG_OBJECTS = 10_000
"""New objects that the garbage collector looks at together; a bundle makes some thousands, and drops them."""
PROVISION_S = 20.0
PR_SET_PDEATHSIG = 1


class Assignment(NamedTuple):
    """Whom to work for: addresses are host:port of services in the TaskManager."""

    control_address: str
    provision_address: str
    worker_id: str
    state_cache_bytes: int


def main() -> None:
    """Work until the TaskManager closes the control stream, or the pool says stop."""
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        # Here, and not between fork and exec in the pool: its gRPC threads make running Python there unsafe.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return
    pool = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is not for the pool
    _harness_class()  # imports Beam's worker, which takes a second
    line = sys.stdin.readline()
    if not line:
        return  # the pool has ended
    assignment = Assignment(*json.loads(line))
    logging.basicConfig(
        level=logging.WARNING,
        format=f"%(asctime)s worker {assignment.worker_id} {os.getpid()} %(levelname)s %(message)s",
        force=True,
    )
    put_in_place("hang_ups")
    signal.signal(signal.SIGTERM, _stop)
    code = 0
    try:
        _work(assignment, pool)
    except SystemExit:
        pass
    except Exception as exc:  # the stream breaks when a TaskManager is killed: said in one line
        logging.getLogger(__name__).warning("the TaskManager is gone: %s", brief(exc))
        code = 1
    halt_all(GIVE_BACK_S)
    # Not sys.exit: threads of a bundle that waits for the lost TaskManager, or for Redis, would keep the process.
    os._exit(code)


def _work(assignment: Assignment, pool: int) -> None:
    options = _pipeline_options(assignment)
    apply_environment(options.get(f"beam:option:{ENVIRONMENT_OPTION}:v1") or "{}")
    put_in_place("state_sizes", "state_writes", "state_prefetch")
    reports, harness_class = _harness_class()
    harness = harness_class(
        *([partial(_say_working, pool)] if reports else []),
        assignment.control_address,
        worker_id=assignment.worker_id,
        state_cache_size=assignment.state_cache_bytes,
        data_buffer_time_limit_ms=-1,
    )
    # What is imported stays: looking through it again and again for garbage took a tenth of the time of a bundle.
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    os.write(pool, CONNECTED)
    if not reports:
        _say_working(pool)  # or the pool would take the end of a worker that has worked for one that has not
    harness.run()


def _harness_class() -> tuple[bool, Any]:
    """Return whether the class of Beam's worker reports its first bundle, and the class."""
    if uses("first_bundle"):
        from beam_pipelines.beam_patches.first_bundle import ReportingHarness

        return True, ReportingHarness
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    return False, SdkHarness


def _say_working(pool: int) -> None:
    with suppress(OSError):  # the pool is gone, which is not for us to say
        os.write(pool, WORKING)
    os.close(pool)


def _pipeline_options(assignment: Assignment) -> dict[str, Any]:
    """Return the options of the job, which the TaskManager provides to its workers."""
    with grpc.insecure_channel(assignment.provision_address) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        worker = (("worker_id", assignment.worker_id),)
        found = service.GetProvisionInfo(request, timeout=PROVISION_S, metadata=worker)
    return dict(found.info.pipeline_options)


def _stop(number: int, frame: Any) -> None:
    raise SystemExit


if __name__ == "__main__":
    main()
