"""The versions of item tables that training rows are composed with where whoever asks names one, never guessed.

A table that is in use today was made of what happened up to today. Composed into the rows of last month, it would tell
them their future. So each table that outputs need is named with the file that it is to be taken from, or is, label by
label, what was in use then (item_periods.py). A table that the pipeline learns changes with every event, and there is
no file of it: it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from user_state.embeddings.import_file import import_table
from user_state.embeddings.table import ItemTable
from user_state.errors import InputError
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec


def parsed_pins(texts: Sequence[str]) -> dict[str, str]:
    """Return the files by table.

    >>> parsed_pins(["catalogue=items.npz"])
    {'catalogue': 'items.npz'}

    Raises:
        InputError: a text is not of this form, or names a table twice.
    """
    files = parsed_files(texts, "--items")
    for table, paths in files.items():
        if len(paths) > 1:
            raise InputError(f"expected each table once in --items, got {table} twice")
    return {table: path for table, (path,) in files.items()}


def parsed_files(texts: Sequence[str], option: str) -> dict[str, list[str]]:
    """Return files by table, of which there may be several; `option` is for the message.

    Raises:
        InputError: a text is not table=FILE.
    """
    files: dict[str, list[str]] = {}
    for text in texts:
        table, equals, path = text.partition("=")
        if not (table and equals and path):
            raise InputError(f"expected {option} table=FILE, such as catalogue=items.npz, got {text!r}")
        files.setdefault(table, []).append(path)
    return files


def pinned(
    spec: LoadedSpec, plan: Plan, pins: Mapping[str, str | Path | ItemTable], *, all_of_them: bool = True
) -> dict[str, ItemTable]:
    """Return the tables that outputs are composed of.

    Args:
        spec: which tables there are.
        plan: which of them outputs need.
        pins: by table, the file or the table itself.
        all_of_them: whether each has to be pinned; else those that are not are left out.

    Raises:
        InputError: one is learned, not pinned, unknown, cannot be read, or has vectors of another size.
    """
    for name in pins:
        if name not in spec.spec.items:
            known = ", ".join(spec.spec.items) or "none"
            raise InputError(f"expected tables that the spec has under `items:` ({known}), got {name}")
    tables = {}
    for name, dimensions in plan.item_tables.items():
        needing = ", ".join(sorted({output.name for output in plan.composed if output.table == name}))
        if spec.spec.items[name].learned is not None:
            raise InputError(
                f"cannot answer for the past: {needing} is composed of the table {name}, which the pipeline learns, and"
                " what it had learned by then is not kept; leave these embeddings out of the spec for training sets"
            )
        if name not in pins:
            if not all_of_them:
                continue
            raise InputError(
                f"{needing} is composed of the item table {name}: say which version with --items {name}=FILE, made of"
                " what was known before the first label, or where it is known which was in use, with --redis URL"
            )
        pin = pins[name]
        table = pin if isinstance(pin, ItemTable) else import_table(pin)
        if table.dimensions != dimensions:
            raise InputError(
                f"expected vectors of {dimensions} numbers for the table {name}, as the spec says, got"
                f" {table.dimensions}"
            )
        tables[name] = table
    return tables
