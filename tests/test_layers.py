"""Dependencies point one way: user_state <- transforms <- beam_pipelines, and within user_state towards the plan.

Imports are read from the source, so that one inside a function counts as much as one at the top.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = {
    # what it is: what it may import of user_state beside itself; what it may import that others made
    "user_state/errors.py": (set(), set()),
    "user_state/durations.py": (set(), set()),
    "user_state/sizes.py": (set(), set()),
    "user_state/printable.py": (set(), set()),
    "user_state/times.py": ({"errors"}, set()),
    "user_state/id_text.py": ({"errors"}, set()),
    "user_state/generation_name.py": ({"errors"}, set()),
    "user_state/source_id.py": (set(), set()),
    "user_state/native.py": ({"errors", "source_id", "_native"}, set()),
    "user_state/plan": ({"spec", "durations", "errors"}, {"numpy"}),
    "user_state/state": ({"plan", "native", "errors"}, {"numpy"}),
    "user_state/embeddings": (
        {"plan", "state", "spec", "errors", "id_text"},
        {"numpy", "xxhash", "fastavro", "pyarrow", "usearch"},
    ),
    "user_state/reading": ({"plan", "state", "embeddings", "native"}, {"numpy"}),
    "user_state/store": (
        {"plan", "state", "embeddings", "native", "generation_name", "errors"},
        {"redis", "hiredis", "numpy"},
    ),
    "user_state/fold_report.py": (set(), {"numpy"}),
    "user_state/fold_memory.py": ({"state", "store"}, {"numpy"}),
    "user_state/fold.py": ({"plan", "state", "store", "fold_memory", "fold_report", "errors"}, {"numpy"}),
    "user_state/worst_case.py": ({"plan", "events", "state", "native", "durations"}, set()),
    "user_state/item_stage.py": ({"plan", "state", "embeddings", "store", "fold", "errors"}, {"numpy"}),
    "user_state/results.py": ({"state", "errors", "times"}, {"numpy"}),
    "user_state/questions.py": ({"errors", "id_text"}, set()),
    "user_state/state_reads.py": ({"plan", "state", "embeddings", "reading", "store", "errors"}, set()),
    "user_state/similarity.py": ({"state_reads", "plan", "embeddings", "store", "errors", "printable"}, {"numpy"}),
    "user_state/served_state.py": (
        {"state_reads", "similarity", "plan", "embeddings", "store", "spec", "errors"},
        set(),
    ),
    "user_state/client.py": (
        {
            "results",
            "id_text",
            "generation_name",
            "questions",
            "state_reads",
            "answers",
            "served_state",
            "similarity",
            "plan",
            "embeddings",
            "store",
            "spec",
            "errors",
        },
        set(),
    ),
    "user_state/ranking": ({"results", "durations", "errors"}, {"numpy"}),
    "user_state/evaluation": (
        {
            *("ranking", "plan", "state", "embeddings", "reading", "store", "fold", "item_stage", "results", "client"),
            *("events", "spec", "durations", "errors"),
        },
        {"numpy", "matplotlib"},
    ),
    "user_state/history": (
        {"plan", "state", "embeddings", "reading", "events", "spec", "durations", "id_text", "times", "errors"},
        {"numpy", "xxhash", "pyarrow"},
    ),
    "user_state/backfill": (
        {"history", "plan", "state", "events", "store", "spec", "errors", "printable"},
        {"numpy", "pyarrow"},
    ),
    "user_state/answers": (
        {"plan", "state", "reading", "history", "state_reads", "spec", "native", "errors"},
        {"numpy", "pyarrow"},
    ),
    "user_state/consistency": (
        {
            *("answers", "events", "history", "plan", "state", "embeddings", "reading", "oracle", "spec", "errors"),
            "times",
        },
        {"numpy", "pyarrow", "xxhash"},
    ),
    "user_state/dead_letters": (
        {"events", "plan", "spec", "durations", "errors", "printable", "times"},
        {"fastavro"},
    ),
    "user_state/capacity": ({"plan", "state", "store", "fold", "costs", "spec", "errors"}, {"yaml"}),
    "user_state/schema_registry": ({"spec", "errors"}, set()),
    "user_state/oracle": ({"spec", "durations"}, {"numpy", "xxhash", "fastavro"}),
}
CORE = ("user_state/plan", "user_state/state", "user_state/embeddings", "user_state/reading")
"""What computes, without clock, chance or files."""
ONLY_UNDER = {
    "redis": "user_state/store",
    "apache_beam": ("transforms", "beam_pipelines"),
    "google": ("transforms", "beam_pipelines"),
    "yaml": ("user_state/spec", "user_state/capacity", "beam_pipelines/observability"),
    "typer": ("user_state/cli", "beam_pipelines"),
    "matplotlib": "user_state/evaluation",
}
STANDARD = sys.stdlib_module_names


def sources(*places: str) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


@functools.cache
def imports(path: Path) -> list[tuple[int, str]]:
    """Return (line, full name) of everything a file imports; `from a import b` gives `a.b`."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def offences(places: tuple[str, ...], forbidden: set[str]) -> list[str]:
    """Return `file:line name` for every import whose first parts are forbidden."""
    return [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in sources(*places)
        for line, name in imports(path)
        if any(name == f or name.startswith(f"{f}.") for f in forbidden)
    ]


