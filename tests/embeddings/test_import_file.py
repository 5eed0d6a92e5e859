"""Tables from Avro and Parquet come back as they were written, and what is no table is refused by name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from user_state.embeddings.import_file import import_table
from user_state.embeddings.table import checked_table
from user_state.embeddings.table_file import write_table
from user_state.errors import InputError

IDS = ["tea", "Jörg's jam", "茶"]
VECTORS = (np.arange(6, dtype=np.float32) / 7).reshape(3, 2)
VERSION = checked_table(IDS, VECTORS, "here").version


def avro(
    path: Path, rows: list[dict[str, Any]], id_type: str = "string", names: tuple[str, str] = ("id", "vector")
) -> Path:
    fields = [{"name": names[0], "type": id_type}, {"name": names[1], "type": {"type": "array", "items": "float"}}]
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema({"type": "record", "name": "Item", "fields": fields}), rows)
    return path


def table_of(path: Path, ids: Any, vectors: Any, names: tuple[str, str] = ("id", "vector")) -> Path:
    parquet.write_table(pa.table({names[0]: ids, names[1]: vectors}), path)
    return path


def test_all_three_kinds_of_file_give_the_same_table(tmp_path: Path) -> None:
    rows = [{"id": i, "vector": v.tolist()} for i, v in zip(IDS, VECTORS, strict=True)]
    lists = [v.tolist() for v in VECTORS]
    write_table(tmp_path / "items.npz", checked_table(IDS, VECTORS, "here"))
    paths = [
        tmp_path / "items.npz",
        avro(tmp_path / "items.avro", rows),
        table_of(tmp_path / "a.parquet", IDS, pa.array(lists, pa.list_(pa.float32()))),
        table_of(tmp_path / "b.parquet", pa.array(IDS).dictionary_encode(), pa.array(lists, pa.list_(pa.float32(), 2))),
        table_of(
            tmp_path / "c.parquet", pa.array(IDS, pa.large_string()), pa.array(lists, pa.large_list(pa.float32()))
        ),
    ]
    assert [import_table(path).version for path in paths] == [VERSION] * len(paths)


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    path = avro(tmp_path / "items.avro", [{"film": "a", "z": [1.0, 2.0]}], names=("film", "z"))
    assert list(import_table(path, id_column="film", vector_column="z").ids) == ["a"]
    with pytest.raises(InputError, match=r"expected a column 'id' in .*, got film, z; --id-column"):
        import_table(path)
    path = table_of(tmp_path / "items.parquet", ["a"], [[1.0]], ("film", "z"))
    with pytest.raises(InputError, match=r"expected a column 'id' in .*, got film, z"):
        import_table(path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "items with vectors"),
        ([{"id": "a", "vector": [1.0]}, {"id": "b", "vector": [1.0, 2.0]}], "1 numbers, as in the first row, for 'b'"),
        ([{"id": "a", "vector": [1.0]}, {"id": "a", "vector": [2.0]}], "each id once in .*, got 'a' twice"),
        ([{"id": "a", "vector": [float("nan")]}], "finite numbers in .*, got others in the vector of 'a'"),
        ([{"id": "a", "vector": [float("inf")]}], "finite numbers"),
        ([{"id": "", "vector": [1.0]}], "ids that are not empty"),
        ([{"id": "a", "vector": []}], "items with vectors"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        import_table(avro(tmp_path / "items.avro", rows))
    schema = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float32()))])
    parquet.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "items.parquet")
    with pytest.raises(InputError, match=message):
        import_table(tmp_path / "items.parquet")


def test_ids_of_any_type_have_the_text_that_events_have(tmp_path: Path) -> None:
    """Events of a shop name products by number; its table of vectors was refused."""
    vectors = pa.array([[1.0], [2.0]])
    numbers = [{"id": 7, "vector": [1.0]}, {"id": -8, "vector": [2.0]}]
    paths = [
        avro(tmp_path / "items.avro", numbers, "long"),
        table_of(tmp_path / "items.parquet", pa.array([7, -8], pa.int32()), vectors),
    ]
    np.savez(tmp_path / "items.npz", ids=np.array([7, -8]), vectors=np.array([[1.0], [2.0]]))
    for path in (*paths, tmp_path / "items.npz"):
        assert list(import_table(path).ids) == ["7", "-8"]
    bytes_ = [{"id": b"\x00\xff", "vector": [1.0]}]
    assert list(import_table(avro(tmp_path / "items.avro", bytes_, "bytes")).ids) == ["00ff"]
    path = table_of(tmp_path / "items.parquet", pa.array([b"\x00\xff"]), pa.array([[1.0]]))
    assert list(import_table(path).ids) == ["00ff"]


def test_numbers_that_are_no_ids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"texts, whole numbers or bytes for ids in .*, got 7.5 in row 1"):
        import_table(avro(tmp_path / "items.avro", [{"id": 7.5, "vector": [1.0]}], "double"))
    with pytest.raises(InputError, match=r"texts, whole numbers or bytes for ids in .*, got double"):
        import_table(table_of(tmp_path / "items.parquet", [7.5], [[1.0]]))
    with pytest.raises(InputError, match=r"each id once in .*, got '7' twice"):
        import_table(table_of(tmp_path / "items.parquet", [7, 7], [[1.0], [2.0]]))


@pytest.mark.parametrize(
    ("ids", "vectors", "message"),
    [
        (["a", None], [[1.0], [2.0]], "an id and a vector in every row"),
        (["a", "b"], [[1.0], None], "an id and a vector in every row"),
        (["a"], [[None]], "lists of floats|numbers in every vector"),
        (["a", "b"], [[1.0], [None]], "numbers in every vector"),
        (["a"], [1.0], "lists of floats for vectors in .*, got double"),
        (["a"], [["x"]], "lists of floats for vectors"),
    ],
)
def test_columns_of_other_types_are_refused(tmp_path: Path, ids: Any, vectors: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        import_table(table_of(tmp_path / "items.parquet", ids, vectors))


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name in ("items.avro", "items.parquet", "items.npz"):
        with pytest.raises(InputError, match="cannot read"):
            import_table(tmp_path / name)
        (tmp_path / name).write_bytes(b"junk" * 9)
        with pytest.raises(InputError, match="expected"):
            import_table(tmp_path / name)
    with pytest.raises(InputError, match=r"named .npz, .avro or .parquet, got .*items.csv"):
        import_table(tmp_path / "items.csv")


def test_without_pyarrow_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match="without pyarrow: pip install pyarrow"):
        import_table(tmp_path / "items.parquet")
