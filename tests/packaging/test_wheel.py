"""The wheel works where there is no compiler, in an environment that has only what it depends on, pinned.

USER_STATE_WHEEL=PATH tests that wheel; without it one is built, by way of the sources that would be published.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.servers.redis import Valkey

ROOT = Path(__file__).parents[2]
SOURCES = (
    *("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"),
    *("requirements.txt", "requirements-compiler.txt"),
    *("native", "avro", "user_state", "transforms", "beam_pipelines", "examples", "tests", "bench"),
)
BUILD_TIMEOUT_S = 600
# The first test waits for the build.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * BUILD_TIMEOUT_S)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel, and the sources that it was made of.

    Built from a copy: what a build leaves in the tree would be seen by other tests meanwhile.
    """
    given = os.environ.get("USER_STATE_WHEEL")
    if given is not None:
        return Path(given).resolve().parent
    copy, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("built")
    ignored = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info")
    for name in SOURCES:
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, copy / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(place, copy)
    _run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(built)],
        cwd=copy,
        env={**os.environ},
    )
    return built


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("user_state-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh environment with the wheel and its dependencies, in the versions that requirements.txt pins."""
    place = tmp_path_factory.mktemp("fresh")
    venv.create(place, with_pip=True)
    pip = [*("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"), "--only-binary=:all:"]
    _run(
        [str(place / "bin/python"), *pip, "--constraint", str(ROOT / "requirements.txt"), str(wheel)],
        cwd=place,
        env=_bare(place),
    )
    yield place
    shutil.rmtree(place)


def _bare(place: Path) -> dict[str, str]:
    """Return an environment with no compiler in it, and nothing of this checkout."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "HOME", "SSL_"))}
    return {**kept, "PATH": str(place / "bin"), "CC": "/bin/false", "CXX": "/bin/false"}


def _run(command: list[str], *, cwd: Path, env: dict[str, str]) -> str:
    ended = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False
    )
    assert ended.returncode == 0, f"{command}:\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout


def test_it_holds_what_is_no_python_and_none_of_tests_and_bench(wheel: Path) -> None:
    with ZipFile(wheel) as opened:
        names = set(opened.namelist())
    of_the_source = {
        path.relative_to(ROOT).as_posix()
        for package, suffixes in (("user_state", ".avsc .lua .yaml .pyi .typed"), ("beam_pipelines", ".yaml"))
        for path in (ROOT / package).rglob("*")
        if path.suffix in suffixes.split() or path.name == "py.typed"
    } | {f"user_state/schemas/{path.name}" for path in (ROOT / "avro").glob("*.avsc")}
    assert {
        "user_state/schemas/interaction.avsc",
        "user_state/store/replace.lua",
        "user_state/py.typed",
    } <= of_the_source
    assert of_the_source <= names
    assert any(name.startswith("user_state/_native.") and name.endswith(".so") for name in names)
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"user_state", "transforms", "beam_pipelines"}


@pytest.mark.skipif("USER_STATE_WHEEL" in os.environ, reason="a wheel was given, without its sources")
def test_the_published_sources_are_complete(built: Path) -> None:
    (archive,) = built.glob("user_state-*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "native").rglob("*.?pp")} <= names
    assert "requirements-compiler.txt" in names


def test_events_are_folded_and_read_without_a_compiler(installed: Path, valkey: Valkey, tmp_path: Path) -> None:
    program = shutil.copy(Path(__file__).with_name("round_trip.py"), tmp_path)
    shutil.copytree(ROOT / "examples/starter", tmp_path / "starter")
    shutil.copy(ROOT / "avro/interaction.avsc", tmp_path / "starter")
    python = str(installed / "bin/python")
    spec = "starter/user_state.yaml"
    printed = _run([python, "-I", str(program), spec, valkey.url], cwd=tmp_path, env=_bare(installed))
    told = json.loads(printed)
    assert Path(told["place"]).is_relative_to(installed)
    assert told["views"] == [3.0, 2.0, 0.0]


def test_its_metadata_names_all_that_it_needs(installed: Path, tmp_path: Path) -> None:
    python = str(installed / "bin/python")
    assert "No broken requirements" in _run([python, "-m", "pip", "check"], cwd=tmp_path, env=_bare(installed))
    assert "user-state" in _run([str(installed / "bin/user-state"), "--help"], cwd=tmp_path, env=_bare(installed))
