"""Item vectors in a file: numpy's .npz with three arrays, none of them pickled.

    ids        (items,) text, each once, none empty
    vectors    (items, dimensions) float32, finite
    version    one text: 16 hex digits of the BLAKE2b of ids and vectors, so that the same table has the same name

Reading refuses, by name, whatever is not that.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from user_state.errors import InputError, shorten

F32 = npt.NDArray[np.float32]
ARRAYS = ("ids", "vectors", "version")
VERSION_BYTES = 8


@dataclass(frozen=True)
class ItemTable:
    """Vectors of items.

    Attributes:
        ids: the items.
        vectors: (items, dimensions).
    """

    ids: Sequence[str]
    vectors: F32

    @property
    def version(self) -> str:
        """What names this table and no other."""
        digest = hashlib.blake2b(digest_size=VERSION_BYTES)
        for text in self.ids:
            encoded = text.encode()
            digest.update(len(encoded).to_bytes(8, "little") + encoded)
        digest.update(np.ascontiguousarray(self.vectors, "<f4").tobytes())
        return digest.hexdigest()


def checked_table(ids: Sequence[str], vectors: npt.NDArray[np.floating], where: str) -> ItemTable:
    """Return a table of these ids and vectors.

    Raises:
        InputError: they are no table; says which item is wrong.
    """
    if vectors.ndim != 2 or len(ids) != len(vectors):
        raise InputError(f"expected a vector an item in {where}, got {len(ids)} ids and an array of {vectors.shape}")
    if 0 in vectors.shape:
        raise InputError(f"expected items with vectors in {where}, got an array of {vectors.shape}")
    seen: set[str] = set()
    for text in ids:
        if not text:
            raise InputError(f"expected ids that are not empty in {where}, got an empty one")
        if text in seen:
            raise InputError(f"expected each id once in {where}, got {shorten(text)} twice")
        seen.add(text)
    with np.errstate(over="ignore"):  # what is beyond single precision is refused below
        single = vectors.astype(np.float32)
    finite = np.isfinite(single).all(axis=1)
    if not finite.all():
        at = int(np.argmin(finite))
        raise InputError(f"expected finite numbers in {where}, got others in the vector of {shorten(ids[at])}")
    return ItemTable(list(ids), single)


def write_table(path: str | Path, table: ItemTable) -> None:
    """Write a table, replacing `path` only when all is written.

    Raises:
        InputError: the file cannot be written.
    """
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, ids=np.array(table.ids), vectors=table.vectors, version=np.array(table.version))
        partial.replace(target)
    except OSError as exc:
        raise InputError(f"cannot write {target}: {exc.strerror or exc}") from exc
    finally:
        partial.unlink(missing_ok=True)


def read_table(path: str | Path) -> ItemTable:
    """Return the table in a file.

    Raises:
        InputError: it is none, or a damaged one.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            missing = [name for name in ARRAYS if name not in arrays]
            if missing:
                raise InputError(f"expected the arrays {', '.join(ARRAYS)} in {path}, got none named {missing[0]}")
            ids, vectors, version = (arrays[name] for name in ARRAYS)
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except (ValueError, EOFError, KeyError, AttributeError, TypeError, zipfile.BadZipFile, NotImplementedError) as exc:
        raise InputError(f"expected a table of item vectors (.npz), got {path}: {exc}") from exc
    if ids.dtype.kind != "U" or vectors.dtype.kind != "f":
        raise InputError(
            f"expected texts for ids and floats for vectors in {path}, got {ids.dtype} and {vectors.dtype}"
        )
    table = checked_table(ids.tolist(), vectors, str(path))
    if str(version) != table.version:
        raise InputError(f"expected version {table.version} in {path}, got {shorten(str(version))}: damaged or edited?")
    return table
