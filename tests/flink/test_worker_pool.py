"""The worker pool with real worker processes; the TaskManager is a gRPC server here, which can wait as Beam's does."""

import logging
import os
import queue
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    endpoints_pb2,
)

from beam_pipelines.flink.worker_pool import WorkerPool, serve
from tests.servers.flink import is_alive

START_S = 60.0
"""Importing Beam takes seconds, on a busy machine many."""
REPLACED = "another takes its place"


class TaskManager(beam_fn_api_pb2_grpc.BeamFnControlServicer, beam_provision_api_pb2_grpc.ProvisionServiceServicer):
    """Control and provision service: keeps a queue of control streams, each of them (worker id, send, answers)."""

    def __init__(self) -> None:
        self.streams: queue.Queue[tuple[str, Any, Any]] = queue.Queue()
        self._over = threading.Event()

    def GetProvisionInfo(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        return beam_provision_api_pb2.GetProvisionInfoResponse(info=beam_provision_api_pb2.ProvisionInfo())

    def Control(self, request_iterator: Any, context: Any) -> Iterator[Any]:  # noqa: N802 - the protocol's name
        to_worker: queue.Queue[Any] = queue.Queue()
        self.streams.put((dict(context.invocation_metadata())["worker_id"], to_worker, request_iterator))
        while not self._over.is_set():
            try:
                yield to_worker.get(timeout=0.1)
            except queue.Empty:
                if not context.is_active():
                    return

    def end(self) -> None:
        self._over.set()


@pytest.fixture
def task_manager() -> Iterator[tuple[TaskManager, str]]:
    services = TaskManager()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(services, server)
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(services, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield services, f"127.0.0.1:{port}"
    services.end()
    server.stop(0).wait(10)


@pytest.fixture
def start_worker() -> Iterator[Any]:
    pool = WorkerPool(state_cache_bytes=1 << 20, spares=0, most_spares=0)
    server, port = serve("127.0.0.1", 0, pool)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)

        def start(worker_id: str, address: str) -> str:
            where = endpoints_pb2.ApiServiceDescriptor(url=address)
            asked = beam_fn_api_pb2.StartWorkerRequest(
                worker_id=worker_id, control_endpoint=where, provision_endpoint=where
            )
            return str(stub.StartWorker(asked, timeout=START_S).error)

        yield start
    pool.close()
    server.stop(0).wait(10)


def pids(caplog: pytest.LogCaptureFixture) -> list[int]:
    """Return the pids of all workers that the pool has connected."""
    return [int(pid) for pid in re.findall(r"connected, pid (\d+)", caplog.text)]


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_worker_killed_before_its_first_bundle_is_replaced_under_its_name_and_a_later_one_is_not(
    task_manager: tuple[TaskManager, str], start_worker: Any, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    services, address = task_manager
    assert start_worker("7-1", address) == ""
    name, _, _ = services.streams.get(timeout=START_S)
    (first,) = pids(caplog)

    os.kill(first, signal.SIGKILL)

    again, send, answers = services.streams.get(timeout=START_S)
    assert name == again == "7-1"
    wait_until(lambda: len(pids(caplog)) == 2)  # the stream comes before the pool has heard
    _, second = pids(caplog)
    # A bundle that it cannot do is work too: it says so, and that the TaskManager would know.
    bundle = beam_fn_api_pb2.ProcessBundleRequest(process_bundle_descriptor_id="unheard of")
    send.put(beam_fn_api_pb2.InstructionRequest(instruction_id="1", process_bundle=bundle))
    assert next(answers).error

    os.kill(second, signal.SIGKILL)

    wait_until(lambda: caplog.text.count("worker 7-1 ended with -9") == 2)
    with pytest.raises(queue.Empty):
        services.streams.get(timeout=1.0)
    assert caplog.text.count(REPLACED) == 1
    assert pids(caplog) == [first, second]
    assert not is_alive(first)
    assert not is_alive(second)


def test_a_worker_whose_task_manager_is_gone_is_an_error_and_is_not_replaced(
    start_worker: Any, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)

    assert "worker 7-2 ended with 1 before it was connected" in start_worker("7-2", "127.0.0.1:1")

    assert REPLACED not in caplog.text
    assert pids(caplog) == []
