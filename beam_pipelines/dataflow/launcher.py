"""What the Flex template's launcher starts: `user-state run --runner dataflow` with the template's parameters.

    python -m beam_pipelines.dataflow.launcher --input=... --redis=... --runner=DataflowRunner --project=... ...

The launcher passes the parameters of deploy/dataflow/metadata.json and Dataflow's own options, each as `--name=value`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from user_state.cli.main import main as command

SPEC = "/template/spec/user_state.yaml"
"""Where deploy/dataflow/Dockerfile puts the spec."""


def arguments(given: Sequence[str]) -> list[str]:
    """Return the arguments of `user-state` for those of the launcher.

    >>> arguments(["--runner=DataflowRunner", "--input=pubsub://projects/p/subscriptions/s"])[:4]
    ['run', '--runner=dataflow', '--spec=/template/spec/user_state.yaml', '--input=pubsub://projects/p/subscriptions/s']
    """
    kept = [argument for argument in given if not argument.startswith("--runner=")]
    spec = [] if any(argument.startswith("--spec=") for argument in kept) else [f"--spec={SPEC}"]
    return ["run", "--runner=dataflow", *spec, *kept]


def main() -> None:
    """Write the job for Dataflow to start."""
    sys.argv = ["user-state", *arguments(sys.argv[1:])]
    command()


if __name__ == "__main__":
    main()
