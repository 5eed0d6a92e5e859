"""Files and modules that comments, docstrings and pages name are there."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLACES = ("native", "user_state", "transforms", "beam_pipelines", "bench", "docs", "tests")
SUFFIXES = (".cpp", ".hpp", ".py", ".lua", ".md")
_FILE = re.compile(r"(?<![\w./*<>{}-])[\w./-]*\w\.(?:cpp|hpp|py|lua)\b")
_MODULE = re.compile(r"(?<![\w./])(?:user_state|transforms|beam_pipelines)(?:\.[a-z_]\w*)+")


def _of_python(source: str) -> Iterator[str]:
    """Yield comments, and strings that stand alone: docstrings of modules, functions, classes and attributes."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def prose(source: str, suffix: str) -> str:
    """Return what a file says to its reader, without its code."""
    if suffix == ".md":
        return source
    if suffix == ".py":
        return "\n".join(_of_python(source))
    mark = "--" if suffix == ".lua" else "(?<!:)//"
    return "\n".join(re.findall(f"{mark}.*", source))


def _is_file(name: str, beside: Path) -> bool:
    if "/" not in name:
        return name in NAMES
    return any((place / name).is_file() for place in (ROOT, ROOT / "native", ROOT / "user_state", beside))


def _is_module(name: str) -> bool:
    """Whether a dotted name begins with a module, or is of a package, or of what building makes."""
    place = ROOT
    for part in name.split("."):
        if (place / f"{part}.py").is_file():
            return True
        if not (place / part).is_dir():
            code = place / "__init__.py"
            exported = code.is_file() and re.search(rf"\b{part}\b", code.read_text("utf-8")) is not None
            return exported or name in BUILT
        place /= part
    return True


def missing(text: str, beside: Path) -> list[str]:
    """Return the files and modules that a text names and that are not there."""
    files = [name for name in _FILE.findall(text) if not _is_file(name, beside)]
    modules = [name for name in _MODULE.findall(text) if not name.endswith(".py") and not _is_module(name)]
    return sorted({*files, *modules})


SOURCES = [path for place in PLACES for path in sorted((ROOT / place).rglob("*")) if path.suffix in SUFFIXES]
BUILT = ("user_state._native", "user_state.commands")
"""The compiled core, and the entry points that commands are found by."""
NAMES = {path.name for path in (*SOURCES, *ROOT.glob("*.py"), *ROOT.glob("examples/**/*.py"))}


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_what_is_named_is_there(place: str) -> None:
    found = {
        str(path.relative_to(ROOT)): gone
        for path in SOURCES
        if path.is_relative_to(ROOT / place)
        and (gone := missing(prose(path.read_text("utf-8"), path.suffix), path.parent))
    }
    assert found == {}


def test_a_file_and_a_module_that_are_not_there_are_found_in_each_language() -> None:
    for source, suffix in (
        ("// As user_state.nowhere says: codec/nothing.hpp, nobody.py.\nint main();\n", ".hpp"),
        ('"""As user_state.nowhere says."""\nLEVEL = 1\n"""See codec/nothing.hpp."""  # and nobody.py\n', ".py"),
        ("-- As user_state.nowhere says: codec/nothing.hpp, nobody.py.\n", ".lua"),
        ("As `user_state.nowhere` says: [codec](codec/nothing.hpp), `nobody.py`.\n", ".md"),
    ):
        found = missing(prose(source, suffix), ROOT)
        assert found == ["codec/nothing.hpp", "nobody.py", "user_state.nowhere"], suffix


def test_what_is_there_is_found_by_each_way_to_name_it() -> None:
    files = "native/plan.hpp codec/bytes.hpp plan/layout.py layout.py"
    modules = "user_state.plan user_state.plan.layout user_state.plan.layout.Layout"
    assert missing(f"{files} {modules}", ROOT) == []


def test_code_is_not_prose() -> None:
    assert missing(prose('#include "gone.hpp"\nauto url = "http://x/gone.py";\n', ".cpp"), ROOT) == []
    assert missing(prose('NAME = "gone.py"\n', ".py"), ROOT) == []
