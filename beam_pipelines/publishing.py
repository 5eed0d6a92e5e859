"""`user-state publish` for people: checks, a progress line, and what came of it."""

from __future__ import annotations

import time

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from beam_pipelines.publish import Published, Replay, publish_file
from transforms.pubsub_check import check_topic
from user_state.cli.terminal import Terminal, say
from user_state.spec import LoadedSpec


def publish_with_progress(
    spec: LoadedSpec,
    path: str,
    topic: str,
    rate: float | None,
    publish_time_attribute: str | None,
    replay: Replay | None = None,
) -> Published:
    """Publish a file and say how far it is.

    Raises:
        InputError: no such file, nothing in it, or a topic that cannot be published to.
    """
    check_topic(topic)
    console = Terminal(stderr=True)
    began = time.monotonic()
    columns = (TextColumn("publishing"), BarColumn(), TextColumn("{task.completed:,} messages"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("publishing", total=None)
        published = publish_file(
            spec,
            path,
            topic,
            rate,
            publish_time_attribute,
            on_progress=lambda accepted: progress.update(task, completed=accepted),
            replay=replay,
        )
    seconds = time.monotonic() - began
    left_out = f", left out {published.empty:,} empty ones" if published.empty else ""
    say(
        f"published {published.messages:,} messages ({published.body_bytes / 1e6:.1f} MB)"
        f" from {published.files} file(s) to {topic} in {seconds:.1f} s{left_out}"
    )
    return published
