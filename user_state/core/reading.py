"""`features(records, at)`: windows, last values and embeddings, finished at the moment of reading.

Each kind of output has a reader here, found by the type of its declaration in the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from user_state.core.composing import Composing, compose, take_part
from user_state.core.decays import read_decay
from user_state.core.events import F64, I64
from user_state.core.fold_in import Ridge, fold_in
from user_state.core.histories import Histories, LogRows, newer_rows, older_rows
from user_state.core.hll_tiles import count_distinct
from user_state.core.interests import Interests, find_interests
from user_state.core.item_vectors import ItemVectors
from user_state.core.kll_tiles import Numbers, numbers_of, read_quantiles
from user_state.core.last_seen import count_windows, settle, streaks
from user_state.core.lazily import cached_property
from user_state.core.outputs import (
    ApproxDistinctOutput,
    ApproxQuantilesOutput,
    ComposedOutput,
    DecayedOutput,
    DecayedTableOutput,
    EmbeddingOutput,
    EntropyOutput,
    FoldInOutput,
    History,
    InterestsOutput,
    InterestWeightsOutput,
    LastSeenOutput,
    ListOutput,
    LoggedOutput,
    ProfileOutput,
    RatioOutput,
    ScalarOutput,
    SequenceOutput,
    SessionOutput,
    StackedOutput,
    TableOutput,
)
from user_state.core.padding import Padded, pad
from user_state.core.pieces import Window
from user_state.core.plan import Plan
from user_state.core.profiles import read_profile
from user_state.core.records import Records
from user_state.core.sessions import read_sessions
from user_state.core.tables import KeyTotals, read_entropy, read_tables, total_by_key
from user_state.core.tiled import alike, fill
from user_state.core.time_axis import window_start_s
from user_state.core.vectors import F32, read_vectors
from user_state.core.window_sums import WindowSums, sum_windows


@dataclass(frozen=True)
class Features:
    """Everything the spec declares, for n users at one time.

    Attributes:
        values: (n, len(plan.scalars)) float64.
        arrays: by name, (n, size) float64: outputs of several numbers, such as histograms.
        sequences: by name: lists of single values (`last_k`), of rows, and sequences.
        embeddings: (n, dimensions) float32 by name; interests (n, K, dimensions).
        item_versions: table -> the version that embeddings over it were composed with, empty if there is none.
        missing_items: by name of an embedding over a table, (n,) how many of the user's last events name an item that
            has no vector there.
    """

    values: F64
    arrays: dict[str, F64]
    sequences: dict[str, Padded]
    embeddings: dict[str, F32]
    item_versions: dict[str, str]
    missing_items: dict[str, I64]


@dataclass(frozen=True)
class Reading:
    """One reading of n users' records, and what several of its outputs need.

    Attributes:
        at_us: the reading time.
        item_vectors: of the tables that embeddings are over.
    """

    plan: Plan
    records: Records
    at_us: int
    item_vectors: Mapping[str, ItemVectors]

    @property
    def _histories(self) -> Histories:
        return Histories(len(self.records), dict(enumerate(self.records.logs)), self.records.pool)

    @cached_property
    def window_sums(self) -> tuple[WindowSums, I64]:
        """What the tiles of windows come to, and which of these windows each of `plan.tiled_windows` is."""
        starts_s = np.array([window_start(window, self.at_us) for window in self.plan.tiled_windows], np.int64)
        order = np.argsort(starts_s, kind="stable")
        return sum_windows(self.plan, self.records.tiles, len(self.records), starts_s[order]), np.argsort(order)

    @cached_property
    def tiled_numbers(self) -> F64:
        """(n, numbers) all of `plan.tiled`."""
        groups = self.plan.prepared.get("tiled")
        if groups is None:
            groups = self.plan.prepared["tiled"] = alike(self.plan, self.plan.tiled)
        values = np.empty((len(self.records), len(self.plan.tiled)))
        fill(groups, *self.window_sums, self.at_us, values)
        return values

    def tiled(self, outputs: Sequence[ScalarOutput], values: F64, name: str = "scalars") -> None:
        """Fill (n, outputs) with numbers read from tiles; `name` is under what the outputs are known to the plan."""
        columns = self.plan.prepared.get(name)
        if columns is None:
            place = {output: column for column, output in enumerate(self.plan.tiled)}
            columns = self.plan.prepared[name] = np.array([place[output] for output in outputs], np.int64)
        self.tiled_numbers.take(columns, axis=1, out=values, mode="clip")

    def decayed(self, outputs: Sequence[DecayedOutput], values: F64) -> None:
        """Fill (n, outputs) with decayed numbers."""
        for column, output in enumerate(outputs):
            decay, part = self.plan.decays[output.decay], self.records.decays[output.decay]
            values[:, column] = read_decay(decay, part, output.half_life, self.at_us, output.empty)

    def ratios(self, outputs: Sequence[RatioOutput], values: F64) -> None:
        """Fill (n, outputs) with ratios of numbers read from tiles."""
        above, below = np.empty_like(values), np.empty_like(values)
        self.tiled([output.numerator for output in outputs], above, "numerators")
        self.tiled([output.denominator for output in outputs], below, "denominators")
        rate = np.array([output.rate for output in outputs])
        weight = np.array([output.weight for output in outputs])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = (above + weight * rate) / (below + weight)
        values[:] = np.where(np.isfinite(ratio), ratio, [output.empty for output in outputs])

    def logged(self, outputs: Sequence[LoggedOutput], values: F64) -> None:
        """Fill (n, outputs) with the numbers in the last or first rows of logs."""
        for column, output in enumerate(outputs):
            rows = _since(self.records.logs[output.log], window_start(output.window, self.at_us) * 1_000_000)
            far = older_rows(rows.user) if output.aggregate == "first" else newer_rows(rows.user)
            edge = rows.take(far == 0)
            values[:, column] = output.empty
            values[edge.user, column] = edge.columns[output.column]

    def last_seen(self, outputs: Sequence[LastSeenOutput], values: F64) -> None:
        """Fill (n, outputs) with counts of distinct values and of days, and streaks of days."""
        users = len(self.records)
        starts = {output.window: window_start(output.window, self.at_us) for output in outputs}
        starts = dict(sorted(starts.items(), key=lambda item: item[1]))
        place = {window: index for index, window in enumerate(starts)}
        rows = settle(self.plan, self.records.last_seen)
        counts = count_windows(self.plan, rows, users, np.array(list(starts.values()), np.int64))
        streaking = {output.track for output in outputs if output.aggregate == "streak_days"}
        days = {track: rows.take(rows.track == track) for track in streaking}
        for column, output in enumerate(outputs):
            count = counts[:, place[output.window], output.track]
            number = np.minimum(count, output.cap)
            if output.aggregate == "streak_days":
                number = streaks(self.plan, days[output.track], users, starts[output.window], self.at_us)
            values[:, column] = np.where(count > 0, number, output.empty)

    def profile(self, output: ProfileOutput) -> F64:
        """Return (n, bins) the shares of the hours of the day, or of the days of the week."""
        return read_profile(self.records.profiles[output.profile], output.half_life)

    def sessions(self, outputs: Sequence[SessionOutput], values: F64) -> None:
        """Fill (n, outputs) with numbers read from sessions."""
        since_us = [window_start(output.window, self.at_us) * 1_000_000 for output in outputs]
        read_sessions(self.plan, self.records.sessions, outputs, since_us, self.at_us, values)

    def approx_distinct(self, outputs: Sequence[ApproxDistinctOutput], values: F64) -> None:
        """Fill (n, outputs) with approximate counts of distinct values."""
        asked = [(output.track, window_start(output.window, self.at_us)) for output in outputs]
        counts = count_distinct(self.plan, self.records.hlls, len(self.records), asked)
        values[:] = np.where(counts > 0, counts, [output.empty for output in outputs])

    def approx_quantiles(self, output: ApproxQuantilesOutput) -> F64:
        """Return (n, quantiles) approximate quantiles."""
        since_s = window_start(output.window, self.at_us)
        return read_quantiles(self.numbers[output.track], output, since_s, len(self.records))

    @cached_property
    def numbers(self) -> list[Numbers]:
        """What quantiles are read from, by index of their track."""
        return [numbers_of(self.records.klls, track) for track in range(len(self.plan.klls))]

    @cached_property
    def key_totals(self) -> KeyTotals:
        """What each key comes to in the windows of keyed tiles."""
        starts = {window: window_start(window, self.at_us) for window in self.plan.keyed_windows}
        kinds_of = self.plan.layout.keyed_kinds
        return total_by_key(self.records.keyed_tiles, starts, kinds_of, self.records.pool)

    def entropies(self, outputs: Sequence[EntropyOutput], values: F64) -> None:
        """Fill (n, outputs) with entropies of keys."""
        for column, output in enumerate(outputs):
            values[:, column] = read_entropy(self.key_totals, output, len(self.records))

    @cached_property
    def tables(self) -> dict[str, Padded]:
        """Every table, by name."""
        outputs = [output for output in self.plan.lists if isinstance(output, TableOutput | DecayedTableOutput)]
        decays = self.records.keyed_decays
        return read_tables(self.plan, outputs, self.key_totals, decays, self.at_us, self.records.pool)

    def table(self, output: TableOutput | DecayedTableOutput) -> Padded:
        """Return a table of keys, or the heaviest keys."""
        return self.tables[output.name]

    def decayed_vectors(self, output: EmbeddingOutput) -> F32:
        """Return (n, dimensions) decayed means or sums of vectors."""
        return read_vectors(self.plan, self.records.vectors[output.vectors], output, self.at_us)

    @cached_property
    def parts(self) -> dict[tuple[str, History], Composing]:
        """The events that take part in embeddings, by the table and the history that these are composed of."""
        return {
            (table, history): take_part(self._histories, history, self.item_vectors[table])
            for table, history in dict.fromkeys((output.table, output.history) for output in self.plan.composed)
        }

    def composed(self, output: ComposedOutput) -> F32:
        """Return (n, dimensions) decayed means, sums or directions of a table's vectors."""
        return compose(self.parts[output.table, output.history], output, self.at_us)

    def folded_in(self, output: FoldInOutput) -> F32:
        """Return (n, dimensions) user factors."""
        # By what it is made of: half-lives share one.
        name = f"ridge of {output.table}, {output.alpha0} and {output.regularisation}"
        prepared = self.plan.prepared.setdefault(name, Ridge())
        return fold_in(self.parts[output.table, output.history], output, prepared)

    @cached_property
    def found_interests(self) -> dict[InterestsOutput, Interests]:
        """What interests are read from, by output."""
        return {
            output: find_interests(
                self.parts[output.table, output.history], output, np.full(len(self.records), self.at_us)
            )
            for output in self.plan.composed
            if isinstance(output, InterestsOutput)
        }

    def interests(self, output: InterestsOutput) -> F32:
        """Return (n, K, dimensions) centroids, the heaviest first."""
        return self.found_interests[output].vectors

    def interest_weights(self, output: InterestWeightsOutput) -> F64:
        """Return (n, K) what they weigh."""
        return self.found_interests[output.of].weights

    def stacked(self, output: StackedOutput) -> F64:
        """Return (n, parts) numbers read from tiles, side by side."""
        values = np.empty((len(self.records), len(output.parts)))
        self.tiled(output.parts, values, f"parts of {output.name}")
        return values

    def values(self, output: ListOutput) -> Padded:
        """Return the last, last distinct or first values within a window."""
        since_us = window_start(output.window, self.at_us) * 1_000_000
        return self._edge_rows(output, since_us, output.k, first=output.aggregate.startswith("first"))

    def sequence(self, output: SequenceOutput) -> Padded:
        """Return a sequence."""
        since_us = 0 if output.within_us is None else self.at_us - output.within_us
        return self._edge_rows(output, since_us, output.last)

    def _edge_rows(
        self, output: ListOutput | SequenceOutput, since_us: int, most: int, *, first: bool = False
    ) -> Padded:
        """Return the last rows, the newest leading, or the first, the oldest leading."""
        rows = _since(self.records.logs[output.log], since_us)
        place = older_rows(rows.user) if first else newer_rows(rows.user)
        if len(place) and place.max() >= most:
            rows, place = rows.take(place < most), place[place < most]
        columns = {
            field.name: (rows.columns[column], field.kind)
            for field, column in zip(output.fields, output.columns, strict=True)
        }
        single = isinstance(output, ListOutput) and len(columns) == 1
        users, pool = len(self.records), self.records.pool
        return pad(rows.user, place, users=users, width=most, columns=columns, pool=pool, single=single)


