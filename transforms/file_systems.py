"""Files of this machine and of object stores: what matches a pattern, and how a path is opened.

A path with a scheme, such as `gs://bucket/name` or `s3://bucket/name`, is Beam's (`apache_beam.io.filesystems`), which
knows the credentials; any other is a path of this machine. A file whose name ends in `.gz` is decompressed as it is
read.
"""

from __future__ import annotations

import glob
import io
from importlib import import_module
from typing import Any, BinaryIO, cast

from user_state.errors import InputError
from user_state.events.segments import decompressed, open_named
from user_state.history.job_parts import described as local_description

CLIENTS = {
    "gs": ("gcp", "google.cloud.storage"),
    "s3": ("aws", "boto3"),
    "azfs": ("azure", "azure.storage.blob"),
    "hdfs": ("hadoop", "hdfs"),
}
"""By scheme: which of apache-beam's extras has its client, and the module by which that is known to be installed."""
_READ_AHEAD = 1 << 20


def matching(pattern: str) -> list[str]:
    """Return the paths of the files that match, in order of their names.

    Raises:
        InputError: there are none, or the pattern's file system cannot be used here.
    """
    paths = sorted(_matched(pattern) if "://" in pattern else glob.glob(pattern, recursive=True))
    if not paths:
        raise InputError(
            f"no file matches {pattern}: expected the path of a file of events, or a pattern such as logs/*.avro"
        )
    return paths


def check_scheme(path: str) -> None:
    """Raise InputError if paths of this scheme cannot be read here; says which package is missing."""
    scheme = path.partition("://")[0]
    if scheme not in CLIENTS:
        known = ", ".join(f"{name}://" for name in CLIENTS)
        raise InputError(f"cannot read {path}: expected a path of this machine, {known} or pubsub://")
    extra, module = CLIENTS[scheme]
    try:
        import_module(module)
    except ImportError as exc:
        raise InputError(
            f"cannot read {path}: {scheme}:// needs a package that is not installed: pip install 'apache-beam[{extra}]'"
        ) from exc


def _matched(pattern: str) -> list[str]:
    from apache_beam.io.filesystems import FileSystems

    check_scheme(pattern)
    try:
        (found,) = FileSystems.match([pattern])
    except Exception as exc:  # clients of object stores raise errors of their own, besides Beam's
        raise InputError(f"cannot list {pattern}: {_cause(exc)}") from exc
    return [data.path for data in found.metadata_list]


def described(path: str) -> dict[str, Any]:
    """Return what names a file and what is in it: `user_state.history.job_parts.described`, of object stores too.

    Raises:
        InputError: it cannot be looked up.
    """
    if "://" not in path:
        return local_description(path)
    from apache_beam.io.filesystems import FileSystems

    check_scheme(path)
    try:
        (found,) = FileSystems.match([path])
        (data,) = found.metadata_list
    except Exception as exc:  # as in `_matched`
        raise InputError(f"cannot read {path}: {_cause(exc)}") from exc
    return {"path": path, "bytes": data.size_in_bytes, "changed_ns": int(1e9 * (data.last_updated_in_seconds or 0))}


def _cause(exc: Any) -> str:
    """Return the first line of what Beam wraps."""
    details = getattr(exc, "exception_details", None) or {}
    text = "; ".join(str(one) for one in details.values()) or str(exc) or type(exc).__name__
    return text.splitlines()[0]


def open_path(path: str) -> BinaryIO:
    """Open a file to be read; raises OSError."""
    if "://" not in path:
        return open_named(path)
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    check_scheme(path)
    try:
        remote: Any = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    except OSError:
        raise
    except Exception as exc:  # as above
        raise OSError(_cause(exc)) from exc
    return decompressed(path, cast(BinaryIO, io.BufferedReader(remote, _READ_AHEAD)))
