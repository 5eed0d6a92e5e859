"""What reading a record costs, in instructions: a figure that noise cannot move, and a ceiling that it must not pass.

Counted by callgrind, of the package `valgrind`, while compiled code reads the same 100 records again and again; records
of made-up traffic with a fixed seed, of the starter example and of the 60-feature feed example. A ceiling is a tenth
above what was counted when it was set, since compilers differ: who makes reading faster lowers it.

    python bench/instructions.py [--json]

Ends with 1 if a ceiling is passed, and with 2 where there is no valgrind.
"""

from __future__ import annotations

import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from anywhere, as a script too

from bench.report import arguments, finish
from user_state.errors import EventError
from user_state.evaluation.memory_store import MemoryStore
from user_state.events.decode import EventDecoder
from user_state.events.generate import generate
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.reading.features import Reader
from user_state.spec import load_spec
from user_state.state.records import PackedRecords

CEILINGS = {"starter": 12_100, "feed": 35_800}
"""Instructions a record."""
EXAMPLES = Path(__file__).parent.parent / "examples"
END_US, DAY_US = 1_800_000_000_000_000, 86_400_000_000
RECORDS, ROUNDS, EVENTS_A_USER = 100, 20, 30
COUNTED = "user_state::reading::*::features(*"
"""The function that is counted, with all that it calls."""


def main() -> None:
    """Count and print."""
    args = arguments(__doc__ or "")
    if shutil.which("valgrind") is None:
        print("skipped: there is no valgrind here")
        sys.exit(2)
    results: dict[str, float | str | None] = {}
    above = []
    for example, ceiling in CEILINGS.items():
        count = counted(example)
        results[f"{example}_instructions_a_record"] = count
        print(f"{example:8} {count:8,.0f} instructions a record, of at most {ceiling:,}", flush=True)
        above += [example] if count > ceiling else []
    finish(args, results)
    if above:
        sys.exit(f"error: reading {', '.join(above)} takes more instructions than it may: see CEILINGS")


def counted(example: str) -> float:
    """Return the instructions that reading a record of an example takes."""
    with tempfile.TemporaryDirectory(prefix="user-state-instructions-") as folder:
        records = Path(folder) / "records"
        records.write_bytes(pickle.dumps(made(example)))
        reading = [sys.executable, __file__, "--read", example, str(records)]
        command = [
            *("valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"),
            *(f"--toggle-collect={COUNTED}", *reading),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None or int(found[1]) == 0:
        sys.exit(f"error: expected valgrind to count {COUNTED}, got:\n{done.stderr[-2000:]}")
    return int(found[1]) / (RECORDS * ROUNDS)


def made(example: str) -> list[bytes | None]:
    """Return records of made-up traffic, the same at every call."""
    spec = load_spec(EXAMPLES / example / "user_state.yaml")
    plan = compile_plan(spec)
    decoder = EventDecoder(plan, spec.schema)
    store = MemoryStore()
    folder = Folder(plan, store)
    folder.start()
    rows = []
    for message in generate(RECORDS, RECORDS * EVENTS_A_USER, 1, end_us=END_US, span_us=30 * DAY_US):
        assert message.event is not None
        try:
            rows.append(decoder.row(message.event, None))
        except EventError:
            continue
    folder.fold(rows)
    users = sorted({row[0] for row in rows})
    return [stored.record for stored in (store.read(users) * 2)[:RECORDS]]


def read(example: str, file: str) -> None:
    """Read the records as often as they are counted."""
    plan = compile_plan(load_spec(EXAMPLES / example / "user_state.yaml"))
    records = PackedRecords(plan, None)
    program = Reader(plan, records).native
    blobs = pickle.loads(Path(file).read_bytes())
    at_us = np.full(len(blobs), END_US)
    for _ in range(ROUNDS):
        _, wrong = program.features(records.native, blobs, at_us)
        assert not wrong


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(sys.argv[2], sys.argv[3])
    else:
        main()
