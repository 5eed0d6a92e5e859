"""Which arguments of a command line are no option of Beam's.

Beam warns of what it does not know, among other warnings, and runs without it. Which options there are,
Beam's classes of options say to an argument parser, by a private method.

Written for: Beam 2.77.
Replaces: nothing; calls `_add_argparse_args` of all subclasses of `PipelineOptions`.
Issue of Beam's: apache/beam#28402, since which Beam warns.
To drop it: delete this file; a misspelt option is then a warning and no error.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions


def unknown_options(arguments: Sequence[str]) -> list[str]:
    """Return those arguments that no option of Beam's takes."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for view in PipelineOptions.__subclasses__():
        add = view.__dict__.get("_add_argparse_args")
        if add is not None:
            try:
                view._add_argparse_args(parser)
            except argparse.ArgumentError:  # two classes have an option of this name
                continue
    return parser.parse_known_args(list(arguments))[1]
