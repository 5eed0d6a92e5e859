"""Writes docs/record.md: what stands in Redis, to the byte, from the tops of the files that pack it: `make docs`.

    python docs/generate_record.py

A test compares the file with what this gives.
"""

from __future__ import annotations

import ast
from itertools import takewhile
from pathlib import Path

from user_state._native import COLUMNS, FAMILIES

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).parent / "record.md"
SECTIONS = (
    ("Keys", "user_state/store/keys.py"),
    ("The registry", "user_state/store/registry.py"),
    ("The outer record", "native/record/envelope.hpp"),
    ("strings", "native/codec/dictionary.hpp"),
    *((family, f"native/families/{family}/columns.hpp") for family in FAMILIES),
    ("Remembered ids", "user_state/state/remembered_ids.py"),
    ("Records of a changed spec", "user_state/state/records.py"),
    ("What is kept of a definition", "user_state/plan/kept.py"),
)
HEAD = """\
# What stands in Redis

Written by `make docs` from the code that packs it; `avro/user_state.avsc` is the schema of the outer record.

Two string keys a user, the record and the remembered ids, which change together in one Lua script
(`user_state/store/replace.lua`) and expire together, and one hash a spec, its **registry**: which spec may write, by
its **epoch**, and the **layouts** of all that did. The same script compares the epoch, so that a newer spec
stops an older one with its first write (`user_state/store/registry.py`, below). A layout lists what a record holds, in
order: the pieces of each family, each with the text of its definition (filter, field, half-lives, ...), and how far
back, how finely and how many of its events are kept. A record names its layout by fingerprint (BLAKE2b of the layout's
JSON, 8 bytes), so that a record made under an older spec can still be read: a part whose definition is the same is
kept, a new one starts empty, one that is gone is dropped when the record is next written.
[design/record-format.md](design/record-format.md) says why a record is as it is.

Each family has the columns of its section below. They follow each other without padding; all numbers are little-endian,
`u`, `i` and `f` being unsigned, signed and floating-point ones of so many bytes. `u0 to u8` is a column of as few bytes
a number as its largest one needs: 0 if all are zeros, 1, 2, 4 or 8. `u4 + u2` is a number whose lower bytes stand in
one column and whose upper ones in the next.

The **version**, bytes 10 to 17 of a record, is what a compare-and-set compares: the count of writes, 4 bytes
big-endian, and 4 random bytes. Expiry is `retention` after the user's last event, set with each write (`PXAT`).
"""


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for title, path in SECTIONS:
        text = _opening(ROOT / path)
        if text is None:
            raise ValueError(f"expected {path} to open with the layout it packs, got no docstring")
        columns = COLUMNS.get(title)
        parts.append(f"\n## {title}\n\n`{path}`\n\n```text\n{text.strip()}\n")
        parts.append("```\n" if columns is None else f"\n{columns}```\n")
    return "".join(parts)


def _opening(path: Path) -> str | None:
    """Return what stands at the top of a file: a docstring, or the comment before all code."""
    source = path.read_text("utf-8")
    if path.suffix == ".py":
        return ast.get_docstring(ast.parse(source))
    lines = list(takewhile(lambda line: line.startswith("//"), source.splitlines()))
    return "\n".join(line.removeprefix("//").removeprefix(" ") for line in lines) or None


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
