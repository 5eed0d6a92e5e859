"""A bundle's writes of keyed state, all sent before any answer is awaited.

At the end of a bundle Beam writes one key, waits for the runner's answer, and goes on with the next. Here all keys are
written, and then all answers awaited. The runner works on them in their order either way, and the bundle ends after the
last answer as before.

A cell whose spec has `ask_ahead` (`transforms.bundle_cells`) is also asked for when an element brings its handle, if
the state handler can (`state_prefetch`): what the bundle reads at its end has arrived meanwhile.

Written for: Beam 2.77.
Replaces: `bundle_processor.FnApiUserStateContext`, by a subclass; uses the fields of state and state handlers.
Issue of Beam's: apache/beam#28802 asks for a cache that writes later; none that we know of asks for this.
To drop it: delete this file; `--state runner` then waits two round trips for each user and bundle.
"""

from __future__ import annotations

from typing import Any

from apache_beam.runners.worker import bundle_processor


def put_in_place() -> None:
    """Have the DoFns of this process commit their states together."""
    bundle_processor.FnApiUserStateContext = PipelinedContext


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
