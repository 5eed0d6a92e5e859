"""Whether a schema's defaults fit their fields: what JSON bodies need, since they leave fields out.

Avro asks for a default where a field is missing in the writer's schema, and so never of a schema's own fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from user_state.spec.avro_types import default_value, named_types


def unfit_defaults(whole: Any) -> Iterator[str]:
    """Yield what is wrong with the defaults of a schema, as fastavro parses it with its logical types."""
    named = named_types(whole)
    for name, declared in named.items():
        of = "" if name == whole["name"] else f" of {name}"
        for field in declared.get("fields", ()):
            if "default" not in field:
                continue
            try:
                default_value(field["type"], field["default"], named)
            except ValueError as exc:
                yield f"JSON bodies may leave out {field['name']}{of}, whose default cannot be used: {exc}"
