"""Comparing what the client answered with what history says: equal, in flight, or unexplained."""
