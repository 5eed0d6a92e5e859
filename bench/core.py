"""What the core costs: apply, features, encode and decode of the reference spec, beside Beam's own keyed state.

    python bench/core.py [--quick] [--json]

apply     from record bytes and an event row to record bytes again (decode, fold, encode), for batches of 1 to 10,000
          events of the reference workload; a batch's users are whoever acted. As the pipeline does it
state     a stateful DoFn on the FnApiRunner that reads and writes as many bytes, one key, many elements: what an
          element of the simplest stateful pipeline costs, and of that what its state does
features  finishing 1, 100 and 10,000 records
replay    features before each event, beside folding each event and finishing the record after it, with
          nothing of Python between but one call each
history   one event for a user with 100, 1,000, 10,000 and 100,000 past events: it must not cost more

Times are processor time, all threads together, which a busy machine changes little.

The reference workload is `user-state generate`'s traffic (bursty sessions, skewed users and items) over 30 days, 80
events a user in the mean; the reference spec is examples/feed/user_state.yaml.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.coders import BytesCoder
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from anywhere, as a script too


from bench.report import arguments, finish
from user_state.embeddings.item_vectors import NoVectors
from user_state.errors import EventError
from user_state.events.decode import EventDecoder
from user_state.events.generate import generate
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.reading.features import Reader
from user_state.reading.replay import Questions, Replay
from user_state.spec import load_spec
from user_state.state.events import EventRow, Events
from user_state.state.records import PackedRecords

SPEC = Path(__file__).parent.parent / "examples" / "feed" / "user_state.yaml"
DAY_US = 86_400_000_000
END_US = 1_800_000_000_000_000
EVENTS_A_USER = 80
VERSION = bytes(8)


def main() -> None:
    """Measure and print."""
    args = arguments(__doc__ or "")
    users, seconds = (1_000, 1.0) if args.quick else (5_000, 4.0)
    loaded = load_spec(SPEC)
    plan = compile_plan(loaded)
    decoder = EventDecoder(plan, loaded.schema)
    rows = list(workload(decoder, users))
    cut = len(rows) * 9 // 10
    shelf = Shelf(plan)
    shelf.fold(rows[:cut])
    sizes = sorted(map(len, shelf.stored.values()))
    median = sizes[len(sizes) // 2]
    print(
        f"{len(plan.scalars) + len(plan.arrays)} features, {len(plan.all_lists)} lists, {len(plan.embeddings)} vectors;"
    )
    print(f"{len(sizes):,} records: median {median:,} bytes, heaviest 1 % {sizes[len(sizes) * 99 // 100]:,} or more\n")

    stateful_us, state_us = state_access(median, 2_000 if args.quick else 10_000)
    print(f"stateful DoFn, {median:,} bytes: {stateful_us:6.1f} us an element, {state_us:.1f} of them for its state\n")

    apply_us = {}
    for size in (1, 10, 100, 10_000):
        apply_us[size] = shelf.time_batches(rows[cut:], size, seconds)
        print(
            f"apply, batches of {size:6,}: {apply_us[size]:8.1f} us an event,"
            f" {apply_us[size] / stateful_us:6.2f} of a stateful element"
        )
    print()

    blobs = list(shelf.stored.values())
    features_us, floor_us = {}, {}
    reader = Reader(plan, shelf.packed)
    for size in (1, 100, 10_000):
        chosen = (blobs * (size // len(blobs) + 1))[:size]
        features_us[size] = timed(partial(reader.features, chosen, END_US), seconds / 3) / size
        floor_us[size] = timed(partial(copied, chosen), seconds / 3) / size
        print(
            f"{size:6,} records: features {features_us[size]:7.2f} us a record; copying its bytes {floor_us[size]:.2f}"
        )
    print()
    replayed = replay_rate(plan, shelf.packed, reader, rows, seconds)
    print(
        f"features before each event: {replayed['replay_rows_per_s']:,.0f} rows/s replayed,"
        f" {replayed['replay_rows_ratio_to_fold_and_features']:.2f} times as many as by fold and features of the core,"
        f" {replayed['loop_rows_per_s']:,.0f} by a loop of Python's\n"
    )
    curve = {past: history(plan, decoder, past, seconds / 2) for past in (100, 1_000, 10_000, 100_000)}
    for past, (per_event_us, size) in curve.items():
        times = per_event_us / curve[100][0]
        print(f"one event after {past:7,}: {per_event_us:7.1f} us ({times:.2f} x), a record of {size:6,} bytes")
    finish(
        args,
        {
            "apply_one_ratio_to_state_access": apply_us[1] / stateful_us,
            "batch_speedup": apply_us[1] / apply_us[10_000],
            "apply_one_us": apply_us[1],
            "batch_us_per_event": apply_us[10_000],
            "features_us_per_record_1": features_us[1],
            "features_us_per_record_100": features_us[100],
            "stateful_element_us": stateful_us,
            "copy_us_per_record_1": floor_us[1],
            "copy_us_per_record_100": floor_us[100],
            "median_record_bytes": float(median),
            **replayed,
            "one_event_100000_to_100_past": curve[100_000][0] / curve[100][0],
            "record_bytes_100000_past": float(curve[100_000][1]),
        },
    )


def workload(
    decoder: EventDecoder, users: int, events_a_user: int = EVENTS_A_USER, seed: int = 1
) -> Iterator[EventRow]:
    """Yield the reference workload's rows in order of arrival."""
    for message in generate(users, users * events_a_user, seed, end_us=END_US, span_us=30 * DAY_US):
        assert message.event is not None
        try:
            yield decoder.row(message.event, None)
        except EventError:  # not wanted by any feature
            continue


