"""One Beam worker process, as `worker_pool` starts it.

    python -m beam_pipelines.flink.worker CONTROL_ADDRESS PROVISION_ADDRESS WORKER_ID STATE_CACHE_BYTES PARENT_PID

It prints one line when it is connected. It ends when the TaskManager does, or on SIGTERM, and gives back to Pub/Sub
what it has pulled and not yet passed on; on Linux the kernel ends it if the pool is killed.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from typing import Any

import grpc

import transforms  # noqa: F401 - before Beam, whose complaints it leaves out
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
from apache_beam.runners.worker.sdk_worker import SdkHarness
from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor

from beam_pipelines.flink.options import ENVIRONMENT_OPTION, apply_environment
from transforms.pubsub_puller import halt_all

GIVE_BACK_S = 2.0
PROVISION_S = 20.0
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Work until the TaskManager closes the control stream, or the pool says stop."""
    control_address, provision_address, worker_id, cache_bytes, parent = sys.argv[1:6]
    if sys.platform == "linux":
        # Here, and not between fork and exec in the pool: its gRPC threads make running Python there unsafe.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):
            return
    logging.basicConfig(
        level=logging.WARNING, format=f"%(asctime)s worker {worker_id} {os.getpid()} %(levelname)s %(message)s"
    )
    signal.signal(signal.SIGTERM, _stop)
    code = 0
    try:
        apply_environment(_pipeline_option(provision_address, worker_id, ENVIRONMENT_OPTION) or "{}")
        harness = SdkHarness(
            control_address, worker_id=worker_id, state_cache_size=int(cache_bytes), data_buffer_time_limit_ms=-1
        )
        print("connected", flush=True)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads the pipe any more
        harness.run()
    except SystemExit:
        pass
    except Exception as exc:  # the stream breaks when a TaskManager is killed: said in one line
        logging.getLogger(__name__).warning("the TaskManager is gone: %s", str(exc).split("\n", maxsplit=1)[0])
        code = 1
    halt_all(GIVE_BACK_S)
    # Not sys.exit: threads of a bundle that waits for the lost TaskManager, or for Redis, would keep the process.
    os._exit(code)


def _pipeline_option(provision_address: str, worker_id: str, name: str) -> str | None:
    """Return an option of the job that the TaskManager provides to its workers, None if it has no such option."""
    with grpc.insecure_channel(provision_address) as channel:
        identified = grpc.intercept_channel(channel, WorkerIdInterceptor(worker_id))
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(identified)
        found = service.GetProvisionInfo(beam_provision_api_pb2.GetProvisionInfoRequest(), timeout=PROVISION_S)
    options = dict(found.info.pipeline_options)
    return options.get(f"beam:option:{name}:v1")


def _stop(number: int, frame: Any) -> None:
    raise SystemExit


if __name__ == "__main__":
    main()
