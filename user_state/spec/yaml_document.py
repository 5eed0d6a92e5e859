"""YAML text as plain values that remember where in the file they stand and how they were written.

Reads what the spec needs of YAML: mappings with text keys, lists, text, numbers, booleans, null, anchors and merge
keys. Refuses what a spec cannot mean: duplicate keys, other tags, aliases that contain themselves or multiply without
bound. Dates stay text. Nothing here knows what a spec contains.

`lines` holds the line of every key and list item by its path. `written` holds the source text of every value that
is not text, since `yes` and `0x10` read back as `True` and `16` would puzzle who wrote them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from user_state.errors import shorten
from user_state.spec.problems import KeyPath, Problem, spell

MAX_NODES = 100_000
"""Aliases can make a short file arbitrarily large; no real spec comes near."""

_TAG = "tag:yaml.org,2002:"
_SCALARS = {f"{_TAG}{kind}" for kind in ("str", "int", "float", "bool", "null")}
_READ_AS = {bool: "a boolean", int: "a number", float: "a number", type(None): "null"}


QUOTE = "; put it in quotes to mean text"


class NotYamlError(Exception):
    """The text cannot be read at all; `problem` says where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


@dataclass(frozen=True)
class Document:
    """A parsed file: its value, the lines and source text of its parts, and what was refused on the way."""

    value: Any
    lines: dict[KeyPath, int] = field(default_factory=dict)
    written: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    refused: frozenset[KeyPath] = frozenset()
    """Paths of values already complained of, which stand as None or 0."""

    def line(self, path: KeyPath) -> int:
        """Return the line of `path`, or of the innermost part around it that has one."""
        return next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), 1)

    def problem(self, path: KeyPath, text: str) -> Problem:
        """Return a problem with the value at `path`."""
        return Problem(self.line(path), f"{spell(path)}: {text}" if path else text)

    def at(self, path: KeyPath) -> Any:
        """Return the value at `path`; a value stands for a list of itself, as in the spec."""
        value = self.value
        for key in path:
            in_list = isinstance(value, list) and isinstance(key, int) and key < len(value)
            if in_list or (isinstance(value, dict) and key in value):
                value = value[key]
        return value

    def find(self, path: KeyPath) -> Any:
        """Return the value at `path`, None if there is none."""
        return self.at(path) if path in self.lines else None

    def entries(self, *path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (key, value) for what lies under `path`, if that is a mapping, and is a mapping itself."""
        for key, value in self.mapping(*path).items():
            if isinstance(value, dict):
                yield key, value

    def mapping(self, *path: str) -> dict[str, Any]:
        """Return the mapping at `path`, or an empty one if something else stands there."""
        value: Any = self.value
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else {}

    def items(self, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
        """Yield (path, value) for each item of the list at `path`, or for the value itself."""
        value = self.at(path)
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield (*path, index), item
        else:
            yield path, value

    def got(self, path: KeyPath) -> str:
        """Return the value at `path` for a message: as it was written, cut short."""
        value = self.at(path)
        while path not in self.written and path and isinstance(path[-1], int):
            path = path[:-1]
        if isinstance(value, str | list | dict) or path not in self.written:
            return shorten(value)
        return _unquoted(self.written[path], value)


def read_yaml(text: str) -> Document:
    """Parse `text`.

    Raises:
        NotYamlError: it is no single YAML document, or too large or deep to be a spec.
    """
    loader = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        builder = _Builder(loader)
        value = None if root is None else builder.build(root, ())
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = "" if mark is None else f" (column {mark.column + 1})"
        hint = "; indent with spaces, not tabs" if "'\\t'" in str(exc.problem) else ""
        line_at = text.splitlines()[mark.line : mark.line + 1] if mark is not None else []
        if line_at and re.search(r"(^|[{,\[\s])[<>]=?\s*:", line_at[0]):
            hint = '; put operators in quotes, as in {">=": 5}'
        text = f"not YAML: {exc.problem or exc.context}{place}{hint}"
        raise NotYamlError(Problem(1 if mark is None else mark.line + 1, text)) from exc
    except yaml.reader.ReaderError as exc:
        line = text.count("\n", 0, exc.position) + 1
        raise NotYamlError(Problem(line, f"not YAML: the character U+{exc.character:04X} is not allowed")) from exc
    except RecursionError as exc:
        raise NotYamlError(Problem(1, "not a spec: nested too deeply")) from exc
    except (yaml.YAMLError, ValueError, LookupError, ArithmeticError) as exc:
        # PyYAML lets Python's own errors through for some malformed escapes and directives.
        raise NotYamlError(Problem(1 if loader is None else loader.line + 1, f"not YAML: {exc}")) from exc
    return Document(value, builder.lines, builder.written, builder.problems, frozenset(builder.refused))


def _unquoted(written: str, value: Any) -> str:
    if value is None:
        return "nothing" if written == "" else written
    hint = ", which YAML reads as a boolean" if isinstance(value, bool) else ""
    return f"{written if len(written) <= 80 else written[:77] + '...'}{hint}"


class _Loader(yaml.SafeLoader):
    """SafeLoader without dates, without `=` as anything but text, and with the numbers of YAML 1.2.

    PyYAML has those of YAML 1.1, in which 0123 is 83, 1:30 is 90, and 1e3 is text.
    """


_WHOLE = re.compile(r"[-+]?[0-9][0-9_]*|0o[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+")
_REAL = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


def _whole(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    digits = str(loader.construct_scalar(node)).replace("_", "")
    based = {"0o": 8, "0x": 16, "0b": 2}.get(digits[:2])
    return int(digits, 10) if based is None else int(digits[2:], based)


def _real(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    digits = str(loader.construct_scalar(node)).replace("_", "").casefold()
    return float(digits.replace(".inf", "inf").replace(".nan", "nan"))


_NOT_TAKEN = {f"{_TAG}{kind}" for kind in ("timestamp", "value", "int", "float")}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NOT_TAKEN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, _pattern, _construct in (("int", _WHOLE, _whole), ("float", _REAL, _real)):
    _Loader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(rf"(?:{_pattern.pattern})\Z"), list("-+.0123456789"))
    _Loader.add_constructor(f"{_TAG}{_kind}", _construct)


class _Builder:
    """Turns nodes into values, collecting lines, source text and problems; one use each."""

    def __init__(self, loader: _Loader) -> None:
        self.loader = loader
        self.lines: dict[KeyPath, int] = {}
        self.written: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []
        self.refused: set[KeyPath] = set()
        self.open: list[yaml.Node] = []
        self.nodes = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.enter(node)
        self.lines.setdefault(path, _line(node))
        value: Any
        if isinstance(node, yaml.ScalarNode):
            value = self.scalar(node, path)
        elif isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            value = [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            value = {}
            for key, key_node, value_node in self.pairs(node, path):
                self.lines[*path, key] = _line(key_node)
                value[key] = self.build(value_node, (*path, key))
        else:
            self.refuse_value(node, path, f"expected a list or mapping without a tag, got {shorten(node.tag)}")
            value = None
        self.open.pop()
        return value

    def enter(self, node: yaml.Node) -> None:
        self.nodes += 1
        if any(node is outer for outer in self.open):
            raise NotYamlError(Problem(_line(node), "not a spec: an alias refers to a value that contains it"))
        if self.nodes > MAX_NODES:
            raise NotYamlError(Problem(_line(node), f"not a spec: more than {MAX_NODES} values"))
        self.open.append(node)

    def pairs(self, node: yaml.MappingNode, path: KeyPath) -> list[tuple[str, yaml.Node, yaml.Node]]:
        """Return (key, key node, value node) of a mapping, what it merges with `<<` after its own."""
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: list[tuple[str, yaml.Node, yaml.Node]] = []
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                merged += self.merged(value_node, path)
            elif not isinstance(key_node, yaml.ScalarNode) or key_node.tag not in _SCALARS:
                self.refuse(key_node, path, "expected text as a key, got a list, a mapping or a tag")
            elif key_node.tag != f"{_TAG}str":
                kind = _READ_AS[type(self.scalar(key_node, path))]
                text = f"expected text as a key, got {key_node.value or 'nothing'}, which YAML reads as {kind}"
                self.refuse(key_node, path, f"{text}{QUOTE}")
            elif key_node.value in own:
                first = _line(own[key_node.value][0])
                self.refuse(key_node, path, f"{shorten(key_node.value)} is a duplicate key, first used on line {first}")
            else:
                own[key_node.value] = (key_node, value_node)
        pairs = [(key, *nodes) for key, nodes in own.items()]
        seen = set(own)
        for pair in merged:
            if pair[0] not in seen:
                seen.add(pair[0])
                pairs.append(pair)
        return pairs

    def merged(self, node: yaml.Node, path: KeyPath) -> list[tuple[str, yaml.Node, yaml.Node]]:
        self.enter(node)
        pairs: list[tuple[str, yaml.Node, yaml.Node]] = []
        if isinstance(node, yaml.MappingNode):
            pairs = self.pairs(node, path)
            self.nodes += len(pairs)
        elif isinstance(node, yaml.SequenceNode):
            pairs = [pair for item in node.value for pair in self.merged(item, path)]
        else:
            self.refuse(node, path, f"expected a mapping after <<, got {shorten(node.value)}")
        self.open.pop()
        return pairs

    def scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        if node.tag not in _SCALARS:
            self.refuse_value(node, path, f"expected a value without a tag, got {shorten(node.tag)}")
            return None
        try:
            value = self.loader.construct_object(node)
        except (ValueError, LookupError, ArithmeticError):
            self.refuse_value(
                node,
                path,
                f"expected a value of the type in its tag, {node.tag.removeprefix(_TAG)}, got {shorten(node.value)}",
            )
            return None
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            self.refuse_value(node, path, f"expected a whole number of at most 64 bits, got {shorten(node.value)}")
            return 0
        if not isinstance(value, str):
            self.written[path] = node.value
        return value

    def refuse_value(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        self.refused.add(path)
        self.refuse(node, path, text)

    def refuse(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        self.problems.append(Problem(_line(node), f"{spell(path)}: {text}" if path else text))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