class Shelf:
    """Records as bytes, by user."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.stored: dict[str, bytes] = {}
        self.packed = PackedRecords(plan)

    def fold(self, rows: Sequence[EventRow], size: int = 10_000) -> None:
        """Fold rows in, batch by batch."""
        for begin in range(0, len(rows), size):
            events = Events.from_rows(self.plan, rows[begin : begin + size])
            held = [self.stored.get(user) for user in events.users]
            none = np.zeros(len(held), np.int64)
            blobs, _ = self.packed.fold(held, events, none, [VERSION] * len(held))
            self.stored.update((user, blob) for user, blob in zip(events.users, blobs, strict=True) if blob is not None)

    def time_batches(self, rows: Sequence[EventRow], size: int, seconds: float) -> float:
        """Return microseconds an event for folding batches of `size`, for so many seconds, over and over."""
        before = dict(self.stored)
        spent, folded = 0.0, 0
        while spent < seconds:
            for begin in range(0, len(rows), size):
                batch = rows[begin : begin + size]
                began = time.process_time()
                self.fold(batch, size)
                spent += time.process_time() - began
                folded += len(batch)
                if spent >= seconds:
                    break
            self.stored = dict(before)
        return spent / folded * 1e6


def copied(blobs: Sequence[bytes]) -> list[bytearray]:
    """Copy records' bytes: the least that reading them can do."""
    return [bytearray(blob) for blob in blobs]


