"""Options for Beam that we set unless the user has: whoever names one has the last word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def with_defaults(ours: Mapping[str, str], flags: Sequence[str], given: Sequence[str]) -> list[str]:
    """Return Beam's arguments: ours where `given` names no such option, then `given`.

    Args:
        ours: option -> value.
        flags: options that may be given without a value.
        given: as they were typed, `--option value` or `--option=value`.

    >>> with_defaults({"runner": "X", "streaming": "yes"}, ["fast"], ["--runner=Y"])
    ['--streaming=yes', '--fast', '--runner=Y']
    """
    named = {argument.removeprefix("--").split("=")[0] for argument in given if argument.startswith("--")}
    mine = [f"--{name}={value}" for name, value in ours.items() if name not in named]
    return [*mine, *(f"--{flag}" for flag in flags if flag not in named), *given]
