"""Logging what the client answered, for `user-state consistency` to compare with history."""
