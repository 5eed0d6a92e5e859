"""What `user-state check` says of a spec: for people and as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from user_state.cli.outputs import output_rows, outputs_table
from user_state.cli.terminal import Terminal, say_json
from user_state.cli.worst import worst_case_json, worst_case_lines
from user_state.costs import ACTIVITIES, Activity, Cost, added_bytes, cost
from user_state.durations import format_duration
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.plan.spec_change import SpecChange, spec_change
from user_state.spec import LoadedSpec, load_spec
from user_state.spec.aggregations import AGGREGATIONS
from user_state.spec.event_schema import EventSchema
from user_state.spec.resolution import changes

WIDEST_TABLE = 1000
TYPICAL = ACTIVITIES[1]


def check_spec(
    spec: Path, given: tuple[float, int, int] | None, redis: str | None, generation: str | None, as_json: bool
) -> None:
    """Print what comes out of a spec.

    Args:
        spec: its file.
        given: sessions a day, events a session and days of a user whose record is estimated beside those of the usual.
        redis: where records are that it is compared with.
        generation: of these records; None for the one that is served.
        as_json: whether to print JSON.

    Raises:
        SpecError: the spec is wrong.
        InputError, StoreUnavailable, StoreError, CodecError: as `stored_layouts`.
    """
    loaded = load_spec(spec)
    if redis is not None:
        from user_state.store.generations import generation_to_read

        loaded = loaded.of_generation(generation_to_read(redis, loaded.spec.name, generation))
    plan = compile_plan(loaded)
    added = _bytes_by_output(loaded)
    activities = ACTIVITIES if given is None else (*ACTIVITIES, Activity("given", *given))
    stored = None if redis is None else list(_stored(plan, redis))
    costs = {activity: cost(loaded, activity) for activity in activities}
    if as_json:
        say_json(_jsonable(loaded, plan, added, costs, stored), indent=2)
        return
    console = Terminal()
    table = outputs_table(plan, added)
    widths = console.measure(table, options=console.options.update(max_width=WIDEST_TABLE))
    # A file or pipe has any width. Names are never cut: a terminal wraps what is too wide for it.
    fits = console.is_terminal or "COLUMNS" in os.environ
    console.width = max(console.width, widths.minimum if fits else widths.maximum)
    declared = loaded.spec
    console.print(
        f"{spec}: ok. {len(declared.features)} features, {len(declared.sequences)} sequences,"
        f" {len(declared.embeddings)} embeddings of events of {loaded.schema.name}\n",
    )
    console.print(table, soft_wrap=False)
    if plan.keyed_tracks or plan.keyed_decays:
        console.print(
            "\nkeys: exact as long as no tile has more of them than stated; beyond that a count is never too high, and"
            "\ntoo low by at most the stated part of N, the window's events with a key (decayed as the counts are)",
        )
    _print_versions(console, loaded.schema)
    lateness = format_duration(plan.allowed_lateness_us)
    console.print(f"\nexpected bytes a user in Redis, keys included; remembered ids: those of the last {lateness}\n")
    console.print_table(costs_table(costs))
    console.print()
    for line in worst_case_lines(plan, {activity.label: bytes_of.record for activity, bytes_of in costs.items()}):
        console.print(line)
    if stored is not None:
        _print_stored(console, plan.keyspace, stored)


def _stored(plan: Plan, redis: str) -> Iterator[dict[str, Any]]:
    """Yield each layout of the records in Redis, the commonest first, with what the plan makes of it.

    Raises:
        InputError, StoreUnavailable, StoreError, CodecError: as `stored_layouts`.
    """
    from user_state.store.survey import stored_layouts

    found = stored_layouts(redis, plan.keyspace)
    for fingerprint in sorted(found.held.keys() | found.registered.keys(), key=lambda f: (-found.held[f], f)):
        layout = found.registered.get(fingerprint)
        yield {
            "layout": fingerprint.hex(),
            "records": found.held[fingerprint],
            "all_records": found.whole,
            "own": fingerprint == plan.layout.fingerprint,
            "changes": None if layout is None else asdict(spec_change(plan, layout, found.registered.values())),
        }


def _print_stored(console: Terminal, name: str, stored: Sequence[Mapping[str, Any]]) -> None:
    """Print what the spec makes of the records in Redis."""
    if not stored:
        console.print(f"\nno records of {name} in Redis: every feature starts empty")
        return
    looked_at = sum(held["records"] for held in stored)
    which = "all" if stored[0]["all_records"] else f"the first {looked_at:,}"
    console.print(f"\nlayouts of {name} in Redis, and how many of {which} records have them:")
    for held in stored:
        heading = f"  {held['layout']}  {held['records']:,}"
        if held["own"]:
            lines = ["of this spec: keeps everything"]
        elif held["changes"] is None:
            lines = ["registered nowhere: such records cannot be read"]
        else:
            lines = list(SpecChange(**held["changes"]).lines())
        for line in (f"{heading}  {lines[0]}", *(" " * len(heading) + f"  {line}" for line in lines[1:])):
            console.print(line)


def _jsonable(
    loaded: LoadedSpec,
    plan: Plan,
    added: Mapping[str, int],
    costs: Mapping[Activity, Cost],
    stored: Sequence[Mapping[str, Any]] | None,
) -> dict[str, Any]:
    """Return all that is printed as JSON values."""
    schemas = (loaded.schema, *loaded.schema.versions)
    found: dict[str, Any] = {
        "name": plan.name,
        "outputs": [{**asdict(row), "bytes": added.get(row.name)} for row in output_rows(plan)],
        "event_schemas": [
            {"fingerprint": schema.fingerprint.hex(), "file": schema.file, "differs": _differs(schema, loaded.schema)}
            for schema in schemas
        ],
        "encoding": loaded.schema.bodies.encoding,
        "costs": [
            {
                **asdict(activity),
                "record_bytes": bytes_of.record_in_redis,
                "seen_bytes": bytes_of.seen_in_redis,
            }
            for activity, bytes_of in costs.items()
        ],
        "worst_case": worst_case_json(plan),
    }
    return found if stored is None else {**found, "records": list(stored)}


def _differs(schema: EventSchema, read_as: EventSchema) -> list[str]:
    return changes(schema.whole, read_as.whole)


def _print_versions(console: Terminal, schema: EventSchema) -> None:
    """Print the schemas that events are found by, each with what reading it as `schema` does."""
    console.print("\nevent schemas accepted, by fingerprint:")
    for accepted in (schema, *schema.versions):
        differs = ", ".join(_differs(accepted, schema)) or "no difference"
        note = "the schema that all events are read as" if accepted is schema else differs
        line = f"  {accepted.fingerprint.hex()}  {accepted.file}: {note}"
        console.print(line)
    _print_bodies(console, schema)


def _print_bodies(console: Terminal, schema: EventSchema) -> None:
    """Print how bodies are encoded, and the schemas that they name by id or revision."""
    bodies = schema.bodies
    if bodies.declared or bodies.by_revision:
        known = f", schemas by id from {bodies.registry}" if bodies.registry else ""
        console.print(f"\nbodies: {bodies.encoding}{known}")
    for name, accepted in (*bodies.by_id.items(), *bodies.by_revision.items()):
        differs = ", ".join(_differs(accepted, schema)) or "no difference"
        console.print(f"  {name}  {accepted.file}: {differs}")


def costs_table(costs: Mapping[Activity, Cost]) -> Table:
    """Return a table of what a user of each activity costs."""
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("user", "sessions a day", "events a session", "days", "record", "remembered ids"):
        table.add_column(heading, no_wrap=True, justify="left" if heading == "user" else "right")
    for activity, bytes_of in costs.items():
        table.add_row(
            activity.label,
            f"{activity.sessions_a_day:g}",
            f"{activity.events_a_session:,}",
            f"{activity.days:,}",
            f"{bytes_of.record_in_redis:,}",
            f"{bytes_of.seen_in_redis:,}",
        )
    return table


def _bytes_by_output(loaded: LoadedSpec) -> dict[str, int]:
    """Return for the first output of each feature, sequence and embedding the bytes that it adds."""
    added = added_bytes(loaded, TYPICAL)
    spec = loaded.spec
    first = {name: name for name in spec.sequences}
    for name, feature in spec.features.items():
        aggregate = feature.aggregate[0]
        reach = getattr(feature, AGGREGATIONS[aggregate].over)[0]
        first[name] = f"{name}_{aggregate}_{reach}"
    for name, embedding in spec.embeddings.items():
        first[name] = embedding.outputs(name)[0][0]
    return {output: added[name] for name, output in first.items()}
