"""Every place where Apache Beam is altered, or where its internals are used, a file each.

The docstring of each says which versions of Beam it was written for, why it exists, which issue of Beam's it answers,
and how to drop it; docs/design/beam-patches.md is made of them. `versions` lists them, and leaves each out where
another version of Beam is installed.
"""
