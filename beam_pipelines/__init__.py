"""The graphs, their options and their commands."""

import transforms  # noqa: F401 - before Beam, whose complaints it leaves out
