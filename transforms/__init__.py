"""Beam shells around the core, one PTransform a file."""
