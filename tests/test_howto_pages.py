"""What the pages of docs/howto tell people to type works, and prints what they say."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.redis import Valkey
from tests.test_readme import ROOT, _run, _typed

HOWTO = ROOT / "docs" / "howto"
WITH_COMMANDS = ["first-feature", "sequences", "item-vectors", "training-set", "consistency", "backfill"]


def blocks(page: str) -> list[tuple[str, str]]:
    """Return (language, text) of a page's blocks."""
    text = (HOWTO / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_a_page_read_from_top_to_bottom_works(page: str, valkey: Valkey, tmp_path: Path) -> None:
    printed = ""
    for language, text in blocks(page):
        here = text.replace("redis://localhost:6379", valkey.url)
        if language == "sh":
            printed = _run(["bash", "-c", _typed(here)], tmp_path)
        elif language == "python":
            printed = _run([sys.executable, "-c", here], tmp_path)
        elif language == "text":
            for line in text.splitlines():
                assert line in printed
    assert printed


@pytest.mark.server
def test_a_user_whose_keys_were_deleted_is_unknown(valkey: Valkey, tmp_path: Path) -> None:
    if shutil.which("redis-cli") is None:
        pytest.skip("the page deletes with redis-cli, which is not installed")
    ((_, command),) = blocks("delete")
    spec = "examples/starter/user_state.yaml"
    made = f"""
        user-state generate --users 300 --events 2000 --seed 7 --out traffic.avro
        user-state run --spec {spec} --input traffic.avro --redis {valkey.url} --dead-letters dead
        user-state get --spec {spec} --redis {valkey.url} u227 --json
    """
    assert '"present": true' in _run(["bash", "-c", _typed(made)], tmp_path)
    words = shlex.split(command.replace("6379", str(valkey.port)))
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip() == "2"
    left = _run(["bash", "-c", _typed(f"user-state get --spec {spec} --redis {valkey.url} u227 --json")], tmp_path)
    assert '"present": false' in left
