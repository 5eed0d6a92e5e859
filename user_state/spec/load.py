"""A spec file, read and checked as a whole: every mistake in it is reported at once, with its line.

The order of work, each step going on from whatever the one before could make sense of:

    text -> yaml_document      values with lines; duplicate keys
         -> model_problems     unknown and missing keys, values of the wrong kind
         -> window_checks      durations that do not go together
         -> output_checks      outputs with one name
         -> table_checks       tables of item vectors that are not declared
         -> field_checks       event fields that do not exist or do not fit
         -> version_checks     other versions of the events' schema that cannot be read as it
         -> bodies             schemas by id that cannot be read as it, and what does not go with the encoding
         -> deletes            change events without a row, where the user is in none that may be missing
         -> literals           numbers as the types of their fields have them

Nothing here decides what a feature means: `user_state.plan.compile` does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from user_state.errors import SpecError
from user_state.generation_name import generation_name, keyspace
from user_state.spec.bodies import load_bodies
from user_state.spec.deletes import load_deletes
from user_state.spec.event_schema import EventSchema, load_event_schema
from user_state.spec.field_checks import field_problems
from user_state.spec.literals import typed
from user_state.spec.model import Spec
from user_state.spec.model_problems import model_problems
from user_state.spec.output_checks import output_problems
from user_state.spec.problems import describe, did_you_mean
from user_state.spec.table_checks import table_problems
from user_state.spec.version_checks import load_versions
from user_state.spec.window_checks import window_problems
from user_state.spec.yaml_document import NotYamlError, read_yaml


@dataclass(frozen=True)
class LoadedSpec:
    """A spec with the schema of its events; everything it names exists and fits.

    Attributes:
        spec: what the team declares.
        schema: the events' schema, with the other versions that they may have been written with.
        path: the file it came from; None if it came as text.
        generation: which generation of its records is meant; None for those that are of none.
    """

    spec: Spec
    schema: EventSchema
    path: Path | None
    generation: str | None = None

    @property
    def fingerprint(self) -> str:
        """Return what names the spec: all that it says, and the schema of its events."""
        said = self.spec.model_dump_json(by_alias=True)
        return hashlib.blake2b(said.encode() + self.schema.fingerprint, digest_size=16).hexdigest()

    @property
    def keyspace(self) -> str:
        """Return the name that the keys of the records begin with."""
        return keyspace(self.spec.name, self.generation)

    def of_generation(self, named: str) -> LoadedSpec:
        """Return this spec for the records of a generation, `base` for those of none.

        Raises:
            InputError: it is no name of one.
        """
        return replace(self, generation=generation_name(named))

    def __repr__(self) -> str:
        """Return what there is, in a line."""
        spec = self.spec
        counts = {
            "features": len(spec.features),
            "sequences": len(spec.sequences),
            "embeddings": len(spec.embeddings),
        }
        listed = "".join(f", {number} {kind}" for kind, number in counts.items() if number)
        where = "" if self.path is None else f", from {self.path}"
        return f"LoadedSpec({spec.name!r}{listed}, of {self.schema.name}{where})"


def load_spec(path: str | Path) -> LoadedSpec:
    """Read the spec file at `path`.

    Raises:
        SpecError: it cannot be read or used; one line a problem, each `file:line: what was expected, what came`.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError as exc:
        raise SpecError(f"{path}: expected a spec file, got no such file{_similar(path)}") from exc
    except IsADirectoryError as exc:
        inside = sorted(str(found) for found in path.glob("*.yaml"))
        hint = f"; did you mean `{inside[0]}`?" if inside else ""
        raise SpecError(f"{path}: expected a spec file, got a directory{hint}") from exc
    except OSError as exc:
        raise SpecError(f"{path}: expected a spec file that can be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise SpecError(f"{str(path)!r}: expected the path of a spec file: {exc}") from exc
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise SpecError(f"{path}:{line}: expected UTF-8 text, got byte 0x{raw[exc.start]:02x}") from exc
    return _load(text, beside=path.parent, name=str(path), path=path)


def parse_spec(text: str, *, beside: Path, name: str = "<spec>") -> LoadedSpec:
    """Read the spec `text` as if it were a file called `name` in the folder `beside`.

    Raises:
        SpecError: it cannot be used; one line a problem.
    """
    return _load(text, beside=beside, name=name, path=None)


def _load(text: str, *, beside: Path, name: str, path: Path | None) -> LoadedSpec:
    try:
        document = read_yaml(text)
    except NotYamlError as exc:
        raise SpecError(describe([exc.problem], name)) from exc
    problems = [*document.problems, *model_problems(document), *window_problems(document), *output_problems(document)]
    problems += table_problems(document)
    schema: EventSchema | None = None
    schema_name = document.mapping("events").get("schema")
    if isinstance(schema_name, str):
        try:
            schema = load_event_schema(schema_name, beside)
        except SpecError as exc:
            problems.append(document.problem(("events", "schema"), str(exc)))
        else:
            problems += field_problems(document, schema)
            schema, found = load_versions(document, schema, beside)
            problems += found
            schema, found = load_bodies(document, schema, beside)
            problems += found
            schema, found = load_deletes(document, schema)
            problems += found
    if problems or schema is None:
        raise SpecError(describe(problems, name))
    return LoadedSpec(typed(Spec.model_validate(document.value), schema), schema, path)


def _similar(path: Path) -> str:
    names = [found.name for found in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    return did_you_mean(path.name, names)
