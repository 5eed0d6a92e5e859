"""Where there is no C++ compiler, one is installed as a package, which is said; where there is one, nothing happens."""

import importlib.util
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def fetch(path: Path, **named: str) -> subprocess.CompletedProcess[str]:
    """Run what `make` runs, with nothing but `path` to find programs on, and no index for pip."""
    env = {name: value for name, value in os.environ.items() if name not in {"CC", "CXX"}}
    return subprocess.run(
        [sys.executable, "setup.py", "--quiet", "fetch_compiler"],
        cwd=ROOT,
        env={**env, "PATH": str(path), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", **named},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(importlib.util.find_spec("ziglang") is not None, reason="the package is installed here")
def test_without_one_it_says_what_it_downloads_and_what_to_do_if_that_fails(tmp_path: Path) -> None:
    ended = fetch(tmp_path)
    assert "no C++ compiler on this machine" in ended.stdout
    assert "takes some minutes" in ended.stdout
    assert ended.returncode != 0
    assert ended.stderr.splitlines()[-1] == (
        "pip could not install a compiler (see above): install g++ or clang++, or set CXX"
    )
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("name", ["c++", "g++", "clang++"])
def test_one_on_the_path_is_enough(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    (tmp_path / name).chmod(stat.S_IRWXU)
    ended = fetch(tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_one_that_is_named_is_enough(tmp_path: Path) -> None:
    ended = fetch(tmp_path, CXX="/opt/cc/bin/c++ -pthread")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