def _since(rows: LogRows, since_us: int) -> LogRows:
    return rows.take(rows.time_us >= since_us) if since_us > 0 else rows


SCALAR_READERS: dict[type, Callable[[Reading, Sequence[Any], F64], None]] = {
    ScalarOutput: Reading.tiled,
    DecayedOutput: Reading.decayed,
    RatioOutput: Reading.ratios,
    LoggedOutput: Reading.logged,
    LastSeenOutput: Reading.last_seen,
    SessionOutput: Reading.sessions,
    ApproxDistinctOutput: Reading.approx_distinct,
    EntropyOutput: Reading.entropies,
}
"""By type of output: fills (n, outputs) with all outputs of the type."""
ARRAY_READERS: dict[type, Callable[[Reading, Any], F64]] = {
    StackedOutput: Reading.stacked,
    ProfileOutput: Reading.profile,
    ApproxQuantilesOutput: Reading.approx_quantiles,
    InterestWeightsOutput: Reading.interest_weights,
}
LIST_READERS: dict[type, Callable[[Reading, Any], Padded]] = {
    ListOutput: Reading.values,
    TableOutput: Reading.table,
    DecayedTableOutput: Reading.table,
    SequenceOutput: Reading.sequence,
}
EMBEDDING_READERS: dict[type, Callable[[Reading, Any], F32]] = {
    EmbeddingOutput: Reading.decayed_vectors,
    ComposedOutput: Reading.composed,
    FoldInOutput: Reading.folded_in,
    InterestsOutput: Reading.interests,
}


