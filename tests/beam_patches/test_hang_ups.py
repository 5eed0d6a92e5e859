"""A TaskManager that hangs up on a worker: Beam's own data channel over real gRPC, the server of which goes first."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.data_plane import GrpcClientDataChannel

from beam_pipelines.beam_patches.versions import put_in_place
from transforms import drain

DATA = "apache_beam.runners.worker.data_plane"
JOIN_S = 10.0


class HangsUp(beam_fn_api_pb2_grpc.BeamFnDataServicer):
    """A TaskManager's data service that ends the stream as Flink's does, when it may."""

    def __init__(self) -> None:
        self.may = threading.Event()

    def Data(self, request_iterator: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802 - its name
        self.may.wait(JOIN_S)
        context.abort(grpc.StatusCode.CANCELLED, "Multiplexer hanging up")
        yield  # the protocol's is a stream


def be_hung_up_on() -> None:
    """Connect as a worker does, be hung up on, and close as the worker's main thread does, in a thread of its own."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    service = HangsUp()
    beam_fn_api_pb2_grpc.add_BeamFnDataServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    before = set(threading.enumerate())
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            data = GrpcClientDataChannel(beam_fn_api_pb2_grpc.BeamFnDataStub(channel))
            reader = next(t for t in set(threading.enumerate()) - before if t.name == "read_grpc_client_inputs")
            service.may.set()
            reader.join(JOIN_S)
            assert not reader.is_alive()
            worker = threading.Thread(target=data.close)
            worker.start()
            worker.join(JOIN_S)
            assert not worker.is_alive()
    finally:
        server.stop(0).wait(JOIN_S)


@pytest.fixture
def accepting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)  # pytest has one of its own
    logger = logging.getLogger(DATA)
    filters = list(logger.filters)
    drain.reset()
    put_in_place("hang_ups")
    yield
    logger.filters[:] = filters
    drain.reset()


def test_without_it_beam_prints_a_stack_trace_for_each_thread():
    program = "from tests.beam_patches.test_hang_ups import be_hung_up_on; be_hung_up_on()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert ended.stderr.count("Traceback (most recent call last)") >= 2, ended.stderr
    assert "Exception in thread" in ended.stderr


@pytest.mark.usefixtures("accepting")
def test_a_hang_up_is_a_line_for_each_thread(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]):
    be_hung_up_on()

    said = [(record.levelname, record.getMessage(), record.exc_info) for record in caplog.records]
    assert said == [("WARNING", "the TaskManager hung up: Multiplexer hanging up", None)] * 3
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.usefixtures("accepting")
def test_nothing_is_said_where_the_end_was_asked_for(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    drain.request_drain()
    be_hung_up_on()

    assert not caplog.records
    assert not capfd.readouterr().err


@pytest.mark.usefixtures("accepting")
def test_any_other_failure_is_said_as_before(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]):
    put_in_place("hang_ups")  # twice is harmless
    drain.request_drain()

    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join(JOIN_S)
    try:
        int("x")
    except ValueError:
        logging.getLogger(DATA).exception("failed")

    assert capfd.readouterr().err.count("ZeroDivisionError: division by zero") == 1
    assert [record.exc_info is not None for record in caplog.records] == [True]
