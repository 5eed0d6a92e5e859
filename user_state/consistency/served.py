"""Logged answers of a folder, by the outputs that were asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from user_state.answers.columns import GENERATION, PREFIX, SPEC, served_schema
from user_state.errors import InputError
from user_state.history.rows import ERROR, MISSING, PRESENT, RowWriter
from user_state.plan.plan import Plan
from user_state.plan.selection import select_outputs

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class Served:
    """Answers of one selection of outputs.

    Attributes:
        plan: with these outputs alone.
        names: of the outputs, None for all.
        table: a row an answer.
    """

    plan: Plan
    names: tuple[str, ...] | None
    table: pa.Table


@dataclass
class Folder:
    """What a folder of logged answers has.

    Attributes:
        served: by selection.
        left_out: rows that are not compared, by reason.
        generations: rows by generation of records.
    """

    served: list[Served] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    generations: Counter[str] = field(default_factory=Counter)


def read_folder(folder: Path, plan: Plan, fingerprint: str, *, any_spec: bool = False) -> Folder:
    """Return the answers of a folder.

    Args:
        folder: that the client logs to.
        plan: of the spec.
        fingerprint: of the spec; answers by another one are left out.
        any_spec: compare them all the same.

    Raises:
        InputError: there are none, none by this spec, or a file is no log of answers.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    paths = sorted(folder.glob("*.parquet"))
    if not paths:
        raise InputError(f"expected a folder with logged answers (*.parquet), got {folder}, which has none")
    by_names: dict[tuple[str, ...] | None, list[pa.Table]] = {}
    found, specs = Folder(), set[str]()
    for path in paths:
        try:
            table = pq.read_table(path)
        except (OSError, ValueError) as exc:
            raise InputError(f"cannot read {path}: {exc}") from exc
        missing = [name for name in (*sorted(served_schema().names), ERROR) if name not in table.column_names]
        if missing:
            raise InputError(f"expected a log of answers, got {path}, which has no column {', '.join(missing)}")
        specs.update(table.column(SPEC).unique().to_pylist())
        if not any_spec:
            own = table.filter(pc.equal(table.column(SPEC), fingerprint))
            found.left_out["of another spec"] += len(table) - len(own)
            table = own
        has_answer = pc.is_null(table.column(ERROR))
        found.left_out["of records that could not be read"] += len(table) - int(pc.sum(has_answer).as_py() or 0)
        table = table.filter(has_answer)
        if not len(table):
            continue
        found.generations.update(table.column(GENERATION).to_pylist())
        by_names.setdefault(_names(path, plan, table), []).append(table)
    if not by_names and found.left_out["of another spec"]:
        raise InputError(
            f"expected answers by this spec ({fingerprint}) in {folder}, got those of {', '.join(sorted(specs))}:"
            " name the spec that the client had, or compare all the same with --any-spec"
        )
    for names, tables in by_names.items():
        selected = plan if names is None else select_outputs(plan, names)
        found.served.append(Served(selected, names, pa.concat_tables(tables, promote_options="permissive")))
    return found


def _names(path: Path, plan: Plan, table: pa.Table) -> tuple[str, ...] | None:
    """Return the outputs of a file, in the plan's order; None for all."""
    columns = {name.partition(".")[0] for name in table.column_names if not name.startswith(PREFIX)}
    columns -= {PRESENT, ERROR, MISSING}
    known = [output.name for output in (*plan.scalars, *plan.arrays, *plan.all_lists, *plan.embeddings)]
    strangers = sorted(columns - set(known))
    if strangers:
        raise InputError(
            f"expected answers with outputs of the spec in {path}, got {', '.join(strangers[:3])}, which it has not"
        )
    chosen = tuple(name for name in dict.fromkeys(known) if name in columns)
    if set(chosen) == set(known):
        return None
    if any(column not in table.column_names for column in RowWriter(select_outputs(plan, chosen)).schema().names):
        raise InputError(f"expected all columns of {', '.join(chosen)} in {path}, got {', '.join(table.column_names)}")
    return chosen