Embeds = EmbeddingOutput | ComposedOutput | FoldInOutput | InterestsOutput


def read_embedding(
    plan: Plan, records: Records, output: Embeds, at_us: int, item_vectors: Mapping[str, ItemVectors]
) -> F32:
    """Return one embedding alone, (n, dimensions) or of interests (n, K, dimensions): what `features` says of it.

    Raises:
        ValueError: as `features`, for the table that it is over.
    """
    if not isinstance(output, EmbeddingOutput):
        _check_vectors(output, item_vectors)
    return EMBEDDING_READERS[type(output)](Reading(plan, records, at_us, item_vectors), output)


def _check_vectors(output: ComposedOutput | FoldInOutput | InterestsOutput, held: Mapping[str, ItemVectors]) -> None:
    table, dimensions = output.table, output.dimensions
    if table not in held or held[table].dimensions != dimensions:
        got = f"{held[table].dimensions} dimensions" if table in held else "none"
        raise ValueError(f"expected vectors of {dimensions} dimensions of table {table}, got {got}")


def features(
    plan: Plan, records: Records, at_us: int, item_vectors: Mapping[str, ItemVectors] | None = None
) -> Features:
    """Finish the records at `at_us`, microseconds UTC.

    Right for any `at_us` no more than `max_clock_skew` before a user's clock; earlier readings may miss events that
    were rolled up or dropped since.

    Args:
        plan: what to read.
        records: of whom.
        at_us: when.
        item_vectors: of each of `plan.item_tables`, at least those of `composing.mentioned`.

    Raises:
        ValueError: the vectors of a table are not given, or have another dimension than the plan's.
    """
    held = {} if item_vectors is None else item_vectors
    for output in plan.composed:
        _check_vectors(output, held)
    reading = Reading(plan, records, at_us, held)
    values = np.empty((len(records), len(plan.scalars)))
    for kind, (columns, outputs) in plan.scalars_by_type.items():
        of_kind = np.empty((len(records), len(outputs)))
        SCALAR_READERS[kind](reading, outputs, of_kind)
        values[:, columns] = of_kind
    return Features(
        values=values,
        arrays={output.name: ARRAY_READERS[type(output)](reading, output) for output in plan.arrays},
        sequences={output.name: LIST_READERS[type(output)](reading, output) for output in plan.all_lists},
        embeddings={e.name: EMBEDDING_READERS[type(e)](reading, e) for e in plan.embeddings},
        item_versions={table: held[table].version for table in plan.item_tables},
        missing_items={o.name: reading.parts[o.table, o.history].missing for o in plan.composed},
    )


def window_start(window: Window, at_us: int) -> int:
    """Return the first second that a window covers; 0 for lifetime."""
    return 0 if window.reach_s is None else window_start_s(at_us, window.reach_s, window.width_s)
