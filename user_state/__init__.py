"""Windowed behaviour state and incrementally updated embeddings for every user, served from Redis.

    from user_state import UserStateClient
    client = UserStateClient.from_url("redis://localhost:6379", "user_state.yaml")
    batch = client.get_many(["u1", "u2"])
    batch.values  # float32, (users, features), columns named by batch.names

Importing this package is cheap: the client, and Redis with it, is loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from user_state.errors import UserStateError

if TYPE_CHECKING:
    from user_state.answers.log import AnswerLog
    from user_state.client import UserStateClient
    from user_state.results import UserState, UserStateBatch
    from user_state.spec import load_spec

__version__ = "0.1.0"
__all__ = ["AnswerLog", "UserState", "UserStateBatch", "UserStateClient", "UserStateError", "__version__", "load_spec"]
_HOME = {
    "AnswerLog": "user_state.answers.log",
    "UserState": "user_state.results",
    "UserStateBatch": "user_state.results",
    "UserStateClient": "user_state.client",
    "load_spec": "user_state.spec",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
