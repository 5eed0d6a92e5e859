"""Which versions of Beam each patch was written for; where another is installed, the patch is left out.

A patch depends on parts of Beam that may change in any release. So its module is imported only after the installed
version was compared with those in `PATCHES`; with any other version one warning says what the run is without, and
Beam does as it does by itself. `uses` is for modules that bring something to call, `put_in_place` for those that alter
Beam in this process.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from typing import NamedTuple

import apache_beam

_LOG = logging.getLogger(__name__)
_warned: set[str] = set()


class Patch(NamedTuple):
    """What a patch was written for.

    Attributes:
        versions: of Beam's Python SDK, major and minor.
        without: what happens where it is left out.
    """

    versions: tuple[str, ...]
    without: str


PATCHES: Mapping[str, Patch] = {
    "direct_metrics": Patch(
        ("2.77",), "a live run on DirectRunner may end in a RecursionError after about a thousand bundles"
    ),
    "first_bundle": Patch(("2.77",), "a worker that is killed before its first bundle may leave its job waiting"),
    "hang_ups": Patch(("2.77",), "a worker whose TaskManager hangs up prints stack traces"),
    "job_messages": Patch(("2.77",), "a job that Flink refuses is reported after a minute, without Flink's reason"),
    "logged_errors": Patch(("2.77",), "an error that ends the run is also logged with its stack trace"),
    "option_names": Patch(("2.77",), "an option that Beam does not know is a warning and no error"),
    "state_prefetch": Patch(("2.77",), "with --state runner each read of state waits for its own answer"),
    "state_sizes": Patch(("2.77",), "with --state runner keyed state takes about 3 ms more for each user and bundle"),
    "state_writes": Patch(("2.77",), "with --state runner each write of state waits for its own answer"),
}
"""By the name of the module in this folder."""


def uses(name: str) -> bool:
    """Return whether a patch fits the installed Beam; warn, once in a process, if it does not."""
    patch = PATCHES[name]
    if fits(apache_beam.__version__, patch.versions):
        return True
    if name not in _warned:
        _warned.add(name)
        _LOG.warning(
            "Apache Beam %s is installed, and the patch %s was written for %s, so it is left out: %s",
            apache_beam.__version__,
            name,
            " and ".join(patch.versions),
            patch.without,
        )
    return False


def put_in_place(*names: str) -> None:
    """Alter Beam, in this process, by those patches that fit it; a second call changes nothing."""
    for name in names:
        if uses(name):
            importlib.import_module(f"{__package__}.{name}").put_in_place()


def fits(installed: str, versions: tuple[str, ...]) -> bool:
    """Return whether an installed version is a release of one of these.

    >>> fits("2.77.1", ("2.76", "2.77")), fits("2.7.0", ("2.77",)), fits("2.78.0", ("2.77",))
    (True, False, False)
    """
    return ".".join(installed.split(".")[:2]) in versions
