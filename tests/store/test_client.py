"""The serving client against a real Valkey: what it returns, in one round trip, and how it fails."""

import datetime
import math
import shutil
import socket
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.envelope import resealed
from tests.servers.pipeline import run_command
from tests.servers.ports import free_port
from tests.servers.redis import running_valkey
from tests.trying import M, S, event, spec_of, text_of
from user_state import UserStateClient, oracle
from user_state.errors import CodecError, InputError, StoreDenied, StoreUnavailable
from user_state.events.decode import EventDecoder
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.store.keys import record_key
from user_state.store.redis_store import RedisStateStore
from user_state.times import format_time
from user_state.verify import verify

PARTS = {
    "features": {
        "f": {"aggregate": ["count", "sum", "mean"], "of": "value", "windows": ["1h", "lifetime"]},
        "known": {"aggregate": "mean", "of": "value", "windows": ["1h"], "default": -1.0},
        "liked": {"aggregate": "last_k", "of": "item_id", "k": 3, "windows": ["1h"], "where": {"action": "like"}},
    },
    "sequences": {"recent": {"fields": ["item_id", "event_time", "value", "bought"], "last": 4}},
    "embeddings": {"taste": {"kind": "decayed_mean", "of": "item_id", "dimensions": 8, "half_life": ["1h", "7d"]}},
}
SPEC = spec_of(**PARTS)
PLAN = compile_plan(SPEC)
DECODER = EventDecoder(PLAN, SPEC.schema)
NOW = time.time_ns() // 1000 // M * M
EVENTS = [
    event(
        NOW - n * 3 * M,
        f"u{n % 7}",
        action="like" if n % 3 else "view",
        item_id=None if n == 5 else f"i{n % 11}",
        value=None if n % 4 == 0 else n / 3,
    )
    for n in range(60)
]
"""All within the lateness of an hour after ordering; applied oldest first."""


def fill(url):
    with closing(RedisStateStore(url, PLAN.name, timeout_s=5)) as store:
        folder = Folder(PLAN, store)
        folder.start()
        folder.fold([DECODER.row(e, None) for e in reversed(EVENTS)])


@pytest.fixture
def client(valkey):
    fill(valkey.url)
    with UserStateClient.from_url(valkey.url, SPEC) as opened:
        yield opened


def test_every_value_of_every_user_is_what_brute_force_says(client):
    applied = oracle.replay(SPEC.spec, [oracle.Arrival(e) for e in reversed(EVENTS)]).applied
    for at_us in (NOW - M, NOW, NOW + 30 * M, NOW + 90 * M):
        found = verify(client, SPEC, applied, at_us)
        assert (found.users, [str(d) for d in found.differences]) == (7, [])


def test_verification_itself_notices_an_event_that_is_missing(client):
    applied = oracle.replay(SPEC.spec, [oracle.Arrival(e) for e in reversed(EVENTS)]).applied
    applied["u1"] = applied["u1"][:-1]
    assert {difference.user for difference in verify(client, SPEC, applied, NOW).differences} == {"u1"}


def test_a_batch_has_names_shapes_and_types_as_documented(client):
    batch = client.get_many(["u1", "nobody", "u1"], NOW)
    assert batch.users == ("u1", "nobody", "u1")
    assert batch.names == client.names
    assert batch.values.shape == (3, len(batch.names))
    assert batch.values.dtype == np.float32
    assert batch.present.tolist() == [True, False, True]
    assert batch.as_of_us == NOW
    assert batch.last_event_us.tolist() == [NOW - 3 * M, 0, NOW - 3 * M]
    assert set(batch.sequences) == {"liked_last_k_1h", "recent"}
    assert {name: (v.shape, v.dtype) for name, v in batch.embeddings.items()} == {
        f"taste_{h}": ((3, 8), np.float32) for h in ("1h", "7d")
    }
    assert len(batch) == 3
    np.testing.assert_array_equal(batch.values[0], batch.values[2])


