"""What pydantic says of a spec, in the words of the spec: unknown and missing keys, and values of the wrong kind.

What is accepted comes from the `description` of the model's field, so the words live beside the rule they describe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from user_state.errors import shorten
from user_state.spec.embedding import Embedding
from user_state.spec.filters import A_TEST
from user_state.spec.hints import (
    HINTS,
    aggregation_meant,
    duration_meant,
    encoding_meant,
    key_meant,
    share_meant,
    size_meant,
    zone_meant,
)
from user_state.spec.items import Items, Learned
from user_state.spec.model import Events, Feature, Part, Prior, Sequence, Spec
from user_state.spec.problems import KeyPath, Problem, did_you_mean, listing
from user_state.spec.values import A_NAME, LIFETIME
from user_state.spec.yaml_document import QUOTE, Document

_NAMED: dict[str, type[BaseModel]] = {
    "features": Feature,
    "sequences": Sequence,
    "embeddings": Embedding,
    "items": Items,
}

_WITHIN_FEATURES: dict[str, type[BaseModel]] = {"numerator": Part, "denominator": Part, "prior": Prior}

_WITHIN = {
    "where": A_TEST,  # the names of fields are not in question
    "edges": "a number",
    "quantiles": "a number from 0 to 1",
}
"""What is accepted within these keys, where it is less than they accept."""

_QUOTED = re.compile(r"'([^']+)'")
"""Pydantic lists the choices of a literal as 'this', 'that' or 'other'."""


def model_problems(document: Document) -> Iterator[Problem]:
    """Yield what is wrong with the keys and values of `document`, each taken by itself."""
    if not isinstance(document.value, dict):
        keys = listing(_required(Spec))
        yield document.problem((), f"expected a mapping with {keys} and more, got {document.got(())}")
        return
    explained: set[KeyPath] = set()
    for kind, path, said in _errors(document):
        explained.add(path)
        if path not in document.refused:
            yield document.problem(*_explain(kind, path, said, document))
    # A key whose value was forgotten is no way to ask for the default.
    for path in document.written:
        if document.find(path) is None and path not in explained:
            yield document.problem(path, f"expected {_accepted(path)}, got {document.got(path)}")


def _errors(document: Document) -> Iterator[tuple[str, KeyPath, Any]]:
    """Yield (pydantic's type of error, path, what a validator of ours said) for each error in the document."""
    try:
        Spec.model_validate(document.value)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False)
    else:
        return
    # A misspelt key is one mistake: say what was meant, and not also that it is missing.
    misspelt: set[KeyPath] = set()
    for error in errors:
        if error["type"] == "extra_forbidden":
            *around, key = error["loc"]
            misspelt.add((*around, key_meant(str(key), _keys(tuple(around))) or ""))
    for error in errors:
        path: KeyPath = error["loc"]
        if error["type"] == "missing" and path in misspelt:
            continue
        # A value that stands for a list of itself has no position in it.
        if path and isinstance(path[-1], int) and not isinstance(document.at(path[:-1]), list):
            path = path[:-1]
        context = error.get("ctx", {})
        if error["type"] == "misfit":
            yield "value_error", (*path, context["key"]), context["said"]
            continue
        if error["type"] == "filter":
            yield "value_error", path, context["said"]
            continue
        # What declares nothing may have been refused as it was read.
        if not path and document.problems:
            continue
        yield error["type"], path, context.get("error", context.get("expected"))


def _explain(kind: str, path: KeyPath, said: Any, document: Document) -> tuple[KeyPath, str]:
    if kind == "extra_forbidden":
        *around, key = path
        accepted = _keys(tuple(around))
        meant = key_meant(str(key), accepted)
        hint = "" if meant is None else f"; did you mean `{meant}`?"
        return path, f"unknown key{hint}; accepted here: {listing(accepted)}"
    if kind == "missing":
        *around, key = path
        return tuple(around), f"expected `{key}:`, {_accepted(path)}, got none"
    if path and path[-1] == "[key]":
        accepted_key = "a duration such as 1d" if path[0] == "tiles" else A_NAME
        folded = re.sub(r"[^a-z0-9]+", "_", str(path[-2]).casefold()).strip("_")
        hint = f"; did you mean `{folded}`?" if path[0] != "tiles" and folded[:1].isalpha() else ""
        return path[:-1], f"expected {accepted_key}, got {shorten(path[-2])}{hint}"
    if kind == "value_error":
        return path, str(said)
    got = document.got(path)
    if kind == "literal_error":
        choices = _QUOTED.findall(str(said))
        if "aggregate" in path:
            meant = aggregation_meant(document.at(path), choices)
            return path, f"expected an aggregation, got {got}{meant}; choose one of {', '.join(choices)}"
        meant = (encoding_meant if path[-1] == "encoding" else did_you_mean)(document.at(path), choices)
        return path, f"expected {_accepted(path)}, got {got}{meant}"
    quote = isinstance(document.at(path), bool) and "number" not in _accepted(path)
    return path, f"expected {_accepted(path)}, got {got}{QUOTE * quote}{_meant(kind, path, document.at(path))}"


def _meant(kind: str, path: KeyPath, value: Any) -> str:
    """Return what the wrong `value` at `path` may have been meant to say, to append to a message."""
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    if kind == "duration":
        lifetime = did_you_mean(value, [LIFETIME]) if key == "windows" else ""
        leave_out = "; leave it out for no limit" if key == "within" and value == LIFETIME else ""
        return lifetime or leave_out or duration_meant(value)
    if kind == "size":
        return size_meant(value)
    if kind == "timezone":
        return zone_meant(value)
    if key in ("quantiles", "error"):
        return share_meant(value)
    if kind == "scalar" and value is None and "where" in path:
        return "; to ask for null, write `{exists: false}`"
    return HINTS.get(key, "") if isinstance(value, list) else ""


def _model(path: KeyPath) -> tuple[type[BaseModel], KeyPath]:
    """Return the model that the innermost known mapping around `path` fills, and the rest of the path within it."""
    if path[:1] == ("events",) and len(path) > 1:
        return Events, path[1:]
    if path[:1] == ("features",) and len(path) > 3 and path[2] in _WITHIN_FEATURES:
        return _WITHIN_FEATURES[str(path[2])], path[3:]
    if path[:1] == ("items",) and len(path) > 3 and path[2] == "learned":
        return Learned, path[3:]
    if path and path[0] in _NAMED and len(path) > 1:
        return _NAMED[str(path[0])], path[2:]
    return Spec, path


def _keys(path: KeyPath) -> list[str]:
    """Return the keys that the mapping at `path` accepts."""
    # One step further in, so that a mapping's own path leads to what fills it.
    model = _model((*path, ""))[0] if path else Spec
    return [field.alias or name for name, field in model.model_fields.items()]


def _required(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items() if field.is_required()]


def _accepted(path: KeyPath) -> str:
    """Return what the field that `path` leads to or into accepts."""
    model, rest = _model(path)
    for name, field in model.model_fields.items():
        if rest and rest[0] == (field.alias or name):
            if len(rest) > 1 and rest[0] in _WITHIN:
                return _WITHIN[str(rest[0])]
            return field.description or name
    return f"a mapping with {listing(_required(model))}"
