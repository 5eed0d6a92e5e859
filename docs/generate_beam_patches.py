"""Writes docs/design/beam-patches.md from the docstrings of `beam_pipelines/beam_patches`: `make docs`.

    python docs/generate_beam_patches.py

A test compares the file with what this gives.
"""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "beam_pipelines" / "beam_patches"
PAGE = Path(__file__).parent / "design" / "beam-patches.md"
MECHANISM = {"__init__.py", "versions.py"}
SAID = ("Written for", "Replaces", "Issue of Beam's", "To drop it")
HEAD = """\
# Where Beam is altered

Written by `make docs` from `beam_pipelines/beam_patches`. For whoever upgrades Beam, or wonders why this project does
not use it as it is.

Beam is altered, or its internals are used, in these files and nowhere else. Each was written for the versions that it
names. `beam_pipelines/beam_patches/versions.py` compares them with what is installed: with another version a patch in
Python is left out, one warning says what the run is without, and Beam does as it does by itself. Those in Java stand on
the class path of Flink; `deploy/flink/setup.sh` refuses to build them for another version.

**To upgrade Beam:** raise the pin, run the tests of `tests/beam_patches` with each patch's version raised in
`versions.py` and in its docstring, drop those that are not needed any more, and run `make docs`.

Not here, since no internals are used: the worker pool and the checks before a job starts speak Beam's portable protocol
(`apache_beam.portability.api`), which runners and workers of different versions share. DirectRunner is Beam's
`FnApiRunner`, named by its class, since by the name `DirectRunner` Beam 2.77 first tries to download another runner.
`transforms/__init__.py` filters two complaints about absent extras out of Beam's log.
"""


def page() -> str:
    """Return the page.

    Raises:
        ValueError: a patch does not say all that it has to.
    """
    parts = [HEAD]
    for path in patches():
        text = docstring(path)
        said = dict(re.findall(rf"^({'|'.join(SAID)}): (.*?\.?)$(?=\n(?:{'|'.join(SAID)}): |\Z)", text, re.M | re.S))
        missing = [name for name in SAID if name not in said]
        if missing:
            raise ValueError(f"expected {path.relative_to(ROOT)} to say {', '.join(missing)} at its top")
        first, _, why = text.partition(f"{SAID[0]}: ")[0].strip().partition("\n\n")
        why = f"{why.strip()}\n\n" if why else ""
        parts.append(f"## {path.name}\n\n{first}\n\n{why}" + "\n".join(_row(name, said[name]) for name in SAID))
    return "\n".join(f"{part.strip()}\n" for part in parts)


def patches() -> list[Path]:
    """Return the files that are patches."""
    return [
        path for path in sorted(FOLDER.glob("**/*")) if path.suffix in (".py", ".java") and path.name not in MECHANISM
    ]


def docstring(path: Path) -> str:
    """Return what a file says of itself: its docstring, or the comment before its class."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        return ast.get_docstring(ast.parse(text)) or ""
    comment = re.search(r"/\*\*\n(.*?) \*/", text, re.S)
    lines = "" if comment is None else re.sub(r"^ \* ?(<p>)?", "", comment[1], flags=re.M)
    return textwrap.dedent(lines).strip()


def _row(name: str, text: str) -> str:
    return textwrap.fill(f"- **{name}:** {' '.join(text.split())}", 120, subsequent_indent="  ", break_on_hyphens=False)


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
