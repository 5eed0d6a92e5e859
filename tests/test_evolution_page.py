"""What docs/evolution.md shows is what its example is, and what the commands do."""

import re
from pathlib import Path

import fastavro

from tests.servers.pipeline import run_command
from user_state.spec import load_spec

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "evolution" / "user_state.yaml"
PAGE = (ROOT / "docs" / "evolution.md").read_text()


def _block(language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return block


def test_the_lines_of_the_spec_are_those_of_the_example() -> None:
    assert _block("yaml") in EXAMPLE.read_text()


def test_check_prints_what_is_said() -> None:
    checked = run_command("check", EXAMPLE)
    assert checked.returncode == 0, checked.stderr
    assert _block("text") in checked.stdout


def test_the_traffic_is_a_third_of_each_version(tmp_path: Path) -> None:
    command, *arguments = _block("sh").split()
    assert command == "user-state"
    out = tmp_path / "mixed.avro"
    made = run_command(*(out if part == "mixed.avro" else ROOT / part if "/" in part else part for part in arguments))
    assert made.returncode == 0, made.stderr
    with out.open("rb") as file:
        prints = [envelope["data"][2:10] for envelope in fastavro.reader(file)]
    schema = load_spec(EXAMPLE).schema
    assert len(prints) == 2000
    for version in (schema, *schema.versions):
        assert 550 < prints.count(version.fingerprint) < 800
