"""The graphs, their options and their commands."""
