"""A pool of Beam's Python workers (environment EXTERNAL): a TaskManager asks it for processes, it starts and ends them.

    python -m beam_pipelines.flink.worker_pool --port 50000

One runs beside each TaskManager. Beam has one too, but that starts whatever `python` comes first on the PATH (one
without Beam leaves the job hanging in silence), listens on every interface though it runs what it is sent, and leaves
its workers behind when it is killed. Here a worker runs this interpreter, the pool listens on one address, loopback
unless told otherwise, and on Linux the kernel ends the workers of a pool that dies: the TaskManager then notices at
once, instead of waiting for processes that nobody will end.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import threading
from concurrent import futures
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

STOP_TIMEOUT_S = 5.0
_LOG = logging.getLogger(__name__)


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts and stops worker processes as it is asked to."""

    def __init__(self, state_cache_bytes: int) -> None:
        self._state_cache_bytes = state_cache_bytes
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Start a worker that connects to the control endpoint of the request."""
        try:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "beam_pipelines.flink.worker"),
                    *(request.control_endpoint.url, request.provision_endpoint.url, request.worker_id),
                    *(str(self._state_cache_bytes), str(os.getpid())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
        except OSError as exc:
            return beam_fn_api_pb2.StartWorkerResponse(error=f"the worker pool cannot start {sys.executable}: {exc}")
        with self._lock:
            self._workers[request.worker_id] = process
        _LOG.info("worker %s started, pid %d", request.worker_id, process.pid)
        threading.Thread(target=self._reap, args=(request.worker_id, process), daemon=True).start()
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        if not process.stdout.readline():
            # Told here the job fails and starts again; else the TaskManager would wait for this worker for good.
            return beam_fn_api_pb2.StartWorkerResponse(
                error=f"worker {request.worker_id} ended with {process.wait()} before it was connected"
            )
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """End a worker; one that is not there has ended already."""
        with self._lock:
            process = self._workers.pop(request.worker_id, None)
        if process is not None:
            _end(process)
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """End every worker."""
        with self._lock:
            processes, self._workers = list(self._workers.values()), {}
        for process in processes:
            process.terminate()
        for process in processes:
            _end(process)

    def _reap(self, worker_id: str, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        with self._lock:
            unasked = self._workers.get(worker_id) is process
            if unasked:
                del self._workers[worker_id]
        _LOG.log(logging.WARNING if unasked else logging.INFO, "worker %s ended with %d", worker_id, code)


def serve(host: str, port: int, state_cache_bytes: int) -> tuple[WorkerPool, Any, int]:
    """Return a pool that listens, its server, and its port.

    Raises:
        RuntimeError: somebody else listens there.
    """
    # Threads only start processes; so few are enough.
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=[("grpc.so_reuseport", 0)])
    pool = WorkerPool(state_cache_bytes)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    bound = server.add_insecure_port(f"{host}:{port}")
    server.start()
    return pool, server, bound


def main() -> None:
    """Serve until SIGINT or SIGTERM, then end the workers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; whoever reaches it can run code")
    parser.add_argument("--port", type=int, default=50000)
    parser.add_argument("--state_cache_mb", type=int, default=16, help="cache of Beam state in each worker, MB")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s pool %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        pool, server, port = serve(args.host, args.port, args.state_cache_mb << 20)
    except RuntimeError as exc:
        sys.exit(f"worker pool: cannot listen on {args.host}:{args.port}: {exc}")
    _LOG.info("listening on %s:%d, workers run %s", args.host, port, sys.executable)
    stop.wait()
    server.stop(0)
    pool.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
