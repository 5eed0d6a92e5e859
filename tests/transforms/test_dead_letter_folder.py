"""A folder of dead letters: what is said to be stored is on the disk, under its name, before it is acknowledged."""

import errno
import os
from pathlib import Path

import fastavro
import pytest

from transforms import dead_letter_sinks
from transforms.dead_letter_sinks import open_sink
from transforms.packet import DeadLetter
from user_state.events.message import Message


def letter(data: bytes = b"\xff", attributes: dict[str, str] | None = None, origin: str = "o") -> DeadLetter:
    return DeadLetter(Message(data, attributes or {}, 5, "ack", origin), "undecodable", "no event")


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return the calls that make a file last, as they come; each does what it does."""
    calls: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def name_of(descriptor: int) -> str:
        return os.readlink(f"/proc/self/fd/{descriptor}")

    def tracing_fsync(descriptor: int) -> None:
        calls.append(("fsync", name_of(descriptor)))
        fsync(descriptor)

    def tracing_replace(source: Path, target: Path) -> None:
        calls.append(("replace", str(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", tracing_fsync)
    monkeypatch.setattr(os, "replace", tracing_replace)
    return calls


def test_a_file_is_synced_then_renamed_then_its_folder_is_synced(tmp_path: Path, traced: list[tuple[str, str]]):
    folder = tmp_path / "dead"
    folder.mkdir()
    assert open_sink(str(folder))([letter()]).stored == [True]
    (file,) = folder.iterdir()
    assert traced == [
        ("fsync", str(folder / f".{file.name}.partial")),
        ("replace", str(file)),
        ("fsync", str(folder)),
    ]
    with file.open("rb") as stream:
        assert [one["data"] for one in fastavro.reader(stream)] == [b"\xff"]


def test_folders_that_are_made_are_synced_into_those_above_them(tmp_path: Path, traced: list[tuple[str, str]]):
    folder = tmp_path / "a" / "b"
    open_sink(str(folder))([letter()])
    assert [name for call, name in traced[:2] if call == "fsync"] == [str(tmp_path / "a"), str(tmp_path)]


def test_a_folder_that_cannot_be_synced_has_stored_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def failing(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EIO, "the disk is gone")

    monkeypatch.setattr(os, "fsync", failing)
    result = open_sink(str(tmp_path))([letter(), letter()])
    assert result.stored == [False, False]
    assert "the disk is gone" in str(result.problem)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EBADF, errno.ENOTSUP])
def test_a_file_system_that_cannot_sync_folders_is_good_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code):
    def failing(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(code, "not here")

    monkeypatch.setattr(os, "fsync", failing)
    assert open_sink(str(tmp_path))([letter()]).stored == [True]


def test_any_text_and_any_number_of_attributes_can_be_stored(tmp_path: Path):
    attributes = {f"a{n}": "v" * 2000 for n in range(300)} | {"": "\udcff"}
    assert open_sink(str(tmp_path))([letter(attributes=attributes, origin="/f\udcff")]).stored == [True]
    (file,) = tmp_path.iterdir()
    with file.open("rb") as stream:
        (found,) = fastavro.reader(stream)
    assert found["attributes"] == attributes | {"": "\\udcff"}
    assert found["origin"] == "/f\\udcff"


def test_the_module_syncs_by_the_calls_that_are_traced_here():
    assert dead_letter_sinks.os is os
