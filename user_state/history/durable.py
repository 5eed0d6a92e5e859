"""Files that are whole or not there: written under another name, on disk before they get their own.

Whatever is killed in between leaves a file ending in `.part`, which the next attempt replaces.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from user_state.errors import InputError

PART = ".part"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give the path to write to; when the block ends, what it wrote is on disk and has its name.

    Raises:
        InputError: the disk is full, or the folder cannot be written to.
    """
    part = path.with_name(path.name + PART)
    with writing(path):
        try:
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of an error of the file system what it means.

    Raises:
        InputError: the disk is full, or the folder cannot be written to.
    """
    try:
        yield
    except OSError as exc:
        raise InputError(
            f"cannot write {path}: {exc.strerror or exc}. No file is half-written; run the same command again to go on"
        ) from exc


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON.

    Raises:
        InputError: as `whole_file`.
    """
    with whole_file(path) as part:
        part.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", "utf-8")


def read_json(path: Path) -> Any:
    """Return the value of a file that is there whole, None if there is none."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise InputError(f"cannot read {path}: {exc}") from exc


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