def test_unknown_users_get_the_defaults(client):
    state = client.get("nobody", NOW)
    expected = {
        "f_count_1h": 0.0,
        "f_count_lifetime": 0.0,
        "f_sum_1h": 0.0,
        "f_sum_lifetime": 0.0,
        "f_mean_1h": math.nan,
        "f_mean_lifetime": math.nan,
        "known_mean_1h": -1.0,
    }
    assert list(state.features) == list(expected)
    np.testing.assert_equal(state.features, expected)
    assert (state.present, state.last_event_us, state.as_of_us, state.user) == (False, 0, NOW, "nobody")
    assert state.sequences == {
        "liked_last_k_1h": [],
        "recent": {"item_id": [], "event_time": [], "value": [], "bought": []},
    }
    assert {name: vector.tolist() for name, vector in state.embeddings.items()} == {
        "taste_1h": [0.0] * 8,
        "taste_7d": [0.0] * 8,
    }


def test_one_user_is_the_batch_of_one(client):
    one, many = client.get("u2", NOW), client.get_many(["u1", "u2"], NOW)[1]
    assert (one.features, one.sequences) == (many.features, many.sequences)


def test_sequences_of_a_batch_are_arrays_for_a_model(client):
    batch = client.get_many(["u1", "nobody", "u2"], NOW)
    recent = batch.sequences["recent"]
    assert recent["item_id"].shape == recent["value"].shape == recent.mask.shape == (3, 4)
    assert recent.length.tolist() == [4, 0, 4]
    ids = recent.ids("item_id", {f"i{n}": n + 1 for n in range(11)})
    for index in range(3):
        held = batch[index].sequences["recent"]["item_id"]
        assert ids[index, : len(held)].tolist() == [0 if item is None else int(item[1:]) + 1 for item in held]
        assert not ids[index, len(held) :].any()


def test_no_users_are_an_empty_batch(client):
    batch = client.get_many([], NOW)
    assert (len(batch), batch.values.shape, batch.present.shape) == (0, (0, len(client.names)), (0,))


def test_any_number_of_users_are_one_command(client, valkey):
    client.get("u1")
    with valkey.client() as plain:
        plain.config_resetstat()
        client.get_many([f"u{n}" for n in range(500)])
        stats = plain.info("commandstats")
    called = {name.removeprefix("cmdstat_"): s["calls"] for name, s in stats.items()}
    assert {name: n for name, n in called.items() if not name.startswith("config")} == {"mget": 1}


def test_at_may_be_microseconds_or_an_aware_datetime_or_now(client):
    at = datetime.datetime.fromtimestamp(NOW / 1e6, datetime.UTC)
    elsewhere = at.astimezone(datetime.timezone(datetime.timedelta(hours=5, minutes=45)))
    states = [client.get("u1", a) for a in (NOW, at, elsewhere)]
    assert {state.as_of_us for state in states} == {NOW}
    before_us = time.time_ns() // 1000
    now = client.get("u1").as_of_us
    assert before_us <= now <= time.time_ns() // 1000
    exact = datetime.datetime(2100, 1, 1, 0, 0, 0, 1, datetime.UTC)
    assert client.get("u1", exact).as_of_us == 4_102_444_800_000_001


def test_a_datetime_without_a_zone_is_refused(client):
    with pytest.raises(InputError, match="time zone"):
        client.get("u1", datetime.datetime(2026, 1, 1))


@pytest.mark.parametrize("garbage", [b"", b"nonsense"])
def test_a_damaged_record_costs_nobody_else_theirs(client, valkey, garbage):
    expected = client.get_many(["u1", "u2", "nobody", "u4"], NOW)
    with valkey.client() as plain:
        plain.set(record_key(PLAN.name, "u3"), garbage)
    found = client.get_many(["u1", "u2", "u3", "u4"], NOW)
    assert list(found.errors) == ["u3"]
    assert "expected a record" in found.errors["u3"]
    assert found.present.tolist() == [True, True, False, True]
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.last_event_us, expected.last_event_us)
    np.testing.assert_array_equal(found.sequences["recent"]["item_id"], expected.sequences["recent"]["item_id"])
    assert (found[2].error, found[0].error) == (found.errors["u3"], None)
    assert client.unreadable_records == 1
    assert client.get_many(["u1", "u2"]).errors == {}


