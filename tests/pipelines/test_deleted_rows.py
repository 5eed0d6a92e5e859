"""Change events with deletes and tombstones, from a file of messages to verified records; each is in one bin.

Brute force tells a delete by its own walk along the user's path (`user_state/oracle/replay.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.events.encodings import bare
from tests.events.test_change_events import ENVELOPE, SPEC, T0, change, row
from tests.servers.redis import Valkey
from user_state.events.avro_files import write_messages
from user_state.events.message import Message

M = 60_000_000


def user_state(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "user_state.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["raw", "json"])
def test_deletes_are_ignored_in_run_and_in_verify_alike(valkey: Valkey, tmp_path: Path, encoding: str) -> None:
    (tmp_path / "acts.avsc").write_text(json.dumps(ENVELOPE))
    events = {**SPEC["events"], "encoding": encoding, "deletes": "ignore"}  # type: ignore[dict-item]
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({**SPEC, "events": events, "retention": "36500d"}))
    changes = [change("c", after=row(id=n, user_id=n % 3, created_at=T0 + n * M)) for n in range(30)]
    changes[5:5] = [change("d", before=row(id=n)) for n in range(4)]
    changes.append(change("c", after=row(id=99, created_at=0)))
    bodies = [bare(one, ENVELOPE) if encoding == "raw" else json.dumps(one).encode() for one in changes] + [b""]
    messages = [Message(body, {}, T0 + 40 * M, None, "") for body in bodies]
    write_messages(tmp_path / "changes.avro", messages, ENVELOPE)
    spec, traffic = str(tmp_path / "spec.yaml"), str(tmp_path / "changes.avro")
    ran = user_state(
        *("run", "--spec", spec, "--input", traffic, "--redis", valkey.url, "--max_dead_letters", "50%"),
        *("--dead-letters", str(tmp_path / "dead")),
    )
    assert ran.returncode == 0, ran.stderr
    told = ran.stdout + ran.stderr
    assert "read 36 = applied 30 + duplicate 0 + ignored 5 + dead letters 1 (invalid 1)" in told
    verified = user_state("verify", "--spec", spec, "--events", traffic, "--redis", valkey.url)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "applied 30, dead_letter/invalid 1, duplicate 0, ignored 5" in verified.stdout + verified.stderr
