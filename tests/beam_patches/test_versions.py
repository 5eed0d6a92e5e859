"""Each alteration of Beam names the versions that it was written for, and is left out elsewhere."""

from __future__ import annotations

import ast
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apache_beam
import pytest
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.worker import bundle_processor, sdk_worker, statecache

from beam_pipelines import running
from beam_pipelines.beam_patches import versions
from beam_pipelines.beam_patches.versions import PATCHES, put_in_place, uses
from beam_pipelines.flink import worker

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "beam_pipelines" / "beam_patches"
REPLACED = (
    (fn_runner, "consolidate_monitoring_infos", "direct_metrics"),
    (statecache, "get_deep_size", "state_sizes"),
    (bundle_processor, "FnApiUserStateContext", "state_writes"),
    (sdk_worker, "GrpcStateHandler", "state_prefetch"),
)


@pytest.fixture(autouse=True)
def _as_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back what is replaced, and warn anew."""
    for module, name, _ in REPLACED:
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(versions, "_warned", set())


@pytest.fixture
def another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the next version of Beam is installed."""
    monkeypatch.setattr(apache_beam, "__version__", "2.78.0")


def test_every_patch_is_listed_and_says_which_versions_it_fits():
    modules = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "versions"}
    assert modules == set(PATCHES)
    for name, patch in PATCHES.items():
        text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))) or ""
        said = re.search(r"^Written for: Beam (.*)\.$", text, re.MULTILINE)
        assert said is not None, name
        assert tuple(said[1].split(" and ")) == patch.versions, name


def test_the_pinned_beam_is_one_that_every_patch_fits():
    pinned = re.search(r"^apache-beam==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert apache_beam.__version__ == pinned[1]
    assert [name for name in PATCHES if not uses(name)] == []


@pytest.mark.parametrize(("module", "name", "patch"), REPLACED, ids=[patch for _, _, patch in REPLACED])
def test_a_patch_alters_the_beam_that_it_was_written_for(module, name, patch, monkeypatch):
    original = object()
    monkeypatch.setattr(module, name, original)
    put_in_place(patch)
    assert getattr(module, name) is not original


@pytest.mark.parametrize(("module", "name", "patch"), REPLACED, ids=[patch for _, _, patch in REPLACED])
@pytest.mark.usefixtures("another")
def test_a_patch_leaves_another_beam_as_it_is_and_says_so_once(module, name, patch, caplog):
    original = getattr(module, name)
    put_in_place(patch)
    put_in_place(patch)
    assert getattr(module, name) is original
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"Apache Beam 2.78.0 is installed, and the patch {patch} was written for 2.77, so")
    assert said.endswith(PATCHES[patch].without)


@pytest.mark.usefixtures("another")
def test_modules_for_another_beam_are_not_even_imported():
    code = (
        "import sys, apache_beam; apache_beam.__version__ = '2.78.0'\n"
        "from beam_pipelines.beam_patches.versions import PATCHES, put_in_place\n"
        "put_in_place(*PATCHES)\n"
        "print([name for name in PATCHES if f'beam_pipelines.beam_patches.{name}' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "[]\n"
    assert done.stderr.count("is left out") == len(PATCHES)


@pytest.mark.usefixtures("another")
def test_with_another_beam_the_command_takes_beams_word_for_options(caplog):
    options = running.beam_options(["--no_such_option=1"])
    assert options is not None
    assert "an option that Beam does not know" in caplog.text


@pytest.mark.usefixtures("another")
def test_with_another_beam_errors_are_logged_as_beam_does():
    with running.without_stack_traces():
        assert logging.getLogger("apache_beam.runners.common").filters == []


def test_a_workers_class_is_beams_own_with_another_beam(monkeypatch):
    reports, reporting = worker._harness_class()
    assert reports
    assert issubclass(reporting, sdk_worker.SdkHarness)
    monkeypatch.setattr(apache_beam, "__version__", "2.78.0")
    assert worker._harness_class() == (False, sdk_worker.SdkHarness)


OURS = {"self", "cls", "os"}
PUBLIC = {"_replace", "_asdict", "_fields", "_make", "_add_argparse_args"}
"""Of named tuples; and how Beam's documentation has options of one's own declared."""
INTERNAL = ("apache_beam.runners", "apache_beam.internal")


def internals_used(path: Path) -> Iterator[str]:
    """Yield each import of Beam's internals, and each private attribute of what is not ours, with its line."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr):
            named = node.value.id if isinstance(node.value, ast.Name) else ""
            if named not in OURS and node.attr not in PUBLIC and not _is_ours(node.value):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {named}.{node.attr}"
        yield from (
            f"{path.relative_to(ROOT)}:{node.lineno} {name}"
            for name in names
            if name.startswith(INTERNAL) and not _is_a_workers_own(path, name)
        )


def _is_ours(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "super"


def _is_a_workers_own(path: Path, name: str) -> bool:
    """Return whether it is Beam's worker, as it is, which a worker of any version has to be."""
    return path.name == "worker.py" and name == "apache_beam.runners.worker.sdk_worker.SdkHarness"


def test_beams_internals_are_used_in_the_patches_and_nowhere_else():
    elsewhere = [
        path
        for place in ("transforms", "beam_pipelines")
        for path in (ROOT / place).rglob("*.py")
        if FOLDER not in path.parents
    ]
    assert [one for path in elsewhere for one in internals_used(path)] == []
    found = {one.split(" ")[-1] for path in FOLDER.glob("*.py") for one in internals_used(path)}
    assert {"result._message_stream", "apache_beam.runners.worker.sdk_worker.SdkHarness"} <= found


def test_jars_are_not_built_with_a_patch_for_another_runner(tmp_path):
    for folder in ("deploy/flink", "beam_pipelines/beam_patches/java"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    pom = tmp_path / "deploy/flink/pom.xml"
    pom.write_text(pom.read_text().replace("<version>2.70.0<", "<version>2.71.0<"))
    done = subprocess.run([tmp_path / "deploy/flink/setup.sh"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == (
        "flink: expected beam-runners-flink 2.70 in deploy/flink/pom.xml, which"
        " beam_pipelines/beam_patches/java/BundleCheckpointHandlers.java was written for, got 2.71.0:"
        " see docs/design/beam-patches.md\n"
    )
