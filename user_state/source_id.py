"""The id of the compiled core's sources, by which a core that was built from others is found out.

    id = BLAKE2b, 8 bytes, over (path, length, content) of every .cpp and .hpp, in order of their paths; hexadecimal

`setup.py` runs this file by its path, so it imports nothing of the project.
"""

from __future__ import annotations

import hashlib
import os

SOURCES = (".cpp", ".hpp")


def source_id(folder: str) -> str:
    """Return the id of the sources below a folder."""
    hashed = hashlib.blake2b(digest_size=8)
    for path, name in sorted(_sources(folder)):
        with open(path, "rb") as file:
            content = file.read()
        hashed.update(f"{name} {len(content)}\n".encode())
        hashed.update(content)
    return hashed.hexdigest()


def _sources(folder: str) -> list[tuple[str, str]]:
    """Return (path, path below the folder, with slashes) of each source."""
    found = []
    for inside, _, names in os.walk(folder):
        paths = [os.path.join(inside, name) for name in names if name.endswith(SOURCES)]
        found += [(path, os.path.relpath(path, folder).replace(os.sep, "/")) for path in paths]
    return found
