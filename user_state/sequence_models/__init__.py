"""Sequence models that run on stored state: numpy and the standard library only, weights from a file.

Not wired into the spec or the pipeline: a service that wants one keeps its state itself, as bytes.
"""
