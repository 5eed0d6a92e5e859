"""Reads of keyed state that are asked for before they are needed, on Beam's own stream of state requests.

Beam's handler sends a read when the value is needed, and waits for its answer: a round trip for each user and bundle.
Here a read can be asked for ahead (`ask_ahead`), so that all of a bundle's answers come together. And Beam's handler
leaves writes waiting for good when the stream ends; here whoever waits gets an error, and so does whoever asks later.

Written for: Beam 2.77.
Replaces: `sdk_worker.GrpcStateHandler`, by a subclass; uses its fields.
Issue of Beam's: none filed that we know of.
To drop it: delete this file; `--state runner` then waits a round trip for each user that a worker reads.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import grpc  # type: ignore[import-untyped]
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.worker import sdk_worker

_ENDED = "the stream of state requests has ended"


def put_in_place() -> None:
    """Have the workers of this process, on a runner that they reach by gRPC, use `PrefetchingStateHandler`."""
    sdk_worker.GrpcStateHandler = PrefetchingStateHandler


class PrefetchingStateHandler(sdk_worker.GrpcStateHandler):
    """Beam's handler of state requests, which can be asked ahead.

    Args:
        state_stub: the runner's service of state.
    """

    def __init__(self, state_stub: Any) -> None:
        self._ended: str | None = None
        super().__init__(SimpleNamespace(State=lambda requests: self._until_it_ends(state_stub.State(requests))))

    def start(self) -> None:
        """Open the stream; Beam's constructor calls it."""
        self._requests: Any = queue.SimpleQueue()  # in C, as Beam's queue is not
        super().start()

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
            RuntimeError: the runner refused, or the stream has ended.
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
        future = super()._request(request)
        if self._ended is not None:  # perhaps since before the future was there to be told
            self._answer_all_with_the_end()
        return future

    def _until_it_ends(self, responses: Iterator[Any]) -> Iterator[Any]:
        """Yield the runner's answers; when no more come, give an error to all who wait."""
        ended = _ENDED
        try:
            yield from responses
        except grpc.RpcError as exc:
            details = exc.details() if callable(getattr(exc, "details", None)) else exc
            ended = f"{_ENDED}: {details}"
        finally:
            self._ended = ended
            self._answer_all_with_the_end()

    def _answer_all_with_the_end(self) -> None:
        while self._responses_by_id:
            try:
                request_id, future = self._responses_by_id.popitem()
            except KeyError:  # somebody else was faster
                return
            future.set(beam_fn_api_pb2.StateResponse(id=request_id, error=self._ended))
