"""Beam's requests for keyed state on a stream that one thread turns: the same requests, in the same order.

gRPC's Python streams take three threads a stream, which wake each other several times for every message, and each
message is a write to the socket of its own. With `--state runner` there are two requests a user and bundle, so this
was a third of a worker's processor time. Here

- a request is sent by the thread that makes it, or, while another is on its way, by the thread that learns of its end;
- a request behind which others wait may be put on the wire together with them, which gRPC calls a buffer hint; the
  last of them never bears it, so nothing is held back;
- one thread reads the answers, in gRPC's inner layer, where it need not ask another for each.

That inner layer, which gRPC's own streams stand on, is not part of its public interface. A version of gRPC without it
is noticed when the stream is opened, and Beam's own handler takes its place.

When the stream ends, whoever waits for an answer is told so, and so is whoever asks later.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.worker import sdk_worker

_METHOD = b"/org.apache.beam.model.fn_execution.v1.BeamFnState/State"
_BUFFER_HINT = 1
_UNBOUNDED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_ENDED = "the stream of state requests has ended"
# What an event of gRPC's is of.
_BEGUN, _SENT, _RECEIVED, _CLOSED, _STATUS = "begun", "sent", "received", "closed", "status"

_LOG = logging.getLogger(__name__)
_beams_own = sdk_worker.GrpcStateHandlerFactory.create_state_handler


class StreamedStateHandler(sdk_worker.GrpcStateHandler):
    """Beam's handler of state requests, with a stream of our own below it.

    Args:
        channel: a gRPC channel, without interceptors.
        worker_id: what the runner knows this worker by.

    Raises:
        AttributeError, ImportError, TypeError: this version of gRPC has no such inner layer.
    """

    def __init__(self, channel: Any, worker_id: str | None) -> None:
        from grpc._cython import cygrpc  # type: ignore[import-untyped]

        self._cygrpc = cygrpc
        self._channel = channel  # kept: a channel closes when nobody has it
        self._metadata = () if worker_id is None else (("worker_id", worker_id),)
        super().__init__(None)

    def start(self) -> None:
        """Open the stream; Beam's constructor calls it."""
        cygrpc = self._cygrpc
        self._done = False
        self._sending = threading.Lock()
        # With the lock held:
        self._waiting: deque[bytes] = deque()
        self._on_its_way = self._closing = self._closed = self._ended = False
        begin = (
            ((cygrpc.SendInitialMetadataOperation(self._metadata, 0),), _BEGUN),
            ((cygrpc.ReceiveInitialMetadataOperation(0),), _BEGUN),
            ((cygrpc.ReceiveStatusOnClientOperation(0),), _STATUS),
            ((cygrpc.ReceiveMessageOperation(0),), _RECEIVED),
        )
        self._call = self._channel._channel.segregated_call(0, _METHOD, None, None, self._metadata, None, begin, None)
        threading.Thread(target=self._read, name="read_state", daemon=True).start()

    def done(self) -> None:
        """Send what waits, then say that nothing more comes."""
        with self._sending:
            self._done = self._closing = True
            self._send()

    @contextmanager
    def process_instruction_id(self, bundle_id: str) -> Iterator[None]:
        """Take requests for a bundle; what was asked ahead and not read is forgotten at its end."""
        with super().process_instruction_id(bundle_id):
            self._context.asked = {}
            try:
                yield
            finally:
                self._context.asked = {}

    def ask_ahead(self, state_key: Any) -> None:
        """Ask for a value that `get_raw` is to return in this bundle, before anything writes it."""
        request = beam_fn_api_pb2.StateRequest(state_key=state_key, get=beam_fn_api_pb2.StateGetRequest())
        self._context.asked[state_key.SerializeToString()] = self._request(request)

    def get_raw(self, state_key: Any, continuation_token: bytes | None = None) -> tuple[bytes, bytes | None]:
        """Return a page of a value, and how to ask for the next.

        Raises:
            RuntimeError: the runner could not tell.
        """
        if not continuation_token and self._context.asked:
            asked = self._context.asked.pop(state_key.SerializeToString(), None)
            if asked is not None:
                response = asked.get()
                if response.error:
                    raise RuntimeError(response.error)
                return response.get.data, response.get.continuation_token
        page: tuple[bytes, bytes | None] = super().get_raw(state_key, continuation_token)
        return page

    def _request(self, request: Any) -> Any:
        request.id = self._next_id()
        request.instruction_id = self._context.process_instruction_id
        message = request.SerializeToString()
        future = sdk_worker._Future()
        with self._sending:
            if self._ended:
                return future.set(beam_fn_api_pb2.StateResponse(id=request.id, error=_ENDED))
            self._responses_by_id[request.id] = future
            self._waiting.append(message)
            self._send()
        return future

    def _send(self) -> None:
        """Send the oldest request that waits, if none is on its way; the lock is held."""
        if self._on_its_way or self._ended:
            return
        if self._waiting:
            message = self._waiting.popleft()
            flags = _BUFFER_HINT if self._waiting else 0
            self._on_its_way = self._call.operate((self._cygrpc.SendMessageOperation(message, flags),), _SENT)
        elif self._closing and not self._closed:
            self._closed = True
            self._call.operate((self._cygrpc.SendCloseFromClientOperation(0),), _CLOSED)

    def _read(self) -> None:
        """Hand out the answers until the stream ends."""
        details = ""
        try:
            while (event := self._call.next_event()).tag != _STATUS:
                if event.tag == _RECEIVED:
                    self._answered(event.batch_operations[0].message())
                elif event.tag == _SENT:
                    with self._sending:
                        self._on_its_way = False
                        self._send()
            details = event.batch_operations[0].details()
        finally:
            self._tell_the_end(details)

    def _answered(self, message: bytes | None) -> None:
        if message is None:
            return  # no more will come: the status follows
        self._call.operate((self._cygrpc.ReceiveMessageOperation(0),), _RECEIVED)
        response = beam_fn_api_pb2.StateResponse.FromString(message)
        self._responses_by_id.pop(response.id).set(response)

    def _tell_the_end(self, details: str) -> None:
        with self._sending:
            self._ended = True
            self._waiting.clear()
            unanswered = list(self._responses_by_id.items())
            self._responses_by_id.clear()
        for request_id, future in unanswered:
            future.set(beam_fn_api_pb2.StateResponse(id=request_id, error=f"{_ENDED}: {details}"))


def create_state_handler(factory: Any, descriptor: Any) -> Any:
    """Return what answers a worker's requests for state, as `GrpcStateHandlerFactory.create_state_handler` does."""
    if not descriptor or factory._credentials is not None:
        return _beams_own(factory, descriptor)
    with factory._lock:
        handler = factory._state_handler_cache.get(descriptor.url)
        if handler is None:
            channel = sdk_worker.GRPCChannelFactory.insecure_channel(descriptor.url, options=list(_UNBOUNDED))
            try:
                streamed = StreamedStateHandler(channel, factory._worker_id)
            except (AttributeError, ImportError, TypeError) as exc:
                _LOG.warning("keyed state costs more with this version of gRPC: %s", exc)
            else:
                handler = sdk_worker.GlobalCachingStateHandler(factory._state_cache, streamed)
                factory._state_handler_cache[descriptor.url] = handler
    return _beams_own(factory, descriptor) if handler is None else handler
