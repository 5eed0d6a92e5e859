"""Requests for state through a real gRPC server: their order, their answers, and what becomes of them when it goes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from concurrent import futures
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from apache_beam.coders import BytesCoder, StrUtf8Coder
from apache_beam.coders.coders import GlobalWindowCoder
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.worker import sdk_worker, statecache
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.transforms.window import GlobalWindow

from beam_pipelines.beam_patches.state_prefetch import PrefetchingStateHandler
from beam_pipelines.beam_patches.state_writes import PipelinedContext
from beam_pipelines.beam_patches.versions import put_in_place
from transforms.bundle_cells import CellSpec

WAIT_S = 10.0


class _Runner(beam_fn_api_pb2_grpc.BeamFnStateServicer):
    """A runner's side of keyed state: bags by key, and all that it was asked, in order."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.bags: dict[bytes, bytes] = {}
        self.workers: list[str] = []
        self.answering = threading.Event()
        self.answering.set()
        self.closed = threading.Event()

    def State(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:  # noqa: N802 - the protocol's name
        self.workers += [value for name, value in context.invocation_metadata() if name == "worker_id"]
        for request in requests:
            self.asked.append(request)
            assert self.answering.wait(WAIT_S)
            yield self._answer(request)
        self.closed.set()

    def _answer(self, request: Any) -> Any:
        key = request.state_key.bag_user_state.key
        if key == b"refused":
            return beam_fn_api_pb2.StateResponse(id=request.id, error="no such key group")
        if request.WhichOneof("request") == "get":
            found = beam_fn_api_pb2.StateGetResponse(data=self.bags.get(key, b""))
            return beam_fn_api_pb2.StateResponse(id=request.id, get=found)
        if request.WhichOneof("request") == "clear":
            self.bags.pop(key, None)
            return beam_fn_api_pb2.StateResponse(id=request.id, clear=beam_fn_api_pb2.StateClearResponse())
        self.bags[key] = self.bags.get(key, b"") + request.append.data
        return beam_fn_api_pb2.StateResponse(id=request.id, append=beam_fn_api_pb2.StateAppendResponse())


class _Served:
    """A runner behind a port of this machine, and a worker's handler that talks to it."""

    def __init__(self) -> None:
        self.runner = _Runner()
        self.server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", -1)])
        beam_fn_api_pb2_grpc.add_BeamFnStateServicer_to_server(self.runner, self.server)
        self.url = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()
        self.handler = PrefetchingStateHandler(beam_fn_api_pb2_grpc.BeamFnStateStub(grpc.insecure_channel(self.url)))


@pytest.fixture
def served() -> Iterator[_Served]:
    one = _Served()
    yield one
    one.runner.answering.set()
    one.handler.done()
    one.server.stop(0).wait(WAIT_S)


def state_key(user: bytes) -> Any:
    bag = beam_fn_api_pb2.StateKey.BagUserState(transform_id="fold", user_state_id="cell", window=b"", key=user)
    return beam_fn_api_pb2.StateKey(bag_user_state=bag)


def test_every_request_arrives_in_order_and_gets_its_own_answer(served):
    users = [b"user-%d" % n for n in range(500)]
    with served.handler.process_instruction_id("bundle-1"):
        sent = []
        for user in users:
            sent += [served.handler.clear(state_key(user)), served.handler.append_raw(state_key(user), user * 100)]
        errors = [future.get(WAIT_S).error for future in sent]
        read = [served.handler.get_raw(state_key(user))[0] for user in users]

    assert errors == [""] * 1000
    assert read == [user * 100 for user in users]
    asked = [(one.state_key.bag_user_state.key, one.WhichOneof("request")) for one in served.runner.asked[:1000]]
    assert asked == [(user, what) for user in users for what in ("clear", "append")]
    assert {one.instruction_id for one in served.runner.asked} == {"bundle-1"}


def test_a_megabyte_is_no_different_from_a_byte(served):
    sizes = [1, 1 << 20, 3, 5 << 20, 0, 1 << 20]
    with served.handler.process_instruction_id("bundle-1"):
        sent = [served.handler.append_raw(state_key(b"user-%d" % n), bytes([n]) * size) for n, size in enumerate(sizes)]
        assert [future.get(WAIT_S).error for future in sent] == [""] * len(sizes)

    assert [len(served.runner.bags[b"user-%d" % n]) for n in range(len(sizes))] == sizes


def test_two_bundles_at_the_same_time_get_their_own_answers(served):
    found: queue.Queue[tuple[int, list[bytes]]] = queue.Queue()

    def bundle(number: int) -> None:
        with served.handler.process_instruction_id(f"bundle-{number}"):
            users = [b"%d-%d" % (number, n) for n in range(200)]
            for future in [served.handler.append_raw(state_key(user), user) for user in users]:
                future.get(WAIT_S)
            found.put((number, [served.handler.get_raw(state_key(user))[0] for user in users]))

    for number in range(3):
        threading.Thread(target=bundle, args=(number,), daemon=True).start()

    read = dict(found.get(timeout=WAIT_S) for _ in range(3))
    assert read == {number: [b"%d-%d" % (number, n) for n in range(200)] for number in range(3)}


def test_what_was_asked_ahead_is_not_asked_again_and_each_read_has_its_own_answer(served):
    users = [b"user-%d" % n for n in range(100)]
    served.runner.bags = {user: user * 10 for user in users}
    with served.handler.process_instruction_id("bundle-1"):
        for user in users:
            served.handler.ask_ahead(state_key(user))
        read = [served.handler.get_raw(state_key(user)) for user in reversed(users)]
        assert read == [(user * 10, b"") for user in reversed(users)]
        assert len(served.runner.asked) == len(users)

        served.runner.bags[users[0]] = b"written since"
        assert served.handler.get_raw(state_key(users[0]))[0] == b"written since"


def test_what_was_asked_ahead_and_not_read_is_forgotten_with_the_bundle(served):
    served.runner.bags[b"user"] = b"before"
    with served.handler.process_instruction_id("bundle-1"):
        served.handler.ask_ahead(state_key(b"user"))
        served.handler.append_raw(state_key(b"user"), b" and after").get(WAIT_S)
    with served.handler.process_instruction_id("bundle-2"):
        assert served.handler.get_raw(state_key(b"user"))[0] == b"before and after"


def test_a_refusal_of_what_was_asked_ahead_is_said_as_it_is_read(served):
    with served.handler.process_instruction_id("bundle-1"):
        served.handler.ask_ahead(state_key(b"refused"))
        with pytest.raises(RuntimeError, match="no such key group"):
            served.handler.get_raw(state_key(b"refused"))


def test_a_bundle_asks_ahead_for_cells_that_say_so_and_only_if_the_worker_does_not_hold_them(served):
    cache = statecache.StateCache(1 << 20)
    handler = sdk_worker.GlobalCachingStateHandler(cache, served.handler)
    served.runner.bags[b"\x04user"] = BytesCoder().get_impl().encode_nested(b"held")
    specs = [CellSpec("cell", BytesCoder()), ReadModifyWriteStateSpec("other", BytesCoder())]
    token = beam_fn_api_pb2.ProcessBundleRequest.CacheToken
    tokens = [token(user_state=token.UserState(), token=b"1")]
    asked_ahead = []
    for bundle in ("bundle-1", "bundle-2"):
        with handler.process_instruction_id(bundle, tokens):
            context = PipelinedContext(handler, "fold", StrUtf8Coder(), GlobalWindowCoder())
            cell, _ = (context.get_state(spec, "user", GlobalWindow()) for spec in specs)
            asked_ahead.append(len(served.handler._context.asked))
            assert cell.read() == b"held"

    assert asked_ahead == [1, 0]
    assert [one.state_key.bag_user_state.user_state_id for one in served.runner.asked] == ["cell"]


def test_what_the_runner_refuses_is_said_to_whoever_asked(served):
    with served.handler.process_instruction_id("bundle-1"):
        assert served.handler.append_raw(state_key(b"refused"), b"x").get(WAIT_S).error == "no such key group"
        with pytest.raises(RuntimeError, match="no such key group"):
            served.handler.get_raw(state_key(b"refused"))


def test_when_the_runner_goes_nobody_waits_for_good(served):
    served.runner.answering.clear()
    with served.handler.process_instruction_id("bundle-1"):
        sent = [served.handler.append_raw(state_key(b"user"), b"x" * 1000) for _ in range(300)]
        served.server.stop(0)

        assert all("has ended" in future.get(WAIT_S).error for future in sent)
        with pytest.raises(RuntimeError, match="has ended"):
            served.handler.get_raw(state_key(b"user"))


def test_whoever_asks_after_the_runner_has_gone_is_told_at_once(served):
    with served.handler.process_instruction_id("bundle-1"):
        served.handler.append_raw(state_key(b"user"), b"x").get(WAIT_S)
        served.server.stop(0).wait(WAIT_S)
        served.handler.append_raw(state_key(b"user"), b"x").get(WAIT_S)  # perhaps before it is noticed

        assert "has ended" in served.handler.append_raw(state_key(b"user"), b"x").get(WAIT_S).error


def test_beams_factory_makes_one_for_each_runner_and_keeps_it(served, monkeypatch):
    monkeypatch.setattr(sdk_worker, "GrpcStateHandler", sdk_worker.GrpcStateHandler)
    put_in_place("state_prefetch")
    factory = sdk_worker.GrpcStateHandlerFactory(statecache.StateCache(1 << 20), worker_id="worker-8")
    handler = factory.create_state_handler(SimpleNamespace(url=served.url))

    assert factory.create_state_handler(SimpleNamespace(url=served.url)) is handler
    assert isinstance(handler._underlying, PrefetchingStateHandler)
    with handler.process_instruction_id("bundle-1", []):
        handler.extend(state_key(b"user"), BytesCoder().get_impl(), [b"a", b"bc"]).get(WAIT_S)
        assert list(handler.blocking_get(state_key(b"user"), BytesCoder().get_impl())) == [b"a", b"bc"]
    assert served.runner.workers == ["worker-8"]
    factory.close()
    assert served.runner.closed.wait(WAIT_S)
