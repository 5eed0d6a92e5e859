"""Paths with a scheme: an object store over real HTTP, and files of this machine, give the same as plain paths."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.object_store import WHEN_HTTP, ObjectStore, running_object_store
from user_state.errors import InputError
from user_state.events import stored_files
from user_state.events.stored_files import check_of_this_machine, facts_of, matching, open_stored

FILES = {f"logs/day={day}/part-{part}.avro": f"{day}{part}".encode() * 50_000 for day in (1, 2) for part in "ab"}
FILES |= {"logs/readme.txt": b"none", "logs/x[1].avro": b"odd", "other/y.avro": b"y"}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    with running_object_store() as server:
        server.files.update(FILES)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        stored_files._s3.cache_clear()
        yield server
        stored_files._s3.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, body in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body)
    return tmp_path


PATTERNS = [
    "logs/day=1/*.avro",
    "logs/*/part-?.avro",
    "**/*.avro",
    "logs/**/part-[!a].avro",
    "logs/*",
    "logs/readme.txt",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_match_in_an_object_store_what_they_match_on_this_machine(
    store: ObjectStore, folder: Path, pattern: str
) -> None:
    found = glob.glob(f"{folder}/{pattern}", recursive=True)
    expected = sorted(os.path.relpath(path, folder) for path in found if Path(path).is_file())
    assert expected
    assert matching(f"{folder}/{pattern}") == [f"{folder}/{path}" for path in expected]
    assert matching(f"s3://bucket/{pattern}") == [f"s3://bucket/{path}" for path in expected]
    assert matching(f"file://{folder}/{pattern}") == [f"file://{folder}/{path}" for path in expected]


def test_a_file_of_an_object_store_is_read_and_sought(store: ObjectStore, folder: Path) -> None:
    name = "logs/day=2/part-b.avro"
    for path in (f"s3://bucket/{name}", f"file://{folder}/{name}", f"{folder}/{name}"):
        with open_stored(path) as file:
            assert file.read(3) == b"2b2"
            file.seek(-2, os.SEEK_END)
            assert file.read() == b"2b"
        assert facts_of(path).size == 100_000
    assert facts_of(f"s3://bucket/{name}").changed_ns == 1_764_000_000 * 10**9, WHEN_HTTP


@pytest.mark.parametrize(
    "pattern", ["s3://bucket/none/*.avro", "s3://bucket/none.avro", "file:///none/*.avro", "none/*"]
)
def test_what_matches_nothing_is_an_error(store: ObjectStore, pattern: str) -> None:
    with pytest.raises(InputError, match="which matches no file"):
        matching(pattern)


def test_a_bucket_that_is_not_there_and_a_scheme_that_nobody_knows_are_told(store: ObjectStore) -> None:
    with pytest.raises(InputError, match=r"cannot list s3://nobodys/\*|matches no file"):
        matching("s3://nobodys/*")
    with pytest.raises(InputError, match="expected a path of this machine, or gs://, s3://, file://"):
        matching("hdfs://namenode/logs/*.avro")
    with pytest.raises(InputError, match="expected a bucket in s3"):
        matching("s3://*/x.avro")
    with pytest.raises(InputError, match="there is no such file"):
        facts_of("s3://bucket/none.avro")


def test_what_has_to_be_of_this_machine_is_said() -> None:
    check_of_this_machine("out/rows", "what is written")
    for path in ("gs://bucket/rows", Path("gs://bucket/rows")):
        with pytest.raises(InputError, match="expected a path of this machine for what is written, got gs:/"):
            check_of_this_machine(path, "what is written")
