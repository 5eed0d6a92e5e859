"""A table comes back as it was written, and what is no table is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from user_state.embeddings.table import checked_table
from user_state.embeddings.table_file import read_table, write_table
from user_state.errors import InputError

IDS = ["tea", "Jörg's jam", "茶"]
VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2) / 7


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    table = checked_table(IDS, VECTORS, "here")
    write_table(tmp_path / "items.npz", table)
    again = read_table(tmp_path / "items.npz")
    assert list(again.ids) == IDS
    np.testing.assert_array_equal(VECTORS, again.vectors)
    assert again.vectors.dtype == np.float32
    assert [path.name for path in tmp_path.iterdir()] == ["items.npz"]


def test_the_version_names_ids_and_vectors_both() -> None:
    version = checked_table(IDS, VECTORS, "here").version
    assert version == checked_table(list(IDS), VECTORS.astype(np.float64), "there").version
    changed = VECTORS.copy()
    changed[0, 0] = np.nextafter(changed[0, 0], np.float32(1))
    assert version != checked_table(IDS, changed, "here").version
    assert version != checked_table(["te", "aJörg's jam", "茶"], VECTORS, "here").version


@pytest.mark.parametrize(
    ("ids", "vectors", "message"),
    [
        (["a"], VECTORS, r"a vector an item in here, got 1 ids and an array of \(3, 2\)"),
        (["a"], np.ones(1), r"got 1 ids and an array of \(1,\)"),
        ([], np.ones((0, 2)), r"items with vectors in here"),
        (["a"], np.ones((1, 0)), r"items with vectors in here"),
        (["a", "b", "a"], VECTORS, "each id once in here, got 'a' twice"),
        (["a", "", "b"], VECTORS, "not empty"),
        (["a", "b", "c"], np.array([[1, 2], [np.nan, 1], [1, 1]]), "finite numbers in here, .* vector of 'b'"),
        (["a", "b", "c"], np.array([[1, 2], [1, 1], [1, np.inf]]), "vector of 'c'"),
        (["a", "b", "c"], np.array([[1e300, 2], [1, 1], [1, 1]]), "vector of 'a'"),
    ],
)
def test_what_is_no_table_is_refused(ids: list[str], vectors: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked_table(ids, vectors, "here")


def test_files_that_hold_no_table_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.npz"
    with pytest.raises(InputError, match="cannot read"):
        read_table(path)
    for junk in (b"", b"junk", b"PK\x03\x04junk"):
        path.write_bytes(junk)
        with pytest.raises(InputError, match="expected a table of item vectors"):
            read_table(path)
    np.save(path.with_suffix(".npy"), VECTORS)
    with pytest.raises(InputError, match="expected"):
        read_table(path.with_suffix(".npy"))
    np.savez(path, ids=np.array(IDS), version=np.array("x"))
    with pytest.raises(InputError, match="got none named vectors"):
        read_table(path)
    np.savez(path, ids=np.array([1.0, 2.0, 3.0]), vectors=VECTORS, version=np.array("x"))
    with pytest.raises(InputError, match="texts or whole numbers for ids"):
        read_table(path)
    np.savez(path, ids=np.array(IDS, object), vectors=VECTORS, version=np.array("x"))
    with pytest.raises(InputError, match="expected a table of item vectors"):
        read_table(path)
    np.savez(path, ids=np.array(IDS), vectors=VECTORS, version=np.array("0123456789abcdef"))
    with pytest.raises(InputError, match="damaged or edited"):
        read_table(path)


def test_the_version_may_be_left_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "items.npz", ids=np.array(IDS), vectors=VECTORS)
    assert read_table(tmp_path / "items.npz").version == checked_table(IDS, VECTORS, "here").version


def test_the_gram_matrix_and_look_ups_are_those_of_a_loop() -> None:
    table = checked_table(IDS, VECTORS, "here")
    np.testing.assert_allclose(table.gram(), sum(np.outer(v, v) for v in VECTORS.astype(float)), rtol=1e-12)
    vectors, found = table.lookup(["茶", "nothing", "tea"])
    np.testing.assert_array_equal(vectors, [VECTORS[2], [0, 0], VECTORS[0]])
    assert found.tolist() == [True, False, True]
    assert table.lookup([])[0].shape == (0, 2)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.npz"
    write_table(path, checked_table(IDS, VECTORS, "here"))
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at])
        with pytest.raises(InputError, match="expected"):
            read_table(path)


def test_a_place_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        write_table(tmp_path / "none" / "items.npz", checked_table(IDS, VECTORS, "here"))
