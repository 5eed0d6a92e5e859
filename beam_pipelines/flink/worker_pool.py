"""A pool of Beam's Python workers (environment EXTERNAL): a TaskManager asks it for processes, it starts and ends them.

    python -m beam_pipelines.flink.worker_pool --port 50000

One runs beside each TaskManager. Beam has one too, but that starts whatever `python` comes first on the PATH (one
without Beam leaves the job hanging in silence), listens on every interface though it runs what it is sent, and leaves
its workers behind when it is killed. Here a worker runs this interpreter, the pool listens on one address, loopback
unless told otherwise, and on Linux the kernel ends the workers of a pool that dies: the TaskManager then notices at
once, instead of waiting for processes that nobody will end.

A TaskManager that was told that its worker is connected waits for it to show itself, and if it is killed before that,
Beam's waits for good. So a worker that is killed before its first bundle is replaced under its own name.

Starting Python and importing Beam takes seconds of computing, at the very time when a job that has failed wants to be
back. So the pool keeps spare workers that have it behind them; there are as many as have worked at the same time.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from concurrent import futures
from typing import Any

import grpc  # type: ignore[import-untyped]
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

STOP_TIMEOUT_S = 5.0
CONNECTED = b"connected\n"
"""What a worker says to the pool once it can be given bundles."""
WORKING = b"working\n"
"""And when it is given the first: from now on the TaskManager notices its end."""
_LOG = logging.getLogger(__name__)

Process = subprocess.Popen[bytes]


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts and stops worker processes as it is asked to.

    Args:
        state_cache_bytes: the cache of Beam state in each worker.
        spares: how many workers wait from the beginning.
        most_spares: how many there may be at most.
    """

    def __init__(self, state_cache_bytes: int, spares: int, most_spares: int) -> None:
        self._state_cache_bytes = state_cache_bytes
        self._most_spares = most_spares
        self._lock = threading.Lock()
        # With the lock held:
        self._wanted_spares = min(spares, most_spares)
        self._workers: dict[str, Process] = {}
        self._spares: list[Process] = []
        self._closed = False
        self._fill()

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Give a worker to the TaskManager that asks, connected to it."""
        worker_id = str(request.worker_id)
        addresses = (request.control_endpoint.url, request.provision_endpoint.url)
        assignment = json.dumps([*addresses, worker_id, self._state_cache_bytes])
        with self._lock:
            process = self._hire(worker_id)
            self._wanted_spares = min(self._most_spares, max(self._wanted_spares, len(self._workers)))
        if not _connects(worker_id, process, assignment):
            self._dismiss(worker_id, process)
            # Told here the job fails and starts again; else the TaskManager would wait for this worker for good.
            return beam_fn_api_pb2.StartWorkerResponse(
                error=f"worker {worker_id} ended with {process.returncode} before it was connected"
            )
        threading.Thread(target=self._look_after, args=(worker_id, process, assignment), daemon=True).start()
        with self._lock:
            self._fill()
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
            self._closed = True
            spares, self._spares = self._spares, []
            processes = [*self._workers.values(), *spares]
            self._workers = {}
        for process in processes:
            process.terminate()
        for process in processes:
            _end(process)
        for spare in spares:
            spare.communicate()

    def _fill(self) -> None:
        """Start the spares that are missing; the lock is held, or nobody else knows this pool yet."""
        while not self._closed and len(self._spares) < self._wanted_spares:
            self._spares.append(_start())

    def _hire(self, worker_id: str) -> Process:
        """Make a spare, or a new process, the worker of that name; the lock is held."""
        living = [spare for spare in self._spares if spare.poll() is None]
        process = living.pop(0) if living else _start()
        self._spares = living
        self._workers[worker_id] = process
        return process

    def _dismiss(self, worker_id: str, process: Process) -> bool:
        """Wait for a worker's end; return whether it was killed, other than by us, before it was given a bundle."""
        code = process.wait()
        has_worked = _last_words(process) == WORKING
        with self._lock:
            unasked = self._workers.get(worker_id) is process
            if unasked:
                del self._workers[worker_id]
        _LOG.log(logging.WARNING if unasked else logging.INFO, "worker %s ended with %d", worker_id, code)
        return unasked and code < 0 and not has_worked

    def _look_after(self, worker_id: str, process: Process, assignment: str) -> None:
        """Wait for a worker's end; replace it as long as it is killed before it has worked.

        The kernel ends a worker with the thread that started it: this one stays with those that it starts.
        """
        while self._dismiss(worker_id, process):
            with self._lock:
                if self._closed or worker_id in self._workers:
                    return
                process = self._hire(worker_id)
            _LOG.warning("worker %s had not worked yet: another takes its place", worker_id)
            _connects(worker_id, process, assignment)


def serve(host: str, port: int, pool: WorkerPool) -> tuple[Any, int]:
    """Return the server of a pool, and the port it listens on.

    Raises:
        RuntimeError: somebody else listens there.
    """
    # The kernel ends a worker with the *thread* that started it, so these threads must last: gRPC keeps them.
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=[("grpc.so_reuseport", 0)])
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    bound = server.add_insecure_port(f"{host}:{port}")
    server.start()
    return server, bound


def main() -> None:
    """Serve until SIGINT or SIGTERM, then end the workers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; whoever reaches it can run code")
    parser.add_argument("--port", type=int, default=50000)
    parser.add_argument("--state_cache_mb", type=int, default=64, help="cache of Beam state in each worker, MB")
    parser.add_argument("--spares", type=int, default=1, help="workers started ahead of need, some 150 MB each")
    parser.add_argument("--most_spares", type=int, default=os.cpu_count() or 1, help="0: every worker starts cold")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s pool %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    pool = WorkerPool(args.state_cache_mb << 20, args.spares, args.most_spares)
    try:
        server, port = serve(args.host, args.port, pool)
    except RuntimeError as exc:
        pool.close()
        sys.exit(f"worker pool: cannot listen on {args.host}:{args.port}: {exc}")
    _LOG.info("listening on %s:%d, workers run %s", args.host, port, sys.executable)
    stop.wait()
    server.stop(0)
    pool.close()


def _start() -> Process:
    """Start a worker, which waits for its assignment."""
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "beam_pipelines.flink.worker", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def _connects(worker_id: str, process: Process, assignment: str) -> bool:
    """Tell a worker whom to work for; return whether it is connected now, or else has ended."""
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(f"{assignment}\n".encode())
        process.stdin.close()
        connected = process.stdout.readline() == CONNECTED
    except OSError:
        return False
    if connected:
        _LOG.info("worker %s connected, pid %d", worker_id, process.pid)
    return connected


def _last_words(process: Process) -> bytes:
    """Return what a process that has ended said since it was connected."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    with process.stdout as words:
        return words.read()


def _end(process: Process) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
