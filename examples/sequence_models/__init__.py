"""A sequence model of users on stored state: trained here, and run by numpy and the standard library from its weights.

Not wired into the spec or the pipeline: a service that wants one keeps its state itself, as bytes.
"""
