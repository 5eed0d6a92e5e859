"""What redis-py's client is to the store, over the model: every call is a moment at which anything may happen.

A call lets others go on, then reaches the server or not, whole or in part, at once or later; and its answer comes or is
lost. Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis.exceptions import ConnectionError as BrokenConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as NoAnswer

from tests.simulation.redis_model import RedisModel

FAULTS = ("unreached", "unanswered", "cut", "late")
"""unreached: the server never sees the call. unanswered: it does all of it, and the answer is lost. cut: it does the
first half. late: it does all of it after the caller has given up."""


class ModelClient:
    """A client of one worker.

    Args:
        server: the model.
        others_go_on: called at each call, before the server is reached.
        next_fault: returns one of FAULTS for this call, or None.
        later: takes what the server will do later.
    """

    def __init__(
        self,
        server: RedisModel,
        others_go_on: Callable[[], None],
        next_fault: Callable[[], str | None],
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._server = server
        self._others_go_on, self._next_fault, self._later = others_go_on, next_fault, later

    def call(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands; return the answers, errors among them."""
        self._others_go_on()
        fault = self._next_fault()
        if fault == "unreached":
            raise BrokenConnection("Connection refused.")
        if fault == "late":
            self._later(lambda: self._do(commands))
            raise NoAnswer("Timeout reading from socket")
        if fault == "cut":
            self._do(commands[: len(commands) // 2])
            raise BrokenConnection("Connection closed by server.")
        answers = self._do(commands)
        if fault == "unanswered":
            raise BrokenConnection("Connection closed by server.")
        return answers

    def _do(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        answers = []
        for command in commands:
            if any(isinstance(part, bytes) and len(part) > self._server.most_bytes for part in command):
                raise BrokenConnection("Connection closed by server.")
            answers.append(self._server.call(*command))
        return answers

    def execute_command(self, *command: Any) -> Any:
        """Run one command; raise what it is refused with."""
        (answer,) = self.call([command])
        if isinstance(answer, RedisError):
            raise answer
        return answer

    def pipeline(self, *, transaction: bool) -> ModelPipeline:
        """Return an empty pipeline."""
        assert not transaction
        return ModelPipeline(self)

    def script_load(self, text: str) -> str:
        """Load a script, which any call may find forgotten."""
        return self._server.load(text)

    def get(self, key: str) -> Any:
        """GET."""
        return self.execute_command("GET", key)

    def hget(self, key: str, field: str) -> Any:
        """HGET."""
        return self.execute_command("HGET", key, field)

    def hgetall(self, key: str) -> Any:
        """HGETALL."""
        return self.execute_command("HGETALL", key)

    def hset(self, key: str, mapping: Mapping[str, str]) -> Any:
        """HSET."""
        return self.execute_command("HSET", key, *(part for pair in mapping.items() for part in pair))

    def delete(self, *keys: str) -> Any:
        """DEL."""
        return self.execute_command("DEL", *keys)

    def close(self) -> None:
        """There is nothing to close."""


class ModelPipeline:
    """Commands that are sent together."""

    def __init__(self, client: ModelClient) -> None:
        self._client = client
        self._commands: list[tuple[Any, ...]] = []

    def execute_command(self, *command: Any) -> None:
        """Add a command."""
        self._commands.append(command)

    def get(self, key: str) -> None:
        """Add a GET."""
        self._commands.append(("GET", key))

    def hget(self, key: str, field: str) -> None:
        """Add an HGET."""
        self._commands.append(("HGET", key, field))

    def execute(self, *, raise_on_error: bool = True) -> list[Any]:
        """Send them; return the answers."""
        answers = self._client.call(self._commands)
        assert not raise_on_error
        return answers
