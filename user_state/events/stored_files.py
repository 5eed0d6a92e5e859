"""Event files of this machine and of object stores: what matches a pattern, how a path is opened, what a file is.

A path with a scheme is Arrow's (`pyarrow.fs`): `gs://bucket/name`, `s3://bucket/name`, `file:///path`, with the
credentials of the environment, as Google's and Amazon's own tools find them. The pipeline reads the same paths by
Beam's file systems (`transforms/file_systems.py`), which know further schemes.

    *, ?, [abc]   anything but `/`
    **            any folders, also none
"""

from __future__ import annotations

import glob
import io
import os
import re
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from user_state.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMES = ("gs", "s3", "file")
_RETRY = timedelta(seconds=60)
_CONNECT_S, _ANSWER_S = 10, 60
_READ_AHEAD = 1 << 20
_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(?!/*\Z)")
"""Also what a `Path` makes of a scheme, which has one slash."""


class FileFacts(NamedTuple):
    """How large a file is, and when it was changed last, nanoseconds since 1970."""

    size: int
    changed_ns: int


def has_scheme(path: str) -> bool:
    """Return whether a path is of an object store, or anything else with a scheme.

    >>> has_scheme("gs://b/x.avro"), has_scheme("gs:/b/x.avro"), has_scheme("logs/x.avro"), has_scheme("C:/x")
    (True, True, False, False)
    """
    return _NAMED.match(path) is not None


def check_of_this_machine(path: str | Path, what: str) -> None:
    """Refuse a path with a scheme where only files of this machine are written or read.

    Raises:
        InputError: it has one.
    """
    if has_scheme(str(path)):
        raise InputError(f"expected a path of this machine for {what}, got {path}: copy it from or to there")


def matching(pattern: str) -> list[str]:
    """Return the files that a path or a pattern means, sorted.

    Raises:
        InputError: there are none, or its file system cannot be used here.
    """
    if has_scheme(pattern):
        found = sorted(_matched(pattern))
    else:
        found = [pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern, recursive=True))
        found = [path for path in found if not Path(path).is_dir()]
    if not found:
        raise InputError(f"expected a file of events or a pattern of them, got {pattern}, which matches no file")
    return found


def open_stored(path: str) -> BinaryIO:
    """Open a file to be read, as it is; raises OSError."""
    if not has_scheme(path):
        return Path(path).open("rb")
    system, inside = _system(path)
    try:
        opened = system.open_input_file(inside)
    except ValueError as exc:  # such as a bucket without a key
        raise OSError(str(exc)) from exc
    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, opened), _READ_AHEAD))


def facts_of(path: str) -> FileFacts:
    """Return what a file is.

    Raises:
        InputError: there is none, or it cannot be looked at.
    """
    try:
        if not has_scheme(path):
            found = Path(path).stat()
            return FileFacts(found.st_size, found.st_mtime_ns)
        system, inside = _system(path)
        (info,) = system.get_file_info([inside])
    except (OSError, ValueError) as exc:
        raise InputError(f"cannot read {path}: {getattr(exc, 'strerror', None) or exc}") from exc
    if not info.is_file:
        raise InputError(f"cannot read {path}: there is no such file")
    return FileFacts(info.size, info.mtime_ns or 0)


def _matched(pattern: str) -> Iterator[str]:
    from pyarrow.fs import FileSelector, FileType

    system, inside = _system(pattern)
    head = pattern[: len(pattern) - len(inside)]
    try:
        if not glob.has_magic(inside):
            (info,) = system.get_file_info([inside])
            if info.type == FileType.File:
                yield pattern
            return
        folders = inside.split("/")
        at = next(at for at, folder in enumerate(folders) if glob.has_magic(folder))
        if at == 0:
            raise InputError(f"expected a bucket in {pattern}, got a pattern of buckets")
        selected = FileSelector("/".join(folders[:at]) or "/", allow_not_found=True, recursive=at < len(folders) - 1)
        wanted = re.compile(_as_expression(inside))
        for info in system.get_file_info(selected):
            if info.type == FileType.File and wanted.fullmatch(info.path):
                yield head + info.path
    except (OSError, ValueError) as exc:
        raise InputError(f"cannot list {pattern}: {exc}") from exc


def _as_expression(pattern: str) -> str:
    r"""Return a pattern of paths as a regular expression.

    >>> re.fullmatch(_as_expression("b/**/d=*/x[0-9].avro"), "b/y=1/d=2/x7.avro") is not None
    True
    >>> re.fullmatch(_as_expression("b/*.avro"), "b/c/x.avro") is None
    True
    """
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^\]]+\])", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    made = [
        known.get(part) or (part.replace("[!", "[^") if part.startswith("[") else re.escape(part)) for part in parts
    ]
    return "".join(made)


def _system(path: str) -> tuple[Any, str]:
    """Return the file system of a path, and the path within it.

    Raises:
        InputError: there is none of this scheme.
    """
    found = _NAMED.match(path)
    scheme = "" if found is None else found[1].lower()
    inside = path[0 if found is None else found.end() :]
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise InputError(
            f"cannot read {path}: expected a path of this machine, or {known}; copy the files to one of these"
        )
    try:
        if scheme == "file":
            return _local(), path[path.index(":") + 3 :]
        return _gs() if scheme == "gs" else _s3(inside.partition("/")[0]), inside
    except ImportError as exc:
        raise InputError(f"cannot read {path}: {scheme}:// needs pyarrow: pip install 'user-state[parquet]'") from exc
    except (OSError, ValueError) as exc:
        raise InputError(f"cannot read {path}: {exc}") from exc


@cache
def _local() -> Any:
    from pyarrow.fs import LocalFileSystem

    return LocalFileSystem()


@cache
def _gs() -> Any:
    from pyarrow.fs import GcsFileSystem

    return GcsFileSystem(retry_time_limit=_RETRY)


@cache
def _s3(bucket: str) -> Any:
    from pyarrow.fs import S3FileSystem, resolve_s3_region

    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    own = next((os.environ[name] for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") if name in os.environ), None)
    if region is None and own is None:
        region = resolve_s3_region(bucket)
    return S3FileSystem(region=region, endpoint_override=own, connect_timeout=_CONNECT_S, request_timeout=_ANSWER_S)
