"""Says at the command what hinders its workers: Redis that is away or full, a subscription that cannot be pulled from.

Workers say so on the run's board (`transforms.health`). What they cannot say, since the board is in Redis, is found
out here: the command writes to the board now and then.
"""

from __future__ import annotations

import time

from user_state.cli.terminal import Terminal
from user_state.errors import StoreError
from user_state.store.run_board import RunBoard

LOOK_S = 1.0
PROBE_S = 5.0
"""How often it is tried whether Redis can be written to."""
SAY_AGAIN_S = 60.0
_NEVER_S = float("-inf")


class Health:
    """What hinders a run; each thing is said once a minute at most, and once that nothing does any more."""

    def __init__(self, console: Terminal, board: RunBoard) -> None:
        self._console = console
        self._board = board
        self._looked_s = self._probed_s = _NEVER_S
        self._of_redis: str | None = None
        self._said_s: dict[str, float] = {}
        self._hindered = False

    def look(self, of_flink: str | None = None) -> None:
        """Say what is new; call it as often as you like.

        Args:
            of_flink: what hinders the caller itself.
        """
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        found = of_flink or self._found(now_s)
        if found is None and self._hindered:
            self._console.print("running again")
            self._said_s.clear()
        elif found is not None and now_s - self._said_s.get(found, _NEVER_S) > SAY_AGAIN_S:
            self._console.print(f"waiting, nothing is lost: {found}")
            self._said_s[found] = now_s
        self._hindered = found is not None

    def _found(self, now_s: float) -> str | None:
        try:
            if self._of_redis is not None or now_s - self._probed_s >= PROBE_S:
                self._probed_s = now_s
                self._board.say_watched()
                self._of_redis = None
            return self._board.trouble()
        except StoreError as exc:
            self._of_redis = str(exc)
            return self._of_redis
