"""Vectors of items and users: tables of item vectors, and embeddings that are composed when they are read (numpy)."""
