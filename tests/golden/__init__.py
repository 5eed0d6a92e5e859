"""Bytes of every released version, kept as they were."""
