"""Lua scripts that a server runs by their digest, and forgets when it is restarted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError


class Script:
    """One script of this folder, for one client."""

    def __init__(self, file: str) -> None:
        self._text = (Path(__file__).parent / file).read_text()
        self._sha: str | None = None

    def load(self, client: Any) -> None:
        """Give the server, or all nodes of a cluster, the script, unless they have it for all that is known."""
        if self._sha is None:
            self._sha = client.script_load(self._text)

    def call(self, pipeline: Any, keys: Sequence[str], *values: Any) -> None:
        """Add a call of the loaded script to a pipeline."""
        # Spelt out: in a pipeline to a cluster redis-py refuses its own `evalsha`, though the keys tell where.
        pipeline.execute_command("EVALSHA", self._sha, len(keys), *keys, *values)

    def run(self, client: Any, keys: Sequence[str], *values: Any) -> Any:
        """Run the script once and return its answer, loading it where the server has forgotten it."""
        self.load(client)
        try:
            return client.execute_command("EVALSHA", self._sha, len(keys), *keys, *values)
        except NoScriptError:
            self._sha = None
            self.load(client)
            return client.execute_command("EVALSHA", self._sha, len(keys), *keys, *values)

    def forgotten(self, answers: Sequence[Any]) -> list[int]:
        """Return which calls did not run because a restarted server has forgotten the script; then it is loaded anew.

        A server that was restarted between loading and calling has forgotten it again: then the error stays among the
        answers, and `translate_response` says that it passes.
        """
        found = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if found:
            self._sha = None
        return found
