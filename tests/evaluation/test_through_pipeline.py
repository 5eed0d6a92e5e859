"""`user-state evaluate --through-pipeline`: real processes, a real Redis, and the ideal beside what was read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.test_command import typed
from tests.logs import random_log
from tests.servers.pubsub import PubSubEmulator
from user_state.evaluation.log_files import YEAR_2000_US

EVALUATE = ("evaluate", "--protocol", "tgb", "--through-pipeline", "--speed-up", "30", "--segment", "30s")


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    log = random_log(3, events=400, users=9)
    path = tmp_path / "log.txt"
    path.write_text(
        "".join(
            f"{log.users[u]} {log.items[i]} {(t - YEAR_2000_US) // 1_000_000}\n"
            for u, i, t in zip(log.user.tolist(), log.item.tolist(), log.time_us.tolist(), strict=True)
        )
    )
    return path


def evaluated(*words: object, **env: str) -> dict[str, Any]:
    """Run the command in a process of its own and return its JSON."""
    ended = subprocess.run(
        [sys.executable, "-m", "user_state.cli.main", *map(str, words), "--json"],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def checked(told: dict[str, Any]) -> None:
    """What must hold however busy the machine is."""
    assert told["accounting"].startswith(f"read {told['events_played']:,} = applied {told['events_played']:,} ")
    assert [age["age"] for age in told["ages"]] == ["fresh", "1m"]
    assert told["events_never_readable"] == 0
    delays = told["readable_after_wall_s"]
    assert 0 < delays["p50"] <= delays["p90"] <= delays["p99"] <= delays["max"]
    minute = told["ages"][1]
    assert minute["reads_left_out"] == 0
    # A minute of event time is two seconds here: what the pipeline is not through with by then is counted. A reader
    # that is late itself sees an event more.
    if minute["reads_behind"] == 0:
        assert minute["through_pipeline"]["mrr"] == pytest.approx(minute["ideal"]["mrr"], abs=0.03)
    assert minute["ideal"]["tested"] == told["tested"]


@pytest.mark.slow
def test_a_paced_file_through_the_pipeline(log_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'user-state[evaluate]'")
    plot = tmp_path / "curve.svg"
    told = evaluated(*EVALUATE, "--input", log_file, "--ages", "1m", "--plot", plot)
    checked(told)
    assert (told["source"], told["speed_up"], told["tested"]) == ("file", 30, 59)
    texts = {element.text for element in ET.fromstring(plot.read_text()).iter("{http://www.w3.org/2000/svg}text")}
    assert {"sketch, ideal", "sketch, through pipeline", "MRR against the age of the state"} <= texts


@pytest.mark.slow
@pytest.mark.pubsub
def test_pubsub_through_the_pipeline(log_file: Path, pubsub: PubSubEmulator) -> None:
    topic = pubsub.create_topic(f"evaluate-{uuid.uuid4().hex}")
    subscription = pubsub.create_subscription(f"evaluate-{uuid.uuid4().hex}", topic)
    to = ("--topic", f"pubsub://{topic}", "--subscription", f"pubsub://{subscription}")
    told = evaluated(*EVALUATE, "--input", log_file, "--ages", "1m", *to, PUBSUB_EMULATOR_HOST=pubsub.host)
    checked(told)
    assert told["source"] == "pubsub"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--scorer", "popularity"), "expected a scorer of records (sketch, recent) to go through the pipeline"),
        (("--scorer", "sketch", "--scorer", "sketch"), "expected one scorer to go through the pipeline, got 2"),
        (("--scorer", "recent"), "expected recent:popular=false,records=true"),
        (("--segment", "soon"), "expected a segment such as 20m, got 'soon'"),
        (("--topic", "pubsub://projects/p/topics/t"), "expected a topic and a subscription, or neither"),
        (("--protocol", "prequential"), "expected --protocol tgb to go through the pipeline, got prequential"),
    ],
)
def test_what_does_not_go_together_is_told_before_anything_starts(
    words: tuple[str, ...],
    said: str,
    log_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert typed(monkeypatch, *EVALUATE, "--input", log_file, *words) == 2
    assert said in " ".join(capsys.readouterr().err.split())
