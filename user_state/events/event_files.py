"""Files of events of every kind, opened by what their names say, and when each of them begins.

What the names mean:

    .parquet .pq                 Parquet (`row_files.py`)
    .csv .tsv                    delimited text
    .jsonl .ndjson .json         a JSON object a line
    .avro, and any other name    Avro: events, or messages as they stood on the wire (`avro_blocks.py`)

Text and Avro may be compressed as a whole: `.csv.gz`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from user_state.events.avro_blocks import BlockReader
from user_state.events.decode import EventDecoder
from user_state.events.merged_files import HistoryFile, in_order_of_time
from user_state.events.row_files import RowFile, is_row_file
from user_state.events.segments import EventFile, OpenFile, open_named
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec

_FIRST_MESSAGES = 200
_FIRST_BYTES = 1 << 20
LookInto = Callable[[str], HistoryFile]


def event_file(
    path: str, spec: LoadedSpec, open_file: OpenFile = open_named, publish_column: str | None = None
) -> EventFile:
    """Open a file of events; `publish_column` has the publish times of a table's rows.

    Raises:
        InputError: it cannot be read, or does not hold what it should.
    """
    if is_row_file(path):
        return RowFile(path, spec, open_file, publish_column)
    return BlockReader(path, spec.schema, open_file)


def history_files(
    paths: Sequence[str],
    spec: LoadedSpec,
    open_file: OpenFile = open_named,
    *,
    latest_us: int | None = None,
    publish_column: str | None = None,
    each: Callable[[LookInto, Sequence[str]], Iterable[HistoryFile]] = map,
) -> list[HistoryFile]:
    """Return files in order of time, each looked into.

    Args:
        paths: the files.
        spec: how events are read.
        open_file: opens one.
        latest_us: publish times later than this do not count, microseconds UTC; None counts all.
        publish_column: as for `event_file`.
        each: calls a function with each path: a pool's `map`, where opening a file takes long.

    Raises:
        InputError: one of them cannot be read.
    """
    decoder = EventDecoder(compile_plan(spec), spec.schema)

    def look_into(path: str) -> HistoryFile:
        file = event_file(path, spec, open_file, publish_column)
        try:
            return HistoryFile(path, _first_us(file, decoder, latest_us))
        finally:
            file.close()

    return in_order_of_time(list(each(look_into, paths)))


def _first_us(file: EventFile, decoder: EventDecoder, latest_us: int | None) -> int:
    """Return the earliest publish time of a file's first rows that counts; 0 if there is none.

    Not the first row's: that may be of a wrong clock. One that is too early does no harm: it opens the file early.
    """
    segment = next(file.segments(0, _FIRST_MESSAGES, _FIRST_BYTES), None)
    if segment is None:
        return 0
    published_us = decoder.batch(segment.messages).batch.published_us
    if latest_us is not None:
        published_us = published_us[published_us <= latest_us]
    return int(published_us.min()) if len(published_us) else 0
