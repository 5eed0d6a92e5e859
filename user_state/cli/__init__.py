"""The `user-state` command."""
