"""What a start costs, and what is said without one: `--help`, `--version`, and commands listed but not imported."""

from __future__ import annotations

import inspect
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from user_state.cli.main import COMMANDS, app

ROOT = Path(__file__).parents[2]
HELP_S = 0.5


def run(*arguments):
    command = [sys.executable, "-m", "user_state.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)


def test_help_lists_every_command_in_less_than_half_a_second_of_processor_time():
    """Source: simonw/llm#1282, NatLibFi/BIBRA#108: `--help` and `--version` that take seconds of imports."""
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        shown = run("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert shown.returncode == 0
    for name in COMMANDS:
        assert f"\n  {name} " in shown.stdout
    assert min(took) < HELP_S


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_help_imports_nothing_that_a_command_needs(command):
    code = f"import sys\nfrom user_state.cli.main import main\nsys.argv[1:] = {[*command, '--help']}\n"
    code += "try:\n    main()\nfinally:\n    sys.stderr.write(' '.join(sorted(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    loaded = set(shown.stderr.split())
    assert "user_state.cli.main" in loaded
    assert not loaded & {"numpy", "redis", "fastavro", "apache_beam", "yaml", "pyarrow"}
    # Typer itself has pydantic read the options of a command.
    assert command or "pydantic" not in loaded


def test_the_version_is_that_of_the_package():
    shown = run("--version")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (shown.returncode, shown.stdout) == (0, f"user-state {declared}\n")


def test_every_command_listed_can_be_imported_and_has_a_docstring_that_begins_as_it_is_listed():
    group = typer.main.get_command(app())
    assert isinstance(group, typer.core.TyperGroup)
    assert list(group.commands) == list(COMMANDS)
    for name, (_, text) in COMMANDS.items():
        said = inspect.cleandoc(group.commands[name].help or "")
        assert said.split()[0] == text.split()[0], name


@pytest.mark.parametrize("wrong", ["bogus", "--bogus", "Get"])
def test_what_is_no_command_is_a_users_mistake(wrong):
    ended = run(wrong)
    assert ended.returncode == 2
    assert wrong in ended.stderr
    assert "Traceback" not in ended.stderr
