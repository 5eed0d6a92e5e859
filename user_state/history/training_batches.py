"""Labels of a shard -> record batches of training rows: the labels' columns, `label_row`, and the outputs.

    the labels' columns     as they came
    label_row               the number of the label's row, counted from 0
    present, error, ...     rows.py has the columns of outputs
    item_versions           JSON: table of item vectors -> version, as in logged answers; if outputs are composed of any

Rows of one user lie next to each other. Sorted by `label_row`, they are in the order of the labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from user_state.history.item_periods import ItemPeriods
from user_state.history.label_source import ROW, check_names, labels_in
from user_state.history.rows import RowWriter
from user_state.history.shards import Shards
from user_state.history.training import AsOf, Counts, TrainingRows
from user_state.plan.plan import Plan

if TYPE_CHECKING:
    import pyarrow as pa

ITEM_VERSIONS = "item_versions"


@dataclass(frozen=True)
class Answering:
    """How labels are answered: as `TrainingRows`."""

    as_of: AsOf = "publish"
    arrival_delay_us: int = 0
    items: ItemPeriods | None = None


class TrainingBatches:
    """Makes training rows of one plan, of labels of one schema.

    Args:
        plan: what records hold.
        labels: the labels' schema.
        how: how they are answered.

    Raises:
        InputError: the labels have a column that training rows have by themselves.
    """

    def __init__(self, plan: Plan, labels: pa.Schema, how: Answering) -> None:
        import pyarrow as pa

        self._plan = plan
        self._how = how
        self._writer = RowWriter(plan)
        outputs = self._writer.schema()
        if plan.item_tables:
            outputs = outputs.append(pa.field(ITEM_VERSIONS, pa.dictionary(pa.int32(), pa.string())))
        check_names(labels, outputs)
        self.schema: pa.Schema = pa.schema([*labels, pa.field(ROW, pa.int64()), *outputs])

    def of_shard(self, shards: Shards, shard: int, threads: int = 1) -> tuple[Iterator[pa.RecordBatch], Counts]:
        """Return (the rows of a shard, what became of its events and labels once all rows were taken)."""
        how = self._how
        rows = TrainingRows(self._plan, None, how.as_of, how.arrival_delay_us, how.items, threads)
        return self._batches(rows, shards, shard), rows.counts

    def _batches(self, rows: TrainingRows, shards: Shards, shard: int) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        labels = labels_in(shards.labels(shard))
        if not len(labels):
            return
        for one in rows.answer(shards.events(shard), labels):
            asked = labels.table.take(pa.array(one.rows)).combine_chunks()
            columns = [*(column.combine_chunks() for column in asked.columns), *self._writer.columns(one.finished)]
            if self._plan.item_tables and self._how.items is not None:
                periods = pa.array(self._how.items.period(labels.at_us[one.rows]), pa.int32())
                columns.append(pa.DictionaryArray.from_arrays(periods, pa.array(self._how.items.versions())))
            table = pa.Table.from_arrays(columns, schema=self.schema)
            yield from table.to_batches()
