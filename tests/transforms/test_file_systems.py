"""Paths of this machine and of object stores."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest
from apache_beam.io import filesystems

from transforms.file_systems import matching, open_path
from user_state.errors import InputError


def test_a_pattern_of_this_machine_and_one_of_beams(tmp_path: Path) -> None:
    for name in ("b.avro", "a.avro", "c.csv"):
        (tmp_path / name).write_text(name)
    assert [Path(path).name for path in matching(f"{tmp_path}/*.avro")] == ["a.avro", "b.avro"]


def test_nothing_that_matches_is_an_error(tmp_path: Path) -> None:
    """GoogleCloudPlatform/DataflowJavaSDK#556: reading nothing without a word is worse than an error."""
    with pytest.raises(InputError, match=r"no file matches .*: expected the path of a file of events, or a pattern"):
        matching(f"{tmp_path}/*.avro")


@pytest.mark.parametrize(
    ("path", "module", "said"),
    [
        (
            "s3://bucket/day.avro",
            "boto3",
            r"s3:// needs a package that is not installed: pip install 'apache-beam\[aws\]'",
        ),
        ("gs://bucket/day.avro", "google.cloud.storage", r"pip install 'apache-beam\[gcp\]'"),
        ("azfs://account/container/day.avro", "azure.storage.blob", r"pip install 'apache-beam\[azure\]'"),
    ],
)
def test_the_package_of_an_object_store_is_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, path: str, module: str, said: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for read in (matching, open_path):
        with pytest.raises(InputError, match=said):
            read(path)


def test_an_unknown_scheme_says_which_are_known() -> None:
    with pytest.raises(InputError, match=r"cannot read ftp://x/y: expected a path of this machine, gs://, s3://"):
        matching("ftp://x/y")


def test_what_a_file_system_refuses_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def match(self, patterns: list[str], limits: object = None) -> None:
            raise RuntimeError("403 no access to bucket\nstack\nof\nlines")

    monkeypatch.setattr(filesystems.FileSystems, "get_filesystem", staticmethod(lambda _: Refusing()))
    monkeypatch.setattr("transforms.file_systems.check_scheme", lambda _: None)
    with pytest.raises(InputError) as caught:
        matching("gs://bucket/*.avro")
    assert str(caught.value) == "cannot list gs://bucket/*.avro: 403 no access to bucket"


def test_what_is_compressed_as_a_whole_is_read_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    with open_path(str(tmp_path / "a.csv.gz")) as file:
        assert file.readlines() == [b"one\n", b"two\n"]
