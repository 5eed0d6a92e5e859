"""Which codecs of Avro files can be read here, and what to do about the others.

fastavro decompresses: null, deflate, bzip2 and xz with Python's own libraries, the others with a package each. Those
come with user-state; where one is missing or broken, its name is said.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from user_state.errors import InputError

PACKAGES = {"snappy": "cramjam", "lz4": "lz4", "zstandard": "backports.zstd"}
"""What fastavro imports for a codec."""
_MODULES = {"snappy": ("cramjam",), "lz4": ("lz4.block",), "zstandard": ("compression.zstd", "backports.zstd")}
CODECS = ("null", "deflate", "bzip2", "xz", *sorted(PACKAGES))


def check_codec(path: str, codec: Any) -> None:
    """Raise InputError if blocks of a file with this codec cannot be decompressed here."""
    if codec not in CODECS:
        raise InputError(
            f"cannot read {path}: its blocks are compressed with codec {str(codec)!r}; write it again with one of"
            f" {', '.join(CODECS)}"
        )
    if codec in _MODULES and not any(_there(module) for module in _MODULES[codec]):
        raise InputError(
            f"cannot read {path}: codec {codec} needs the package {PACKAGES[codec]}; install it with"
            f" pip install {PACKAGES[codec]}"
        )


def _there(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:
        return False
    return True
