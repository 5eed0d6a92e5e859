"""Item vectors in a file: numpy's .npz with two or three arrays, none of them pickled.

    ids        (items,) text or whole numbers, each once, none empty
    vectors    (items, dimensions) float32, finite
    version    one text, `ItemTable.version`, so that the same table has the same name; may be left out

Reading refuses, by name, whatever is not that.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from user_state.embeddings.table import ItemTable, checked_table
from user_state.errors import InputError, shorten
from user_state.id_text import id_text

ARRAYS = ("ids", "vectors")


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
            ids, vectors = (arrays[name] for name in ARRAYS)
            version = arrays.get("version")
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except (ValueError, EOFError, KeyError, AttributeError, TypeError, zipfile.BadZipFile, NotImplementedError) as exc:
        raise InputError(f"expected a table of item vectors (.npz), got {path}: {exc}") from exc
    if ids.dtype.kind not in "Uiu" or vectors.dtype.kind != "f":
        raise InputError(
            f"expected texts or whole numbers for ids and floats for vectors in {path}, got {ids.dtype} and"
            f" {vectors.dtype}"
        )
    table = checked_table([id_text(one) for one in ids.tolist()], vectors, str(path))
    if version is not None and str(version) != table.version:
        raise InputError(f"expected version {table.version} in {path}, got {shorten(str(version))}: damaged or edited?")
    return table