def test_a_record_of_an_unregistered_layout_is_asked_for_once_in_a_while(client, valkey):
    with valkey.client() as plain:
        blob = plain.get(record_key(PLAN.name, "u3"))
        client.get("u3", NOW)  # which also asks which generation is served
        plain.set(record_key(PLAN.name, "u3"), resealed(blob[:18] + b"unlisted" + blob[26:]))
        plain.config_resetstat()
        for _ in range(10):
            found = client.get_many(["u1", "u3"], NOW)
            assert found.present.tolist() == [True, False]
            assert "registered layout" in found.errors["u3"]
        assert plain.info("commandstats")["cmdstat_hget"]["calls"] == 1
        plain.set(record_key(PLAN.name, "u3"), blob)
    assert client.get("u3", NOW).present


def test_users_may_come_from_a_generator(client):
    found = client.get_many((f"u{number}" for number in range(3)), NOW)
    assert (found.users, len(found.values)) == (("u0", "u1", "u2"), 3)
    assert found[1].user == "u1"
    scores = client.score((f"u{number}" for number in range(3)), ["i1"], embedding="taste_1h", at=NOW)
    assert scores.users == ("u0", "u1", "u2")


def test_selected_outputs_are_what_they_are_among_all(client):
    whole = client.get_many(["u1", "nobody", "u2"], NOW)
    part = client.get_many(["u1", "nobody", "u2"], NOW, select=["recent", "f_sum_1h", "taste_7d", "f_count_lifetime"])
    assert part.names == ("f_count_lifetime", "f_sum_1h")  # as in the spec
    columns = [whole.names.index(name) for name in part.names]
    np.testing.assert_array_equal(part.values, whole.values[:, columns])
    assert (list(part.sequences), list(part.embeddings), part.arrays) == (["recent"], ["taste_7d"], {})
    np.testing.assert_array_equal(part.embeddings["taste_7d"], whole.embeddings["taste_7d"])
    np.testing.assert_array_equal(part.sequences["recent"]["item_id"], whole.sequences["recent"]["item_id"])
    assert client.get("u1", NOW, select=["f_sum_1h"]).features == {"f_sum_1h": whole[0].features["f_sum_1h"]}


@pytest.mark.parametrize("select", [["f_sum_2h"], "f_sum_1h"])
def test_an_output_that_is_not_there_is_refused(client, select):
    with pytest.raises(InputError, match="outputs"):
        client.get_many(["u1"], NOW, select=select)


def test_a_record_of_another_registered_layout_is_read(valkey):
    """A service that reads with a newer spec than the pipeline writes by."""
    fill(valkey.url)
    newer = spec_of(
        features={
            "f": {"aggregate": ["count"], "of": "value", "windows": ["1h"]},
            "new": {"aggregate": "recency", "windows": ["1h"]},
        }
    )
    with UserStateClient.from_url(valkey.url, newer) as client:
        state = client.get("u1", NOW)
    assert state.features["f_count_1h"] == 2  # the third has no value
    assert math.isnan(state.features["new_recency_1h"])


def test_values_beyond_single_precision_come_as_infinity(valkey):
    with closing(RedisStateStore(valkey.url, PLAN.name)) as store:
        Folder(PLAN, store).fold([DECODER.row(event(NOW, "rich", value=1e300), None)])
    with UserStateClient.from_url(valkey.url, SPEC) as client:
        assert client.get("rich", NOW).features["f_sum_1h"] == math.inf


def test_threads_share_a_client(client):
    expected = client.get_many(["u1", "u2"], NOW).values
    wrong: list[int] = []

    def read():
        for _ in range(30):
            if not np.array_equal(client.get_many(["u1", "u2"], NOW).values, expected, equal_nan=True):
                wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []


def test_a_cluster_is_read_like_one_server(cluster):
    fill(cluster.url)
    applied = oracle.replay(SPEC.spec, [oracle.Arrival(e) for e in reversed(EVENTS)]).applied
    with UserStateClient.from_url(cluster.url, SPEC) as client:
        assert verify(client, SPEC, applied, NOW).differences == []
        assert client.get_many(["u1", "nobody"], NOW).present.tolist() == [True, False]
        assert len(client.get_many([], NOW)) == 0


