"""What every benchmark shares: its two options, percentiles, and the JSON line at its end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence


def arguments(description: str, further: Sequence[tuple[str, str, str]] = ()) -> argparse.Namespace:
    """Return `--quick`, `--json`, and further options, given as (option, what its value is called, help)."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less work: under 45 seconds")
    parser.add_argument("--json", action="store_true", help="end with one JSON object of the ratios")
    for option, value, told in further:
        parser.add_argument(option, metavar=value, help=told)
    return parser.parse_args()


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie, the nearest one measured."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def finish(args: argparse.Namespace, results: Mapping[str, float | str | None]) -> None:
    """Print the JSON line, if asked for."""
    if args.json:
        print(json.dumps({name: round(v, 4) if isinstance(v, float) else v for name, v in results.items()}))
