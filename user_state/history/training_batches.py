"""Labels of a shard -> record batches of training rows: the labels' columns, `label_row`, and the outputs.

    the labels' columns     as they came
    label_row               the number of the label's row, counted from 0
    present, error, ...     rows.py has the columns of outputs

Rows of one user lie next to each other. Sorted by `label_row`, they are in the order of the labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from user_state.embeddings.item_vectors import ItemVectors
from user_state.history.label_source import ROW, check_names, labels_in
from user_state.history.rows import RowWriter
from user_state.history.shards import Shards
from user_state.history.training import AsOf, Counts, TrainingRows
from user_state.plan.plan import Plan

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Answering:
    """How labels are answered: as `TrainingRows`."""

    as_of: AsOf = "publish"
    arrival_delay_us: int = 0
    item_vectors: Mapping[str, ItemVectors] | None = None


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
        check_names(labels, outputs)
        self.schema: pa.Schema = pa.schema([*labels, pa.field(ROW, pa.int64()), *outputs])

    def of_shard(self, shards: Shards, shard: int, threads: int = 1) -> tuple[Iterator[pa.RecordBatch], Counts]:
        """Return (the rows of a shard, what became of its events and labels once all rows were taken)."""
        how = self._how
        rows = TrainingRows(self._plan, None, how.as_of, how.arrival_delay_us, how.item_vectors, threads)
        return self._batches(rows, shards, shard), rows.counts

    def _batches(self, rows: TrainingRows, shards: Shards, shard: int) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        labels = labels_in(shards.labels(shard))
        if not len(labels):
            return
        for one in rows.answer(shards.events(shard), labels):
            asked = labels.table.take(pa.array(one.rows)).combine_chunks()
            columns = [*(column.combine_chunks() for column in asked.columns), *self._writer.columns(one.finished)]
            table = pa.Table.from_arrays(columns, schema=self.schema)
            yield from table.to_batches()