def test_a_server_that_never_answers_is_unavailable_within_the_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        with UserStateClient.from_url(url, SPEC, timeout_s=0.2) as client, pytest.raises(StoreUnavailable):
            client.get("u1")


def test_a_server_that_is_not_there_is_unavailable_and_its_password_not_told():
    with UserStateClient.from_url(f"redis://app:hush@127.0.0.1:{free_port()}", SPEC) as client:
        with pytest.raises(StoreUnavailable) as raised:
            client.get("u1")
        assert "hush" not in str(raised.value) + repr(client)
        assert "app:***@" in repr(client)


def test_a_refused_password_is_denied(tmp_path):
    with (
        running_valkey(tmp_path / "locked", password="right-pass") as server,
        UserStateClient.from_url(server.url.replace("right", "wrong"), SPEC) as client,
        pytest.raises(StoreDenied, match="password"),
    ):
        client.get("u1")


def test_a_client_recovers_when_the_server_does(own_valkey):
    fill(own_valkey.url)
    with UserStateClient.from_url(own_valkey.url, SPEC) as client:
        assert client.get("u1").present
        own_valkey.kill_9()
        with pytest.raises(StoreUnavailable):
            client.get("u1")
        own_valkey.restart()
        assert not client.get("u1").present


def test_events_of_the_same_second_after_at_are_counted_too(client):
    assert client.get("u0", NOW - S).features["f_count_lifetime"] == 6  # of nine, three have no value


@pytest.mark.parametrize("at", [NOW - M, NOW - M - 1])
def test_a_time_before_the_clock_less_the_skew_is_an_error_of_that_user_alone(client, valkey, at):
    """u0's clock is NOW, that of others is minutes earlier; the spec's skew is a minute."""
    found = client.get_many(["u0", "u1", "nobody"], at)
    refused = at < NOW - M
    assert list(found.errors) == ["u0"] * refused
    assert found.present.tolist() == [not refused, True, False]
    assert found.values[0, 0] == (0 if refused else 2)
    assert (found.last_event_us[0], found[0].error) == ((0, found.errors["u0"]) if refused else (NOW, None))
    scores = client.score(["u0", "u1"], ["i1"], embedding="taste_1h", at=at)
    assert (np.isnan(scores.values[0, 0]), list(scores.errors)) == (refused, ["u0"] * refused)
    assert not np.isnan(scores.values[1, 0])
    if refused:
        with pytest.raises(CodecError, match="cannot read the record of u0: expected a reading time from"):
            client.nearest_users("u0", 1, ["u1"], embedding="taste_1h", at=at)
    ended = run_get(valkey, "u0", "u1", "--at", format_time(at))
    assert ended.returncode == (2 if refused else 0)
    assert ("error: cannot read the record of u0: expected a reading time from" in ended.stderr) == refused
    assert ("replay history" in ended.stderr) == refused


def test_a_key_of_another_type_is_an_error_of_that_user_for_tools(client, valkey):
    """One key of another application stopped every other user (sidekiq/sidekiq#4182, rmax/scrapy-redis#192)."""
    with valkey.client() as plain:
        plain.delete(record_key(PLAN.name, "u3"))
        plain.hset(record_key(PLAN.name, "u3"), "cart", 3)
    found = client.get_many(["u1", "u3", "nobody", "u3"], NOW)
    assert found.present.tolist() == [True, False, False, False]
    assert list(client.not_records(found)) == ["u3"]
    assert "another application's hash under its key" in client.not_records(found)["u3"]
    ended = run_get(valkey, "u1", "u3", "nobody")
    assert ended.returncode == 2
    assert "error: cannot read the record of u3: expected a record, a string" in ended.stderr
    assert "record cannot be read: documented defaults" in ended.stdout
    assert run_get(valkey, "u1", "nobody").returncode == 0


def run_get(valkey, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "spec.yaml"
        spec.write_text(text_of(**PARTS))
        shutil.copy(Path(__file__).parents[1] / "tried.avsc", folder)
        return run_command("get", "--redis", valkey.url, "--spec", spec, *arguments)