def replay_rate(
    plan: Plan, packed: PackedRecords, reader: Reader, rows: Sequence[EventRow], seconds: float
) -> dict[str, float]:
    """Return rows a second of features before each event, replayed, and by a loop of one fold and one look-up each.

    The ratio is to `fold` and `features` of records as bytes, called for all users at once.
    """
    users = list(dict.fromkeys(row[0] for row in rows))
    few = set(users[: max(1, len(users) // 50)])
    chosen = [row for row in rows if row[0] in few]
    events = Events.from_rows(plan, chosen)
    before = np.arange(len(events))
    questions = Questions(events.user, events.published_us, before)
    replay = Replay(plan)
    vectors = {table: NoVectors(dimensions) for table, dimensions in plan.item_tables.items()}
    replay_us = timed(lambda: replay.play(events, questions).finished(vectors), seconds) / len(events)

    def loop() -> None:
        stored: dict[str, bytes | None] = {}
        for row in chosen:
            blobs = [stored.get(row[0])]
            reader.features(blobs, row[3], reader.histories(blobs, row[3]), vectors)
            (stored[row[0]],), _ = packed.fold(blobs, Events.from_rows(plan, [row]), np.zeros(1, np.int64), [VERSION])

    # All users at once, event by event of each: what a call costs is shared by as many as there are.
    waves = waves_of(plan, chosen)

    def fold_and_features() -> None:
        stored: dict[str, bytes | None] = {}
        for wave, at_us in waves:
            blobs = [stored.get(user) for user in wave.users]
            reader.features(blobs, at_us, reader.histories(blobs, at_us), vectors)
            none = np.zeros(len(blobs), np.int64)
            folded, _ = packed.fold(blobs, wave, none, [VERSION] * len(blobs))
            stored.update(zip(wave.users, folded, strict=True))

    calls_us = timed(fold_and_features, seconds) / len(events)
    loop_us = timed(loop, seconds) / len(events)
    return {
        "replay_rows_per_s": 1e6 / replay_us,
        "replay_rows_ratio_to_fold_and_features": calls_us / replay_us,
        "loop_rows_per_s": 1e6 / loop_us,
    }


def waves_of(plan: Plan, rows: Sequence[EventRow]) -> list[tuple[Events, NDArray[np.int64]]]:
    """Return every user's first event, then every user's second one and so on, and when they were published."""
    of_user: dict[str, list[EventRow]] = {}
    for row in rows:
        of_user.setdefault(row[0], []).append(row)
    waves = [list(filter(None, wave)) for wave in zip_longest(*of_user.values())]
    return [(Events.from_rows(plan, wave), np.array([row[3] for row in wave])) for wave in waves]


def timed(work: Callable[[], object], seconds: float) -> float:
    """Return microseconds a call, the fastest of five rounds."""
    best = float("inf")
    gc.collect()
    for _ in range(5):
        calls, began = 0, time.process_time()
        while (spent := time.process_time() - began) < seconds / 5 or not calls:
            work()
            calls += 1
        best = min(best, spent / calls)
    return best * 1e6


def history(plan: Plan, decoder: EventDecoder, past: int, seconds: float) -> tuple[float, int]:
    """Return (microseconds for one more event, bytes of the record) of a user with so many events in 30 days."""
    rows = list(workload(decoder, 1, past + 100))
    shelf = Shelf(plan)
    shelf.fold(rows[:-100])
    (size,) = map(len, shelf.stored.values())
    return min(shelf.time_batches(rows[-100:], 1, seconds) for _ in range(2)), size


class _Plain(beam.DoFn):
    def process(self, element: tuple[str, int]) -> Iterable[None]:
        return ()


class _Stateful(beam.DoFn):
    STATE = ReadModifyWriteStateSpec("record", BytesCoder())

    def __init__(self, size: int) -> None:
        self._size = size

    def process(self, element: tuple[str, int], state: Any = beam.DoFn.StateParam(STATE)) -> Iterable[None]:  # noqa: B008
        state.read()
        state.write(bytes(self._size))
        return ()


def state_access(size: int, elements: int) -> tuple[float, float]:
    """Return (microseconds an element of a stateful DoFn, how many of them a DoFn without state does not need)."""

    def run(dofn: beam.DoFn, count: int) -> float:
        began = time.process_time()
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            keyed = pipeline | "Create" >> beam.Create([("user", n) for n in range(count)])
            _ = keyed | "Shuffle" >> beam.Reshuffle() | "Fold" >> beam.ParDo(dofn)
        return time.process_time() - began

    # Starting and ending a pipeline costs as much as thousands of elements: take it off.
    def per_element(dofn: beam.DoFn) -> float:
        return (min(run(dofn, elements) for _ in range(3)) - min(run(dofn, 1) for _ in range(3))) / elements * 1e6

    stateful, plain = per_element(_Stateful(size)), per_element(_Plain())
    return stateful, max(0.0, stateful - plain)


if __name__ == "__main__":
    main()
