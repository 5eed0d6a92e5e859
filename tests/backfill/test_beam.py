"""The backfill in batch on Beam writes the bytes that it writes without, and goes on like it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from beam_pipelines.backfill_batch import backfill_on_beam, batch_options
from tests.backfill.jobs import backfill, held, spec_in
from tests.history.files import made_events, write_events, write_spec
from tests.servers.redis import Valkey
from transforms import fold_history
from user_state.backfill.job import Filled, Settings
from user_state.dead_letters.letters import read_letters
from user_state.errors import InputError
from user_state.store.generations import Generations


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder with a spec and events whose retention does not end."""
    write_spec(tmp_path, retention="3600d")
    write_events(tmp_path, made_events(11, 800))
    return tmp_path


def on_beam(folder: Path, url: str, generation: str, **settings: object) -> Filled:
    paths = sorted(map(str, folder.glob("events-*.parquet")))
    made = Settings(paths, url, **{"shards": 5, **settings})
    return backfill_on_beam(spec_in(folder, generation), made, str(folder / "dead"), "direct", [], bool)


@pytest.mark.slow
def test_it_writes_the_same_bytes_and_counts_the_same(world: Path, valkey: Valkey):
    cut_us = sorted(one["published_at"] for one in made_events(11, 800))[700]
    without = backfill(world, valkey.url, "without", world / "work", shards=5, until_us=cut_us)
    through = on_beam(world, valkey.url, "through", until_us=cut_us)
    assert held(valkey.url, "tried@through") == held(valkey.url, "tried@without")
    # A metric has no fractions: the latest time is rounded up to a second.
    assert without.latest_us is not None
    assert through.latest_us == -(-without.latest_us // 10**6) * 10**6

    def told(counts: Counter[str]) -> dict[str, int]:
        return {name: number for name, number in counts.items() if number and name != "bytes_written"}

    assert told(through.counts) == told(without.counts)
    letters = [letter for path in (world / "dead").glob("*.avro") for letter in read_letters(str(path))]
    assert Counter(one.reason for one in letters) == {
        reason: through.counts[reason] for reason in ("too_late", "from_future")
    }
    with Generations(valkey.url, "tried") as generations:
        found = generations.find("through")
    assert found is not None
    assert (found.is_complete, found.is_history, found.until_us) == (True, True, cut_us)


@pytest.mark.slow
def test_a_shard_above_its_size_is_sorted_in_parts_on_the_workers_disk(world: Path, valkey: Valkey):
    on_beam(world, valkey.url, "whole")
    on_beam(world, valkey.url, "parts", part_bytes=4000, shards=2)
    whole, parts = (held(valkey.url, f"tried@{name}") for name in ("whole", "parts"))
    assert {user: one[1:] for user, one in parts.items()} == {user: one[1:] for user, one in whole.items()}


@pytest.mark.slow
def test_what_was_interrupted_goes_on_with_the_shards_that_are_missing(
    world: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
):
    process = fold_history._FoldFn.process
    done: list[int] = []

    def some(self, packets):
        if len(done) == 2:
            raise InputError("interrupted")
        process(self, packets)
        done.append(packets[0])

    with monkeypatch.context() as patch:
        patch.setattr(fold_history._FoldFn, "process", some)
        with pytest.raises(InputError, match="interrupted"):
            on_beam(world, valkey.url, "g")
    half = held(valkey.url, "tried@g")
    with pytest.raises(InputError, match="a new generation, got g, which is there already"):
        on_beam(world, valkey.url, "g", shards=6)
    assert held(valkey.url, "tried@g") == half
    written: list[int] = []
    made = fold_history._FoldFn._made
    monkeypatch.setattr(fold_history._FoldFn, "_made", lambda self, packed: (written.append(1), made(self, packed))[1])
    on_beam(world, valkey.url, "g")
    assert len(written) == 3
    backfill(world, valkey.url, "whole", world / "work")
    assert held(valkey.url, "tried@g") == held(valkey.url, "tried@whole")


def test_on_flink_and_dataflow_it_is_a_batch():
    flink = batch_options("flink", "a_spec", ["--parallelism=3", "--job_endpoint=there:1"]).get_all_options()
    assert (flink["runner"], flink["job_endpoint"], flink["streaming"]) == ("PortableRunner", "there:1", False)
    dataflow = batch_options("dataflow", "a_spec", ["--project=p"]).get_all_options()
    assert (dataflow["runner"], dataflow["project"], dataflow["streaming"]) == ("DataflowRunner", "p", False)
    assert dataflow["job_name"].startswith("user-state-backfill-a-spec-")
    with pytest.raises(InputError, match="expected options of"):
        batch_options("direct", "a_spec", ["--no_such_option=1"])
