"""Ids and values that would move a terminal's cursor, forge a line or be taken for markup: shown, never obeyed."""

import ast
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from tests.pipelines.test_dead_letters_away import event
from tests.servers.pipeline import run_command
from tests.servers.redis import Valkey, running_valkey
from user_state.cli.main import main
from user_state.cli.terminal import Terminal, say, say_json
from user_state.events.avro_files import interaction_schema, write_events
from user_state.printable import printable

NASTY = [
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31mred",
    "[/bold]",
    "[bold red]x[/]",
    "[link=http://x]y",
    "a\r\nerror: forged",
    "\u202eabc\u2066",
    ":smile:\x7f\x00",
    "\u2028next",
    "\ufeff\u200bzero",
]
SPEC = """\
name: hostile
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time}
allowed_lateness: 365d
max_clock_skew: 5m
retention: 3650d
features:
  views: {aggregate: count, windows: [1h, lifetime]}
  seen: {aggregate: last_k, of: item_id, k: 5, windows: [lifetime]}
sequences:
  recent: {fields: [item_id, category, event_time], last: 5}
"""
HERE = Path(__file__).parents[2]


def assert_safe(text: str) -> None:
    raw = {char for char in text if not char.isprintable()} - {"\n"}
    assert not raw, (raw, text)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str | Path]]:
    """Events of hostile users with hostile items in Redis; yields what every command needs."""
    folder = tmp_path_factory.mktemp("hostile")
    with running_valkey(folder / "valkey") as valkey:
        yield _filled(folder, valkey)


def _filled(tmp_path: Path, valkey: Valkey) -> list[str | Path]:
    spec, events = tmp_path / "user_state.yaml", tmp_path / "events.avro"
    spec.write_text(SPEC)
    time_us = 1_767_225_600_000_000
    listed = [
        event(user, time_us + at) | {"event_id": f"{user}{at}", "item_id": NASTY[-at], "category": user}
        for at, user in enumerate(NASTY)
    ]
    write_events(events, [*listed, event("", time_us) | {"item_id": NASTY[0]}], interaction_schema())
    ran = run_command("run", "--spec", spec, "--input", events, "--redis", valkey.url, "--dead-letters", tmp_path / "d")
    assert ran.returncode == 0, ran.stderr
    assert_safe(ran.stdout + ran.stderr)
    return ["--spec", spec, "--redis", valkey.url]


NAMES = [name for name in NASTY if "\0" not in name]
"""What can be an argument of a command."""


def test_looking_users_up_shows_them_escaped(world: list[str | Path]):
    ended = run_command("get", *world, *NAMES)
    assert ended.returncode == 0, ended.stderr
    assert_safe(ended.stdout + ended.stderr)
    for name in NAMES:
        assert printable(name) in ended.stdout
    assert ended.stdout.count("as of") == len(NAMES)
    assert "last event" in ended.stdout
    assert "\nerror: forged" not in ended.stdout


def test_json_has_them_as_they_are_and_no_raw_control_character(world: list[str | Path]):
    ended = run_command("get", *world, "--json", *NAMES)
    assert_safe(ended.stdout)
    told = json.loads(ended.stdout)
    assert list(told) == NAMES
    assert {told[name]["sequences"]["recent"]["category"][0] for name in NAMES} == set(NAMES)


def test_verify_names_differing_users_escaped(world: list[str | Path], tmp_path: Path):
    nobody = tmp_path / "nobody.avro"
    write_events(nobody, [event("u", 1_767_225_600_000_000)], interaction_schema())
    ended = run_command("verify", *world, "--events", nobody)
    assert ended.returncode == 1, ended.stderr
    assert "[/bold] " in ended.stdout
    assert_safe(ended.stdout + ended.stderr)


@pytest.mark.parametrize("nasty", NAMES)
def test_errors_quote_what_came_escaped(world, tmp_path, nasty, monkeypatch, capsys):
    file = nasty.replace("/", "")
    for arguments in (
        ("get", *world, "u", "--at", nasty),
        ("nearest", *world, nasty, "--embedding", nasty),
        ("verify", *world, "--events", nasty),
        ("items", "load", *world, "--table", nasty, "--from", nasty),
        ("check", tmp_path / f"{file}.yaml"),
        ("run", "--spec", world[1], "--input", nasty, "--redis", "redis://localhost"),
        ("run", "--spec", world[1], "--input", world[1].parent / "events.avro", "--redis", nasty),
        ("publish", "--spec", world[1], "--from", nasty, "--to", nasty),
        ("convert", tmp_path / file, "--out", tmp_path / "o"),
    ):
        monkeypatch.setattr(sys, "argv", ["user-state", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        said = capsys.readouterr()
        assert said.err.startswith("error: ")
        assert_safe(said.out + said.err)


def test_a_user_id_that_is_no_text_is_refused(world: list[str | Path]):
    ended = run_command("get", *world, "\udcff")
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr


def test_tables_lines_and_json_are_safe_whatever_they_are_given(capsys: pytest.CaptureFixture[str]):
    file = io.StringIO()
    terminal = Terminal(file=file)
    table = Table(box=None)
    table.add_column("".join(NASTY))
    for name in NASTY:
        table.add_row(name)
        terminal.print(name)
        say(name)
    terminal.print(table)
    terminal.print(Text(printable(NASTY[0]), "bold"))
    say_json({name: name for name in NASTY})
    assert_safe(file.getvalue())
    printed = capsys.readouterr().out
    assert_safe(printed)
    assert json.loads(printed.splitlines()[-1]) == {name: name for name in NASTY}
    assert file.getvalue().count("[bold red]x[/]") == 3


def printing(path: Path) -> list[str]:
    """Return where a file prints by other means than `cli.terminal`."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in ("print", "typer.echo", "Console", "sys.stdout.write", "click.echo"):
                found.append(f"{path.relative_to(HERE)}:{node.lineno} {name}")
    return found


def test_one_file_prints():
    places = [path for top in ("user_state", "transforms", "beam_pipelines") for path in (HERE / top).rglob("*.py")]
    assert len(places) > 100
    found = [one for path in places for one in printing(path)]
    assert {one.split(":")[0] for one in found} == {"user_state/cli/terminal.py"}


def test_what_is_printable_is_what_python_calls_so():
    for code in [*range(0x3000), 0xD800, 0xE000, 0xFEFF, 0xFFFE, 0x1F600, 0xE0001, sys.maxunicode]:
        shown = printable(chr(code))
        assert shown.isprintable()
        assert (shown == chr(code)) == chr(code).isprintable()
        assert ast.literal_eval(f"'{shown}'" if shown not in "'\\" else repr(shown)) == chr(code)
