"""Bytes: records and remembered ids as they are stored."""
