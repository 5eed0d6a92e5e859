"""How fast bodies become columns: flat and nested Avro, beside fastavro alone, which makes dicts of them.

    python -m bench.decoding [--quick] [--json]

Prints events a second of one thread; the fastest of several runs counts.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro

from user_state.durations import parse_duration_us
from user_state.events.as_written import Writers
from user_state.events.decode import EventDecoder
from user_state.events.generate import generate
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec, parse_spec
from user_state.state.event_batch import MessageList

PULL = 1000
EVENTS, QUICK_EVENTS = 100_000, 10_000
RUNS = 5
HEADER_BYTES = 10
BESIDE = Path(__file__).parent
COMMON = "allowed_lateness: 1d\nmax_clock_skew: 5m\nretention: 90d\n"
FLAT = f"""
name: flat
events: {{schema: interaction.avsc, user: user_id, id: event_id, time: event_time, published: published_at}}
{COMMON}
features:
  n: {{aggregate: count, where: {{action: view}}, windows: [1d]}}
  watched: {{aggregate: sum, of: value, windows: [1d]}}
  by: {{aggregate: count_by, by: category, windows: [1d]}}
sequences: {{recent: {{fields: [item_id, action], last: 10}}}}
"""
NESTED = f"""
name: nested
events: {{schema: decoding_nested.avsc, user: who.user_id, id: event_id, time: event_time}}
{COMMON}
features:
  n: {{aggregate: count, where: {{action: view}}, windows: [1d]}}
  watched: {{aggregate: sum, of: value, windows: [1d]}}
  by: {{aggregate: count_by, by: device.os, windows: [1d]}}
  tags: {{aggregate: count_by, by: tags, windows: [1d]}}
  skus: {{aggregate: count_by, by: items.sku, windows: [1d]}}
  country: {{aggregate: count_by, by: attributes.country, windows: [1d]}}
"""


def bodies_of(spec: LoadedSpec, events: int) -> list[bytes]:
    """Return bodies as an app would send them."""
    made = generate(
        1000, events, 7, end_us=1_700_000_000_000_000, span_us=parse_duration_us("1d"), writers=Writers(spec)
    )
    return [message.data for message in made]


def events_a_second(events: int, run: Callable[[], Any]) -> float:
    """Return how many events a second the fastest of several runs makes."""
    fastest_s = min(_timed(run) for _ in range(RUNS))
    return events / fastest_s


def _timed(run: Callable[[], Any]) -> float:
    began_s = time.perf_counter()
    run()
    return time.perf_counter() - began_s


def measure(text: str, events: int) -> dict[str, float]:
    """Return events a second: of this decoder to columns, of it to dicts, of fastavro to dicts."""
    spec = parse_spec(text, beside=BESIDE)
    decoder = EventDecoder(compile_plan(spec), spec.schema)
    bodies = bodies_of(spec, events)
    messages = [(body, {}, None, None, "") for body in bodies]
    pulls = [MessageList.of_messages(messages[at : at + PULL]) for at in range(0, events, PULL)]
    assert all(not decoder.batch(pull).refused for pull in pulls)  # else nothing was measured
    plain = [body[HEADER_BYTES:] for body in bodies]
    schema = spec.schema.parsed
    return {
        "columns": events_a_second(events, lambda: [decoder.batch(pull) for pull in pulls]),
        "dicts": events_a_second(events, lambda: [decoder.decode(body) for body in bodies]),
        "fastavro": events_a_second(
            events, lambda: [fastavro.schemaless_reader(io.BytesIO(body), schema, None) for body in plain]
        ),
    }


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_EVENTS:,} events instead of {EVENTS:,}")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    events = QUICK_EVENTS if given.quick else EVENTS
    found = {name: measure(text, events) for name, text in (("flat", FLAT), ("nested", NESTED))}
    if given.json:
        print(json.dumps(found))
        return
    print(f"{'events a second':12} {'columns':>12} {'dicts':>12} {'fastavro':>12} {'columns / fastavro':>20}")
    for name, speeds in found.items():
        shown = [f"{speeds[kind]:>12,.0f}" for kind in ("columns", "dicts", "fastavro")]
        print(f"{name:15} {' '.join(shown)} {speeds['columns'] / speeds['fastavro']:>20.1f}")


if __name__ == "__main__":
    main()