def test_the_files_are_found_and_their_imports_too():
    assert len(list(sources("user_state", "transforms", "beam_pipelines"))) > 60
    found = {name for _, name in imports(ROOT / "user_state" / "store" / "connection.py")}
    assert {"redis", "redis.exceptions.ResponseError", "user_state.errors.StoreError"} <= found


@pytest.mark.parametrize(
    ("place", "forbidden"),
    [
        ("user_state", {"apache_beam", "google", "transforms", "beam_pipelines", "tests"}),
        ("transforms", {"beam_pipelines", "tests", "user_state.cli"}),
        ("beam_pipelines", {"tests"}),
    ],
)
def test_packages_import_in_one_direction(place, forbidden):
    assert offences((place,), forbidden) == []


@pytest.mark.parametrize("place", LAYERS)
def test_a_layer_imports_what_lies_below_it_and_little_else(place):
    ours, theirs = LAYERS[place]
    itself = place.removeprefix("user_state/").removesuffix(".py")
    strangers = []
    for path in sources(place):
        for line, name in imports(path):
            first, second = [*name.split("."), ""][:2]
            allowed = second in {itself, *ours} if first == "user_state" else first in STANDARD | theirs
            if not allowed:
                strangers.append(f"{path.relative_to(ROOT)}:{line} {name}")
    assert strangers == []


@pytest.mark.parametrize("package", ONLY_UNDER)
def test_a_third_party_is_imported_in_one_place(package):
    places = ONLY_UNDER[package]
    places = (places,) if isinstance(places, str) else places
    found = offences(("user_state", "transforms", "beam_pipelines"), {package})
    assert found, f"nobody imports {package} any more"
    assert [one for one in found if not one.startswith(tuple(f"{place}/" for place in places))] == []


def test_one_file_knows_of_the_compiled_code():
    knowing = {one.split(":")[0] for one in offences(("user_state",), {"user_state._native"})}
    assert knowing == {"user_state/native.py"}


def test_only_one_file_spells_redis_keys():
    spelling = [
        str(path.relative_to(ROOT))
        for path in sources("user_state", "transforms", "beam_pipelines")
        if any(f":{end}" in path.read_text("utf-8") for end in ('state"', 'seen"', 'turn"', 'registry"'))
    ]
    assert spelling == ["user_state/store/keys.py"]


IMPURE = {
    "user_state/state/layouts.py": "remembers for a while which layouts nobody registered",
    "user_state/embeddings/import_file.py": "reads a file of vectors",
    "user_state/embeddings/table_file.py": "reads and writes a table's file",
    "user_state/embeddings/nearest.py": "builds an index once, whichever thread asks first",
}
"""Files of the core that need more than their arguments, and for what."""
IMPURE_MODULES = {"time", "random", "secrets", "os", "logging", "socket", "threading", "subprocess", "pathlib", "io"}


def test_the_core_has_no_clock_chance_environment_logging_or_files():
    found = {one.split(":")[0] for one in offences(CORE, IMPURE_MODULES | {"datetime"})}
    assert found == set(IMPURE)
    calls = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(*CORE)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "print", "input")
    ]
    assert calls == []


def test_importing_the_package_is_cheap():
    heavy = [
        "numpy",
        "redis",
        "fastavro",
        "apache_beam",
        "matplotlib",
        "pydantic",
        "yaml",
        "typer",
        "rich",
        "grpc",
        "google.protobuf",
    ]
    code = f"import sys, user_state; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_what_the_package_exports_can_be_had_and_reads_without_beam():
    code = (
        "import sys, user_state\n"
        "print(sorted(user_state.__all__), all(getattr(user_state, n) is not None for n in user_state.__all__),"
        " 'redis' in sys.modules, 'apache_beam' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    names = [
        "AnswerLog",
        "UserState",
        "UserStateBatch",
        "UserStateClient",
        "UserStateError",
        "__version__",
        "load_spec",
    ]
    assert done.stdout == f"{names} True True False\n"


def test_an_unknown_name_is_an_attribute_error():
    import user_state

    with pytest.raises(AttributeError, match="no_such_name"):
        _ = user_state.no_such_name


def test_avro_holds_schemas_only_and_is_no_package():
    assert {path.suffix for path in (ROOT / "avro").iterdir()} == {".avsc"}
    assert (ROOT / "user_state" / "schemas" / "user_state.avsc").samefile(ROOT / "avro" / "user_state.avsc")
