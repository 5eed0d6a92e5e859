"""Which columns of a log are what, taken from the spec where it says so.

    user, time       the spec's `events.user` and `events.time`; a table's time is counted in that field's unit
    item             the field that the spec's embeddings are of: over the table that is asked for, else any
    without a spec   `user_id`, `item_id`, `timestamp` in seconds, as data sets have them

Whatever is given beside the spec counts instead.
"""

from __future__ import annotations

from user_state.errors import InputError
from user_state.events.convert import TIME_UNITS_US, Columns
from user_state.spec import LoadedSpec

DEFAULT = Columns()


def columns_of(
    spec: LoadedSpec | None,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    time_unit: str | None = None,
    value: str | None = None,
    table: str | None = None,
) -> Columns:
    """Return the columns of a log.

    Args:
        spec: what says so; None for none.
        user: the column of the user, if it is given.
        item: of the item.
        time: of the time.
        time_unit: what that counts.
        value: of a number, which no spec names.
        table: the table of item vectors that is made from the log, if it is one of the spec's.

    Raises:
        InputError: the spec does not say which field is the item, and nobody else does.
    """
    if spec is None:
        return Columns(
            user=user or DEFAULT.user,
            item=item or DEFAULT.item,
            time=time or DEFAULT.time,
            time_unit=time_unit or DEFAULT.time_unit,
            value=value,
        )
    roles = spec.spec.events
    unit = spec.schema.fields[roles.time].unit
    return Columns(
        user=user or roles.user,
        item=item or _item_of(spec, table),
        time=time or roles.time,
        time_unit=time_unit or (unit if time is None and unit in TIME_UNITS_US else DEFAULT.time_unit),
        value=value,
    )


def _item_of(spec: LoadedSpec, table: str | None) -> str:
    """Return the event field that names items."""
    embeddings = spec.spec.embeddings.values()
    of_table = [one.of for one in embeddings if table is not None and one.vectors == table]
    named = list(dict.fromkeys(of_table or [one.of for one in embeddings]))
    if len(named) == 1:
        return named[0]
    if DEFAULT.item in (named or spec.schema.fields):
        return DEFAULT.item
    which = f"its embeddings are of {', '.join(named)}" if named else "it has no embedding"
    raise InputError(f"expected --item-column, since the spec does not say which field is the item: {which}")
