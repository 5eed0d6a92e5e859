"""Dead letters as `run` stores them in files: `avro/message.avsc`, with why and when each was refused."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fastavro

from user_state.errors import InputError

MESSAGE_NAME = "user_state.Message"


class Letter(NamedTuple):
    """One dead letter.

    Attributes:
        data: the message's body.
        attributes: its attributes.
        published_us: its publish time, microseconds UTC; None if it had none.
        reason, detail: why it was refused.
        origin: the subscription or file that it came from.
        dead_us: when it was refused, microseconds UTC; None if that is not known.
    """

    data: bytes
    attributes: dict[str, str]
    published_us: int | None
    reason: str
    detail: str
    origin: str
    dead_us: int | None


def letter_files(patterns: list[str]) -> list[str]:
    """Return the files that folders, files and globs name, in order, each once; a folder names its Avro files.

    Raises:
        InputError: one of them names none.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            files = [str(file) for file in sorted(path.glob("*.avro"))]
        else:
            files = [pattern] if path.is_file() else sorted(glob.glob(pattern, recursive=True))
        if not files and not path.is_dir():
            raise InputError(f"expected files of dead letters, or a folder of them, got {pattern}, which names none")
        found.update(dict.fromkeys(files))
    return list(found)


def read_letters(path: str) -> Iterator[Letter]:
    """Yield the dead letters of a file; messages without a reason are none, and are left out.

    Raises:
        InputError: it cannot be read, or is no file of messages.
    """
    try:
        with Path(path).open("rb") as file:
            reader = fastavro.reader(file)
            schema: Any = reader.writer_schema
            if schema.get("name") != MESSAGE_NAME:
                raise InputError(
                    f"expected dead letters ({MESSAGE_NAME}), got {path}, which holds {schema.get('name')}"
                )
            for envelope in reader:
                letter = _letter(envelope)
                if letter is not None:
                    yield letter
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except InputError:
        raise
    except Exception as exc:  # fastavro promises no type of error for bytes that are no Avro file
        raise InputError(f"expected an Avro file of dead letters, got {path}: {exc}") from exc


def _letter(envelope: Any) -> Letter | None:
    if envelope.get("reason") is None:
        return None
    return Letter(
        envelope["data"],
        envelope.get("attributes") or {},
        _microseconds(envelope.get("publish_time")),
        envelope["reason"],
        envelope.get("detail") or "",
        envelope.get("origin") or "",
        _microseconds(envelope.get("dead_at")),
    )


def _microseconds(time: Any) -> int | None:
    return None if time is None else round(time.timestamp() * 1_000_000)
