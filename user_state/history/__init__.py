"""The same spec over history: what serving would have answered at each label."""

from __future__ import annotations

from user_state.history.training_set import training_set

__all__ = ["training_set"]
