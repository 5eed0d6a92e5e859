"""`user-state items load`, `list` and `use`, as anybody would type them, against a real Valkey."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.servers.redis import Valkey
from user_state.cli.main import main
from user_state.embeddings.table import checked_table
from user_state.embeddings.table_file import read_table, write_table
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.spec import load_spec
from user_state.store.item_tables import ItemTableStore
from user_state.store.redis_store import RedisStateStore

SPEC = """
name: feed
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
sequences: {recent: {fields: [item_id], last: 5}}
items: {catalogue: {dimensions: 2}}
"""


@pytest.fixture
def typed(monkeypatch, capsys, tmp_path, valkey):
    """Types `user-state items WORDS` with the spec and the server; returns exit code and what was said."""
    (tmp_path / "spec.yaml").write_text(SPEC)

    def run(command: str, *words: object) -> tuple[int, str]:
        given = ["user-state", "items", command, "--spec", tmp_path / "spec.yaml", "--redis", valkey.url, *words]
        monkeypatch.setattr(sys, "argv", list(map(str, given)))
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out + told.err

    return run


def file_of(path: Path, seed: int, dimensions: int = 2) -> tuple[Path, str]:
    vectors = np.random.default_rng(seed).normal(size=(30, dimensions))
    table = checked_table([f"i{n}" for n in range(30)], vectors, "here")
    write_table(path, table)
    return path, table.version


def test_a_table_is_loaded_listed_replaced_and_taken_back(typed, tmp_path: Path, valkey: Valkey) -> None:
    first, v1 = file_of(tmp_path / "1.npz", 1)
    second, v2 = file_of(tmp_path / "2.npz", 2)
    assert "not loaded" in typed("list")[1]
    assert typed("load", "--table", "catalogue", "--from", first) == (
        0,
        f"catalogue: version {v1} in use, 30 items of 2 dimensions\n",
    )
    assert (
        f"version {v2} in use, in place of {v1}, 30 items" in typed("load", "--table", "catalogue", "--from", second)[1]
    )
    code, listed = typed("list")
    lines = [line.split() for line in listed.splitlines() if line.startswith("catalogue")]
    assert (code, [line[1] for line in lines]) == (0, [v2, v1])
    assert "replaced, expires in" in listed
    assert typed("use", "--table", "catalogue", "--version", v1)[0] == 0
    assert typed("list")[1].index(v1) < typed("list")[1].index(v2)


def test_what_cannot_be_loaded_is_refused_before_anything_is_written(typed, tmp_path: Path, valkey: Valkey) -> None:
    wide, _ = file_of(tmp_path / "wide.npz", 1, 3)
    good, version = file_of(tmp_path / "good.npz", 1)
    np.savez(tmp_path / "nan.npz", ids=np.array(["a"]), vectors=np.array([[1.0, np.nan]]))
    for words, message in [
        (("--table", "catalogue", "--from", wide), "expected 2 dimensions, as `items.catalogue` of the spec says"),
        (("--table", "cataloge", "--from", good), "expected a table under `items:`"),
        (("--table", "catalogue", "--from", tmp_path / "nan.npz"), "expected finite numbers"),
        (("--table", "catalogue", "--from", tmp_path / "none.npz"), "cannot read"),
        (("--table", "catalogue", "--from", good, "--grace", "soon"), "expected a duration such as 10m"),
    ]:
        code, told = typed("load", *words)
        assert code == 2
        assert message in told
        assert "Traceback" not in told
    with valkey.client() as client:
        assert client.keys("*") == []
    assert typed("load", "--table", "catalogue", "--from", good)[0] == 0
    code, told = typed("use", "--table", "catalogue", "--version", "f00")
    assert (code, f"got 'f00': {version} is in use" in told) == (2, True)


def test_a_table_is_fitted_and_loaded_at_once(typed, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("".join(f"u{n % 5} i{(n * n) % 7} {n}\n" for n in range(60)))
    words = ("--input", log, "--format", "triples", "--output", tmp_path / "items.npz", "--load", "catalogue")
    code, told = typed("fit", *words)
    assert (code, "expected --dimensions 2, as `items.catalogue` of" in told) == (2, True)
    code, told = typed("fit", *words, "--dimensions", 2)
    assert code == 0
    assert f"catalogue: version {read_table(tmp_path / 'items.npz').version} in use" in told


def test_a_table_that_the_pipeline_learns_is_not_loaded(typed, tmp_path: Path) -> None:
    spec = SPEC.replace("{dimensions: 2}}", "{dimensions: 2}, together: {dimensions: 2, learned: {of: item_id}}}")
    (tmp_path / "spec.yaml").write_text(spec)
    good, _ = file_of(tmp_path / "good.npz", 1)
    code, told = typed("load", "--table", "together", "--from", good)
    assert (code, "got 'together', which the pipeline learns" in told) == (2, True)
    assert "learned by the pipeline" in typed("list")[1]


def test_the_nearest_items_of_a_user_and_what_get_says_of_versions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, valkey: Valkey
) -> None:
    spec = tmp_path / "spec.yaml"
    over = "kind: decayed_mean, of: item_id, vectors: catalogue, half_life: 1h"
    spec.write_text(f"{SPEC}embeddings: {{taste: {{{over}}}, find: {{{over.replace('decayed_mean', 'interests')}}}}}\n")
    plan = compile_plan(load_spec(spec))
    vectors = checked_table(["tea", "jam", "rye"], np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]), "here")
    store = RedisStateStore(valkey.url, plan.name)
    folder = Folder(plan, store, cache_bytes=0)
    folder.start()
    now_us = time.time_ns() // 1000
    items = ["tea", "nothing"]
    names = [field.name for field in plan.fields]
    folder.fold([("u1", n + 1, now_us, now_us, *[{"item_id": items[n]}.get(name) for name in names]) for n in (0, 1)])
    store.close()
    with ItemTableStore(valkey.url, plan.name) as tables:
        tables.load("catalogue", vectors, at_us=0)

    def typed(*words: object) -> str:
        monkeypatch.setattr(sys, "argv", ["user-state", *map(str, words), "--spec", str(spec), "--redis", valkey.url])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    assert typed("nearest", "u1", "--embedding", "taste_1h", "-k", 2) == "+1.0000  tea\n+0.5000  jam\n"
    told = json.loads(typed("nearest", "u1", "--embedding", "taste_1h", "--unseen", "--json"))
    assert told == {"items": ["jam", "rye"], "scores": [0.5, 0.0], "version": vectors.version}
    assert "nobody has no vector in taste_1h" in typed("nearest", "nobody", "--embedding", "taste_1h")
    shown = typed("get", "u1")
    assert "taste_1h: [+1.000, +0.000, ...] (2), 1 of its items without a vector" in shown
    assert f"items of catalogue: version {vectors.version}" in shown
    state = json.loads(typed("get", "u1", "--json"))["u1"]
    assert state["embeddings"] == {"taste_1h": [1.0, 0.0], "find_1h": [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]}
    assert (state["item_versions"], state["missing_items"]["taste_1h"]) == ({"catalogue": vectors.version}, 1)
    monkeypatch.setattr(sys, "argv", ["user-state", "check", str(spec)])
    with pytest.raises(SystemExit):
        main()
    assert "of the last 50 events, items of catalogue" in capsys.readouterr().out
