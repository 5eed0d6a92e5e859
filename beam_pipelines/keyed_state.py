"""Beam's keyed state as a worker should use it: weighed in a microsecond, read and written without waiting in turn.

Four things in Beam's harness cost more than all the rest of a fold into state:

- Its cache of state weighs each value, on each first read, clear and append, and each time goes through every module
  there is for objects that do not count: about 1 ms, three times a key and bundle. `weigh` knows the size of lists of
  bytes, which is what our states are, and leaves others to Beam.
- At the end of a bundle it writes one key, waits for the runner's answer, and goes on with the next. Here all keys are
  written, and then all answers awaited: the runner works on them in their order either way, and the bundle ends after
  the last answer as before.
- A read waits for its answer. A cell whose spec has `ask_ahead` (`transforms.bundle_cells`) is asked for when an
  element brings its handle, so that what a bundle reads in the end has arrived meanwhile.
- All that goes over a stream of gRPC's that three threads turn, where one does (`state_stream`).

`use_for_keyed_state` puts all of it in place, for this process. It changes when things are sent, never what.
"""

from __future__ import annotations

import sys
from typing import Any

from apache_beam.runners.worker import bundle_processor, sdk_worker, statecache

from beam_pipelines.state_stream import create_state_handler

_weigh_anything = statecache.get_deep_size
_LIST_BYTES = sys.getsizeof([])
_POINTER_BYTES = 8


def weigh(*values: Any) -> int:
    """Return how many bytes values take in memory.

    >>> weigh([b"12345"]) == sys.getsizeof([]) + 8 + sys.getsizeof(b"12345")
    True
    """
    total = 0
    for value in values:
        if type(value) is not list or any(type(one) is not bytes for one in value):
            return int(_weigh_anything(*values))
        total += _LIST_BYTES + _POINTER_BYTES * len(value) + sum(map(sys.getsizeof, value))
    return total


class _Sent:
    """Stands for an answer that is awaited later."""

    def get(self, timeout: float | None = None) -> None:
        """Return at once."""


_SENT = _Sent()


class Pipelined:
    """A state handler of Beam's whose writes are sent at once and awaited together.

    Args:
        handler: Beam's own, which all else is left to.
    """

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        self._unanswered: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    def clear(self, state_key: Any) -> _Sent:
        """See `CachingStateHandler.clear`."""
        self._unanswered.append(self._handler.clear(state_key))
        return _SENT

    def extend(self, state_key: Any, coder: Any, elements: Any) -> _Sent:
        """See `CachingStateHandler.extend`."""
        self._unanswered.append(self._handler.extend(state_key, coder, elements))
        return _SENT

    def ask_ahead(self, state_key: Any) -> None:
        """Ask the runner for a value, if it must be asked and the handler can: `blocking_get` finds the answer."""
        ask = getattr(getattr(self._handler, "_underlying", None), "ask_ahead", None)
        if ask is None:
            return
        token = self._handler._get_cache_token(state_key)
        key = (self._handler._convert_to_cache_key(state_key), token)
        if token and self._handler._state_cache.peek(key) is None:
            ask(state_key)

    def await_all(self) -> None:
        """Wait for the answers.

        Raises:
            RuntimeError: the runner could not write.
        """
        unanswered, self._unanswered = self._unanswered, []
        for future in unanswered:
            answer = future.get()
            if answer is not None and answer.error:
                raise RuntimeError(f"the runner did not write state: {answer.error}")


class PipelinedContext(bundle_processor.FnApiUserStateContext):
    """A DoFn's states, committed together."""

    def __init__(self, state_handler: Any, *args: Any, **kwargs: Any) -> None:
        self._pipelined = Pipelined(state_handler)
        super().__init__(self._pipelined, *args, **kwargs)

    def _create_state(self, state_spec: Any, key: Any, window: Any) -> Any:
        state = super()._create_state(state_spec, key, window)
        if getattr(state_spec, "ask_ahead", False):
            self._pipelined.ask_ahead(state._underlying_bag_state._state_key)
        return state

    def commit(self) -> None:
        """Send what was written, then wait for the runner to have it."""
        super().commit()
        self._pipelined.await_all()


def use_for_keyed_state() -> None:
    """Have Beam use these in this process; call it before anything runs."""
    sdk_worker.GrpcStateHandlerFactory.create_state_handler = create_state_handler
    statecache.get_deep_size = weigh
    bundle_processor.FnApiUserStateContext = PipelinedContext
